package io.nativenorm.engine.onednn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.nativenorm.Activation;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.NativeNorm;
import io.nativenorm.engine.Direction;
import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.NativeMemory;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Statistics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

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
            Operation.LAYER,
            Direction.INFERENCE,
            Statistics.COMPUTED,
            DataType.F32,
            Layout.CHANNELS_LAST,
            1,
            4,
            1,
            1,
            0,
            false,
            false,
            Activation.NONE,
            1);
    Helpers helpers = new Helpers(() -> {}, () -> true);
    OnednnKernel kernel = OnednnKernel.prepare(team, helpers, problem, 1);
    NativeMemory memory = new NativeMemory(8);
    NativeFloats x = memory.floats().slice(0, 4);
    NativeFloats y = memory.floats().slice(4, 4);
    x.put(new float[] {-1, -1, 1, 1});
    kernel.execute(Operands.forward(x, y, null, null, null, null));
    assertEquals(1, y.get(3));
    kernel.free();
    memory.free();
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

  @Test
  void isTriedWithoutWaiting() throws Exception {
    Team team = new Team(OpenMp.notFound());
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    Thread other =
        new Thread(
            () ->
                team.run(
                    1,
                    nothing -> {
                      begun.countDown();
                      try {
                        finish.await();
                      } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                      }
                    },
                    null));
    other.start();
    begun.await();
    assertFalse(team.tryRun(1, nothing -> {}, null));
    finish.countDown();
    other.join();
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

  /** Both threads must be there for the first two tasks to end. */
  @Test
  void sharesTasksWithItsThread() {
    Team team = new Team(OpenMp.notFound());
    CyclicBarrier both = new CyclicBarrier(2);
    team.share(
        2,
        i -> {
          try {
            both.await();
          } catch (InterruptedException | BrokenBarrierException e) {
            throw new IllegalStateException(e);
          }
        });
    assertEquals(0, both.getNumberWaiting());
  }

  @Test
  void throwsInTheCallerWhatASharedTaskThrows() {
    Team team = new Team(OpenMp.notFound());
    for (int failing = 0; failing < 4; failing++) {
      int which = failing;
      assertThrows(
          IllegalStateException.class,
          () ->
              team.share(
                  4,
                  i -> {
                    if (i == which) {
                      throw new IllegalStateException("as it should");
                    }
                  }));
      team.share(4, i -> {}); // and goes on
    }
  }

  @Test
  void aCallerThatFindsItBusyDoesAllTasksItself() throws Exception {
    Team team = new Team(OpenMp.notFound());
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    Thread other =
        new Thread(
            () ->
                team.run(
                    1,
                    nothing -> {
                      begun.countDown();
                      try {
                        finish.await();
                      } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                      }
                    },
                    null));
    other.start();
    begun.await();
    Thread caller = Thread.currentThread();
    int[] tasks = new int[1];
    team.share(
        5,
        i -> {
          assertSame(caller, Thread.currentThread());
          tasks[0]++;
        });
    assertEquals(5, tasks[0]);
    finish.countDown();
    other.join();
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
