package io.nativenorm.engine.onednn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.nativenorm.DataType;
import io.nativenorm.JavaProcess;
import io.nativenorm.NativeNorm;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import io.nativenorm.engine.reference.ReferenceEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class TeamTest {
  private static final Path TASKS = Path.of("/proc/self/task");

  @BeforeAll
  static void loadsOnednn() {
    assertTrue(NativeNorm.engines().get(1).available());
  }

  @Test
  void givesTheSizeThatIsWanted() {
    Team team = new Team(OpenMp.loaded());
    assertTrue(team.isSizable());
    for (int size : new int[] {1, 2, 3, 5}) {
      assertTrue(TeamCheck.isWhole(team, size), "team of " + size);
    }
    assertEquals(3, OnednnEngine.largestTeam(team, 3));
    assertEquals(1, OnednnEngine.largestTeam(team, 1));
  }

  @Test
  void worksWithoutOpenMpsFunctions() {
    Team team = new Team(OpenMp.notFound());
    assertFalse(team.isSizable());
    assertEquals(1, OnednnEngine.largestTeam(team, 4));
    Problem problem =
        new Problem(
            new Norm(Operation.LAYER, StatisticsSource.COMPUTED, 0),
            Shape.ofRows(1, 4),
            Storage.of(DataType.F32),
            new Affine(false, false),
            Fusion.NONE,
            Task.INFER,
            1);
    Helpers helpers = new Helpers(() -> {}, () -> true);
    OnednnPlan plan = OnednnPlan.prepare(team, helpers, new ReferenceEngine()::prepare, problem, 1);
    PooledMemory pooled = MemoryPool.take(DataType.F32, 8);
    Memory x = pooled.memory().slice(0, 4);
    Memory y = pooled.memory().slice(4, 4);
    x.write(0, new float[] {-1, -1, 1, 1}, 0, 4);
    plan.execute(Operands.NONE.with(Slot.SRC, x).with(Slot.DST, y));
    assertEquals(1, y.view().get(3));
    plan.free();
    pooled.close();
  }

  @Test
  void throwsInTheCallerWhatTheWorkThrows() {
    Team team = new Team(OpenMp.notFound());
    RuntimeException failure = new IllegalStateException("as it should");
    RuntimeException thrown =
        assertThrows(
            IllegalStateException.class,
            () ->
                team.run(
                    1,
                    nothing -> {
                      throw failure;
                    },
                    null));
    assertSame(failure, thrown);
    team.run(1, nothing -> {}, null); // and goes on
  }

  /** Another thread has the team, until it is told to end. */
  private static final class Busy {
    private final CountDownLatch finish = new CountDownLatch(1);
    private final Thread other;

    Busy(Team team) throws InterruptedException {
      CountDownLatch begun = new CountDownLatch(1);
      other = new Thread(() -> team.run(1, nothing -> work(begun), null));
      other.start();
      begun.await();
    }

    private void work(CountDownLatch begun) {
      begun.countDown();
      try {
        finish.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    void end() throws InterruptedException {
      finish.countDown();
      other.join();
    }
  }

  @Test
  void isTriedWithoutWaiting() throws Exception {
    Team team = new Team(OpenMp.notFound());
    Busy busy = new Busy(team);
    assertFalse(team.tryRun(1, nothing -> {}, null));
    busy.end();
    assertTrue(team.tryRun(1, nothing -> {}, null));
  }

  @Test
  void sharesTasksEachDoneOnce() throws Exception {
    Team team = new Team(OpenMp.notFound());
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    for (int round = 0; round < 2000; round++) {
      AtomicIntegerArray done = new AtomicIntegerArray(1 + round % 40);
      team.share(
          done.length(),
          i -> {
            threads.add(Thread.currentThread());
            done.incrementAndGet(i);
          });
      for (int i = 0; i < done.length(); i++) {
        assertEquals(1, done.get(i), "task " + i + " of round " + round);
      }
      if (round % 100 == 0) {
        Thread.sleep(1); // the team's thread has gone to sleep
      }
    }
    assertTrue(threads.contains(Thread.currentThread()));
    assertTrue(threads.size() <= 2);
  }

  /** Both threads are there, or the first two tasks do not end. */
  private static void meet(CyclicBarrier both) {
    try {
      both.await(10, TimeUnit.SECONDS);
    } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
      throw new AssertionError("the other thread did not come", e);
    }
  }

  @Test
  void sharesTasksWithItsThread() {
    Team team = new Team(OpenMp.notFound());
    CyclicBarrier both = new CyclicBarrier(2);
    team.share(2, i -> meet(both));
    assertEquals(0, both.getNumberWaiting());
  }

  @Test
  void throwsInTheCallerWhatASharedTaskThrows() {
    Team team = new Team(OpenMp.notFound());
    Thread caller = Thread.currentThread();
    for (boolean inCaller : new boolean[] {true, false}) {
      CyclicBarrier both = new CyclicBarrier(2);
      assertThrows(
          IllegalStateException.class,
          () ->
              team.share(
                  2,
                  i -> {
                    meet(both);
                    if (inCaller == (Thread.currentThread() == caller)) {
                      throw new IllegalStateException("as it should");
                    }
                  }));
      CyclicBarrier again = new CyclicBarrier(2);
      team.share(2, i -> meet(again)); // and goes on
    }
  }

  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aCallerThatFindsItBusyDoesAllTasksItself() throws Exception {
    Team team = new Team(OpenMp.notFound());
    Busy busy = new Busy(team);
    Thread caller = Thread.currentThread();
    int[] tasks = new int[1];
    team.share(
        5,
        i -> {
          assertSame(caller, Thread.currentThread());
          tasks[0]++;
        });
    assertEquals(5, tasks[0]);
    busy.end();
  }

  @Test
  void endsItsWorkersAndStartsNewOnes() throws Exception {
    assumeTrue(Files.isDirectory(TASKS), "threads are counted the Linux way");
    Team team = new Team(OpenMp.loaded());
    team.run(1, nothing -> {}, null);
    long teams = threadsOfTeams();
    for (int round = 0; round < 3; round++) {
      assertTrue(TeamCheck.isWhole(team, 9));
      assertEquals(teams + 8, threadsOfTeams());
      assertTrue(team.endWorkers());
      assertThreadsOfTeams(teams);
      assertTrue(TeamCheck.isWhole(team, 1)); // and is told its size anew
      assertThreadsOfTeams(teams);
    }
  }

  /** Asks what there is, which loads oneDNN. */
  static final class Asks {
    public static void main(String[] args) throws Exception {
      String engines = NativeNorm.describe();
      assertThreadsOfTeams(1);
      System.out.println("one thread, " + engines);
    }
  }

  /** Its size is found out with a team, which would cost FUSED its threads, and then some. */
  @Test
  void loadingLeavesNoWorkers() throws Exception {
    assumeTrue(Files.isDirectory(TASKS), "threads are counted the Linux way");
    JavaProcess process = JavaProcess.run(Asks.class, Map.of(), "-XX:ActiveProcessorCount=4");
    assertEquals(0, process.status(), process.output());
    assertTrue(
        process.output().matches("(?s).*one thread, .*OpenMP team of 4.*"), process.output());
  }

  @Test
  void withoutOpenMpsFunctionsItsWorkersStay() {
    assertFalse(new Team(OpenMp.notFound()).endWorkers());
  }

  /** The kernel takes some time to forget a thread that was waited for. */
  private static void assertThreadsOfTeams(long expected) throws Exception {
    for (int i = 0; i < 1000 && threadsOfTeams() != expected; i++) {
      Thread.sleep(1);
    }
    assertEquals(expected, threadsOfTeams());
  }

  /** Threads of all teams: OpenMP's workers have the name of the thread that started them. */
  private static long threadsOfTeams() throws IOException {
    long count = 0;
    for (String task : TASKS.toFile().list()) {
      try {
        String name = Files.readString(TASKS.resolve(task).resolve("comm"));
        count += name.startsWith("nativenorm-oned") ? 1 : 0; // 15 characters is all they have
      } catch (NoSuchFileException e) {
        continue; // it has just ended
      }
    }
    return count;
  }
}
