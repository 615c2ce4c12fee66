package io.nativenorm.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.BatchNorm;
import io.nativenorm.ExchangeException;
import io.nativenorm.Gradients;
import io.nativenorm.Pass;
import io.nativenorm.StatisticsExchange;
import io.nativenorm.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** On a cluster of a master and two workers on this machine, which the test starts. */
@Timeout(120)
class SparkExchangeTest {
  private static final int CHANNELS = 6;
  private static final int POSITIONS = 14 * 14;
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  @TempDir private static Path folder;
  private static Cluster cluster;
  private static JavaSparkContext context;

  @BeforeAll
  static void start() throws Exception {
    cluster = new Cluster(folder, 2);
    context = cluster.application();
  }

  @AfterAll
  static void nothingIsLeftRunning() {
    context.close();
    cluster.close();
  }

  /** A sample of x, then one of dy. */
  private static List<float[]> samples(int count) {
    Random random = new Random(7);
    List<float[]> samples = new ArrayList<>();
    for (int n = 0; n < count; n++) {
      float[] sample = new float[2 * CHANNELS * POSITIONS];
      for (int i = 0; i < sample.length; i++) {
        sample[i] = (float) (random.nextGaussian() + (i < sample.length / 2 ? 2 : 0.1));
      }
      samples.add(sample);
    }
    return samples;
  }

  private static Tensor tensor(List<float[]> samples, boolean isX) {
    int length = CHANNELS * POSITIONS;
    float[] values = new float[samples.size() * length];
    for (int n = 0; n < samples.size(); n++) {
      System.arraycopy(samples.get(n), isX ? 0 : length, values, n * length, length);
    }
    return Tensor.of(values, samples.size(), CHANNELS, 14, 14);
  }

  /** A step of training: y, dx, dWeight, dBias, running mean and variance. */
  private static float[][] step(BatchNorm.Builder builder, List<float[]> own) {
    try (BatchNorm norm = builder.build();
        Tensor x = tensor(own, true);
        Tensor dy = tensor(own, false);
        Pass pass = norm.forwardTraining(x);
        Gradients gradients = pass.backward(dy)) {
      return new float[][] {
        pass.output().toArray(),
        gradients.input().toArray(),
        gradients.weight().toArray(),
        gradients.bias().toArray(),
        norm.runningMean().toArray(),
        norm.runningVar().toArray()
      };
    }
  }

  private static BatchNorm.Builder layer() {
    return BatchNorm.builder(CHANNELS).mergeParameterGradients(true);
  }

  private static float[][] workersStep(StatisticsExchange exchange, Iterator<float[]> samples) {
    List<float[]> own = new ArrayList<>();
    samples.forEachRemaining(own::add);
    return step(layer().exchange(exchange), own);
  }

  /** Seven samples are 3 and 4. */
  @Test
  void theyAreOneProcessOnTheWholeBatch() {
    List<float[]> samples = samples(7);
    JavaRDD<float[]> data = context.parallelize(samples, 2);
    List<float[][]> steps = SparkExchange.run(data, TIMEOUT, SparkExchangeTest::workersStep);
    float[][] whole = step(BatchNorm.builder(CHANNELS), samples);
    assertEquals(2, steps.size());
    for (int shared = 2; shared < 6; shared++) {
      assertArrayEquals(steps.get(0)[shared], steps.get(1)[shared]);
    }
    for (int own = 0; own < 2; own++) {
      float[] first = steps.get(0)[own];
      float[] both = Arrays.copyOf(first, first.length + steps.get(1)[own].length);
      System.arraycopy(steps.get(1)[own], 0, both, first.length, both.length - first.length);
      assertEquals(whole[own].length, both.length);
      for (int i = 0; i < both.length; i++) {
        assertEquals(whole[own][i], both[i], 2e-6 * (1 + Math.abs(whole[own][i])));
      }
    }
    for (int c = 0; c < CHANNELS; c++) {
      for (int gradient = 2; gradient < 4; gradient++) {
        assertEquals(whole[gradient][c], steps.get(0)[gradient][c], 1e-4);
      }
      double std = Math.sqrt(whole[5][c]);
      assertEquals(whole[4][c], steps.get(0)[4][c], 2e-7 * (Math.abs(whole[4][c]) + std));
      assertEquals(whole[5][c], steps.get(0)[5][c], Math.ulp(whole[5][c]));
    }
  }

