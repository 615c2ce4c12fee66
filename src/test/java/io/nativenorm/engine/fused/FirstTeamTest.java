package io.nativenorm.engine.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.nativenorm.DataType;
import io.nativenorm.JavaProcess;
import io.nativenorm.SameOnAnyJvm;
import io.nativenorm.TestEngines;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.HelpersPair;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/**
 * Another engine makes its first team while calls run that nobody has counted: when it gets the
 * right to threads there are no workers, and none come before it gives it back.
 */
class FirstTeamTest {
  private static final Path TASKS = Path.of("/proc/self/task");

  /** A process has its first team once, so each round has a right of its own. */
  static final class Callers {
    private static final int ROUNDS = 20;
    private static final int CALLERS = 3;
    private static final int WORKERS = 7;
    private static final long ROWS = 128;
    private static final long LENGTH = 512;

    public static void main(String[] args) throws Exception {
      assertTrue(new FusedEngine().unavailable().isEmpty());
      ExecutorService pool = Executors.newFixedThreadPool(CALLERS);
      int helpedRounds = 0;
      List<String> late = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        HelpersPair pair =
            HelpersPair.of(
                () -> NativeKernels.setWorkers(WORKERS),
                () -> {
                  NativeKernels.setWorkers(0);
                  return true;
                });
        FusedPlan plan = FusedPlan.prepare(problem(), WORKERS + 1, pair.first());
        AtomicBoolean stop = new AtomicBoolean();
        AtomicInteger calls = new AtomicInteger();
        List<Future<?>> callers = new ArrayList<>();
        int callersNow = 1 + round % CALLERS;
        for (int i = 0; i < callersNow; i++) {
          callers.add(pool.submit(() -> callUntil(stop, plan, calls)));
        }
        awaitCalls(calls, callersNow);
        helpedRounds += workers() > 0 ? 1 : 0;
        if (!pair.second().enterInTurn()) {
          throw new AssertionError("the right was not given up");
        }
        int before = calls.get();
        for (int looks = 0; looks < 1000 && workers() > 0; looks++) {
          Thread.sleep(1); // one that was waited for may still be listed
        }
        awaitCalls(calls, before + 2 * callersNow);
        if (workers() > 0) {
          late.add("round " + round + ": " + workers());
        }
        pair.second().giveBack();
        stop.set(true);
        for (Future<?> caller : callers) {
          caller.get();
        }
        NativeKernels.setWorkers(0);
        plan.free();
      }
      pool.shutdown();
      System.out.println("helped " + helpedRounds + ", late " + late);
    }

    private static Problem problem() {
      return new Problem(
          new Norm(Operation.LAYER, StatisticsSource.COMPUTED, 1e-5),
          Shape.ofRows(ROWS, LENGTH),
          Storage.of(DataType.F32),
          new Affine(false, false),
          Fusion.NONE,
          Task.INFER,
          WORKERS + 1);
    }

    private static void callUntil(AtomicBoolean stop, FusedPlan plan, AtomicInteger calls) {
      try (PooledMemory x = MemoryPool.take(DataType.F32, ROWS * LENGTH)) {
        x.memory().setAll(1);
        Operands operands =
            Operands.builder().put(Slot.SRC, x.memory()).put(Slot.DST, x.memory()).build();
        while (!stop.get()) {
          plan.execute(operands);
          calls.incrementAndGet();
        }
      }
    }

    private static void awaitCalls(AtomicInteger calls, int count) {
      while (calls.get() < count) {
        Thread.yield();
      }
    }

    private static int workers() throws IOException {
      int count = 0;
      for (String task : TASKS.toFile().list()) {
        try {
          String name = Files.readString(TASKS.resolve(task).resolve("comm"));
          count += name.matches("nativenorm-\\d+\\s*") ? 1 : 0;
        } catch (IOException e) {
          continue; // it has just ended
        }
      }
      return count;
    }
  }

  @Test
  @SameOnAnyJvm
  void findsNoWorkersWhateverRuns() throws Exception {
    assumeTrue(Files.isDirectory(TASKS), "threads are counted the Linux way");
    TestEngines.assumeFused();
    JavaProcess process = JavaProcess.run(Callers.class, Map.of(), "-XX:ActiveProcessorCount=8");
    assertEquals(0, process.status(), process.output());
    assertTrue(process.output().contains("late []"), process.output());
    assertTrue(process.output().matches("(?s).*helped [1-9].*"), process.output());
  }
}
