package io.nativenorm.gloo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Batch normalization between processes is what its formula says of all their samples. */
@Timeout(120)
class ProcessesTest {
  private static final long TIMEOUT_MILLIS = 20_000;
  private static final List<WorkerProcess> PROCESSES = new ArrayList<>();

  @BeforeAll
  static void start() throws Exception {
    for (int i = 0; i < 3; i++) {
      PROCESSES.add(new WorkerProcess());
    }
    for (WorkerProcess process : PROCESSES) {
      process.expect("ready");
    }
  }

  @AfterAll
  static void theyEndByThemselves() throws Exception {
    for (WorkerProcess process : PROCESSES) {
      process.end();
    }
    assertEquals(0, ProcessHandle.current().descendants().count());
  }

  /** Even, uneven and empty shares. */
  static Stream<Share> shares() {
    long[][] samples = {{4, 4}, {1, 6}, {5, 0}, {0, 5}, {3, 3, 3}, {2, 5, 1}, {0, 7, 2}, {4, 0, 0}};
    return Stream.of(DataType.F32, DataType.BF16)
        .flatMap(
            type ->
                Stream.of(Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST)
                    .flatMap(layout -> Stream.of(samples).map(s -> new Share(type, layout, s))));
  }

  @ParameterizedTest
  @MethodSource("shares")
  void theyAreOneOnTheWholeBatch(Share share) throws Exception {
    int size = share.samples().length;
    WorkerGroup group = WorkerGroup.connect(TIMEOUT_MILLIS, PROCESSES.subList(0, size));
    group.allDo("built", "build", share);
    compare(share, step(group), share.together());
    step(group); // with what the first has left
    group.allDo("closed", "close");
  }

  private static List<Share.Step> step(WorkerGroup group) throws InterruptedException {
    group.allDo("forward", "forward");
    group.workers().forEach(worker -> worker.tell("backward"));
    List<Share.Step> steps = new ArrayList<>();
    for (WorkerProcess worker : group.workers()) {
      steps.add(Share.Step.decode(worker.answer()));
    }
    for (Share.Step step : steps) {
      assertArrayEquals(steps.get(0).mean(), step.mean());
      assertArrayEquals(steps.get(0).var(), step.var());
      assertArrayEquals(steps.get(0).dWeight(), step.dWeight());
      assertArrayEquals(steps.get(0).dBias(), step.dBias());
    }
    return steps;
  }

  private static void compare(Share share, List<Share.Step> steps, Share together) {
    Share.Step whole = together.step();
    Share.Step any = steps.get(0);
    float[] variance = together.variance();
    for (int c = 0; c < Share.CHANNELS; c++) {
      double std = Math.sqrt(whole.var()[c]);
      assertEquals(whole.mean()[c], any.mean()[c], 2e-7 * (Math.abs(whole.mean()[c]) + std));
      assertEquals(variance[c], any.var()[c], Math.ulp(variance[c]));
    }
    relativeInL2(whole.dWeight(), any.dWeight());
    relativeInL2(whole.dBias(), any.dBias());
    boolean rounded = share.type() == DataType.BF16;
    compare(whole.y(), steps.stream().map(Share.Step::y).toList(), rounded);
    compare(whole.dx(), steps.stream().map(Share.Step::dx).toList(), rounded);
  }

  private static void relativeInL2(double[] expected, double[] actual) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < actual.length; i++) {
      error += Math.pow(actual[i] - expected[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    assertTrue(Math.sqrt(error) <= 1e-6 * Math.sqrt(norm), Math.sqrt(error / norm) + "");
  }

  /** In the order of ranks the parts are the whole. */
  private static void compare(double[] expected, List<double[]> parts, boolean rounded) {
    int i = 0;
    for (double[] part : parts) {
      for (double actual : part) {
        double value = expected[i++];
        double bound = 2e-6 * (1 + Math.abs(value));
        double unit = rounded ? Math.ulp((float) value) * (1 << 16) : 0; // of bfloat16
        assertEquals(value, actual, Math.max(bound, unit));
      }
    }
    assertEquals(expected.length, i);
  }

  @Test
  void aCallTooManyIsAnErrorThatNamesWhoHasClosed() throws Exception {
    WorkerGroup group = WorkerGroup.connect(TIMEOUT_MILLIS, PROCESSES.subList(0, 2));
    group.allDo("gathered", "gather", "a/0");
    group.rank(1).tell("gather", "a/1");
    group.rank(0).tell("close");
    String answer = group.rank(1).answer();
    assertTrue(answer.matches("failed 0 \\d+ .*rank 0 closed its end"), answer);
    group.rank(0).expect("closed");
    group.rank(1).tell("close");
    group.rank(1).expect("closed");
  }

  @Test
  void aCallTooManyIsAnErrorThatNamesWhoDoesNotCome() throws Exception {
    WorkerGroup group = WorkerGroup.connect(500, PROCESSES);
    group.rank(2).tell("gather", "a/0");
    String answer = group.rank(2).answer();
    assertTrue(answer.matches("failed 0 \\d+ .*rank 0 did not come to a/0 within 500 ms"), answer);
    for (int rank = 0; rank < 2; rank++) {
      group.rank(rank).tell("gather", "a/0");
      String later = group.rank(rank).answer();
      assertTrue(later.matches("failed 0 \\d+ .*rank 0 did not come to a/0 within 500 ms"), later);
    }
    group.allDo("closed", "close");
  }

  @Test
  void anotherStepIsAnErrorOnAllThatNamesIt() throws Exception {
    WorkerGroup group = WorkerGroup.connect(TIMEOUT_MILLIS, PROCESSES);
    for (int rank = 0; rank < 3; rank++) {
      group.rank(rank).tell("gather", rank == 1 ? "0/7/backward" : "0/7/forward");
    }
    for (WorkerProcess worker : PROCESSES) {
      String answer = worker.answer();
      assertTrue(
          answer.matches(
              "failed 1 \\d+ .*rank 1 came with 0/7/backward of 3 values, but rank 0 with"
                  + " 0/7/forward of 3 values"),
          answer);
    }
    group.allDo("closed", "close");
  }

  @Test
  void aWorkerThatNeverStartsIsNamedByTheOthers() throws Exception {
    PROCESSES.get(0).tell("connect", 0, 0, 3, 500);
    String port = PROCESSES.get(0).answer();
    PROCESSES.get(1).tell("connect", port, 2, 3, 500);
    for (WorkerProcess worker : PROCESSES.subList(0, 2)) {
      String answer = worker.answer();
      assertTrue(answer.matches("failed 1 \\d+ .*rank 1 did not come within 500 ms"), answer);
    }
  }
}