  @Test
  void theCodeOfTheDocsRuns() {
    float[] sample = new float[64 * POSITIONS];
    Arrays.fill(sample, 3);
    List<float[]> samples = List.of(sample, sample, sample, sample);
    List<float[]> means = SparkExample.train(context.parallelize(samples, 2));
    assertArrayEquals(means.get(0), means.get(1));
    assertEquals(0.57f, means.get(0)[5], 1e-6f); // of 3, a tenth and again
  }

  @Test
  void ranksAreThoseOfPartitionsAndTheTimeoutIsSparksToo() {
    List<String> ranks =
        SparkExchange.run(context, 2, TIMEOUT, (end, none) -> end.rank() + " of " + end.size());
    assertEquals(List.of("0 of 2", "1 of 2"), ranks);
    String timeout = SparkEnv.get().conf().get("spark.barrier.sync.timeout");
    assertTrue(Set.of("30s", "60s").contains(timeout), timeout); // of the first job's
  }

  @Test
  void aWorkerAtAnotherStepFailsTheJobByItsRank() {
    Exception e =
        assertThrows(
            SparkException.class,
            () ->
                SparkExchange.run(
                    context,
                    2,
                    TIMEOUT,
                    (end, none) -> end.allGather("a/" + end.rank(), new double[1]).length));
    String message = "rank 1 came with a/1 of 1 values, but rank 0 with a/0 of 1 values";
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  /** The other one knows by whom; the job fails, and the cluster goes on. */
  @Test
  void aKilledWorkerFailsTheJobAndIsNamedByTheOther() throws Exception {
    String said = folder.resolve("said").toString();
    long begin = System.nanoTime();
    Exception e =
        assertThrows(
            SparkException.class,
            () ->
                SparkExchange.run(
                    context,
                    2,
                    TIMEOUT,
                    (end, none) -> {
                      end.allGather("a/0", new double[1]);
                      if (end.rank() == 1) {
                        kill();
                      }
                      try {
                        return end.allGather("a/1", new double[1]).length;
                      } catch (ExchangeException named) {
                        Files.writeString(Path.of(said), named.getMessage());
                        throw named;
                      }
                    }));
    assertTrue(System.nanoTime() - begin < TIMEOUT.toNanos());
    assertTrue(e.getMessage().contains("barrier"), e.getMessage());
    String message = "Gloo exchange, rank 0 of 2: rank 1 has died: its connection broke at a/1";
    assertEquals(message, Files.readString(Path.of(said)));
    ranksAreThoseOfPartitionsAndTheTimeoutIsSparksToo();
  }

  /** With SIGKILL, and itself. */
  private static void kill() throws Exception {
    String pid = Long.toString(ProcessHandle.current().pid());
    new ProcessBuilder("kill", "-9", pid).start().waitFor();
    Thread.sleep(TIMEOUT.toMillis());
  }

  @Test
  void wrongArgumentsAreRefused() {
    SparkExchange.Worker<Void, Integer> worker = (end, none) -> end.rank();
    assertEquals(
        "expected 1 worker or more, but got 0",
        assertThrows(
                IllegalArgumentException.class,
                () -> SparkExchange.run(context, 0, TIMEOUT, worker))
            .getMessage());
    assertEquals(
        "expected a timeout above 0, but got PT0S",
        assertThrows(
                IllegalArgumentException.class,
                () -> SparkExchange.run(context, 1, Duration.ZERO, worker))
            .getMessage());
    JavaRDD<Void> none = context.parallelize(Collections.emptyList(), 1);
    assertNames("samples", () -> SparkExchange.run(null, TIMEOUT, worker));
    assertNames("timeout", () -> SparkExchange.run(none, null, worker));
    assertNames("worker", () -> SparkExchange.run(none, TIMEOUT, null));
    assertNames("context", () -> SparkExchange.run(null, 1, TIMEOUT, worker));
  }

  private static void assertNames(String argument, Runnable call) {
    assertEquals(argument, assertThrows(NullPointerException.class, call::run).getMessage());
  }
}
