package io.nativenorm.gloo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A worker is killed in each phase of a step, 20 times each: the others fail within the timeout,
 * name it, and connect to the next one.
 */
@Timeout(300)
class KilledWorkersTest {
  private static final int ROUNDS = Integer.getInteger("nativenorm.kills", 20);
  private static final int TIMEOUT_MILLIS = 5000;

  /** Beyond the timeout, for the scheduler of a machine that is busy. */
  private static final int SLACK_MILLIS = 1000;

  private static final Share SHARE = new Share(DataType.F32, Layout.CHANNELS_FIRST, 2, 3, 2);
  private static final Random RANDOM = new Random(7);
  private static final List<WorkerProcess> SURVIVORS = new ArrayList<>();

  /** They start while the ones before them are being killed. */
  private static final Deque<WorkerProcess> NEXT = new ArrayDeque<>();

  /** Where the worker is that is killed. */
  enum Phase {
    BEFORE_FORWARD,
    IN_THE_FORWARD_EXCHANGE,
    BEFORE_BACKWARD,
    IN_THE_BACKWARD_EXCHANGE,
    AFTER_BACKWARD
  }

  @BeforeAll
  static void start() throws Exception {
    for (int i = 0; i < 2; i++) {
      SURVIVORS.add(new WorkerProcess());
      NEXT.add(new WorkerProcess());
    }
    for (WorkerProcess process : SURVIVORS) {
      process.expect("ready");
    }
  }

  @AfterAll
  static void nothingIsLeftRunning() throws Exception {
    for (WorkerProcess process : SURVIVORS) {
      process.end();
    }
    for (WorkerProcess process : NEXT) {
      process.end();
    }
    assertEquals(0, ProcessHandle.current().descendants().count());
  }

  @ParameterizedTest
  @EnumSource
  void theOthersFailAndNameIt(Phase phase) throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      WorkerProcess killed = NEXT.remove();
      killed.expect("ready");
      NEXT.add(new WorkerProcess());
      List<WorkerProcess> workers = new ArrayList<>(SURVIVORS);
      int rank = RANDOM.nextInt(3);
      workers.add(rank, killed);
      kill(phase, rank, WorkerGroup.connect(TIMEOUT_MILLIS, workers));
    }
  }

  private static void kill(Phase phase, int rank, WorkerGroup group) throws Exception {
    WorkerProcess killed = group.rank(rank);
    group.allDo("built", "build", SHARE);
    List<String> commands = List.of("forward", "backward", "forward");
    int command = phase.ordinal() / 2;
    for (String done : commands.subList(0, command)) {
      group.workers().forEach(worker -> worker.tell(done));
      for (WorkerProcess worker : group.workers()) {
        assertTrue(!worker.answer().startsWith("failed"));
      }
    }
    String next = commands.get(command);
    if (phase.ordinal() % 2 == 1) { // it waits for a survivor that comes later
      killed.tell(next);
      SURVIVORS.get(0).tell(next);
      Thread.sleep(RANDOM.nextInt(20));
      killed.kill();
      SURVIVORS.get(1).tell(next);
      for (WorkerProcess worker : SURVIVORS) {
        String answer = worker.answer();
        if (!answer.startsWith("failed")) { // it had the numbers of all
          worker.tell("gather", "next");
          answer = worker.answer();
        }
        names(rank, answer);
      }
    } else {
      int waiting = RANDOM.nextInt(3); // survivors that are in the exchange by then
      for (WorkerProcess worker : SURVIVORS.subList(0, waiting)) {
        worker.tell(next);
      }
      Thread.sleep(RANDOM.nextInt(20));
      killed.kill();
      for (WorkerProcess worker : SURVIVORS.subList(waiting, 2)) {
        worker.tell(next);
      }
      for (WorkerProcess worker : SURVIVORS) {
        names(rank, worker.answer());
      }
    }
    for (WorkerProcess worker : SURVIVORS) {
      worker.tell("close");
      worker.expect("closed");
    }
  }

  private static void names(int rank, String answer) {
    String[] words = answer.split(" ", 4);
    assertEquals("failed " + rank, words[0] + " " + words[1], answer);
    assertTrue(Integer.parseInt(words[2]) <= TIMEOUT_MILLIS + SLACK_MILLIS, answer);
    assertTrue(words[3].contains("rank " + rank + " has died: its connection broke"), answer);
  }
}
