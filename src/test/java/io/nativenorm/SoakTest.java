package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/**
 * The same things for long. {@code -Dnativenorm.soak.seconds} and {@code -Dnativenorm.soak.rounds}
 * make it a minute and a million; CI does, with a small heap.
 */
class SoakTest {
  private static final int SECONDS = Integer.getInteger("nativenorm.soak.seconds", 3);
  private static final int ROUNDS = Integer.getInteger("nativenorm.soak.rounds", 20_000);
  private static final int THREADS = 64;

  /** One thread's share: inference, and now and then training, on the one layer. */
  private static long work(LayerCase c, NormLayer layer, double[] expected, double[] dx, long end) {
    long calls = 0;
    while (System.nanoTime() < end) {
      // c.x() and the copies of the results are garbage enough: 10 KB a call.
      try (Tensor x = c.tensor(c.x());
          Tensor y = layer.forward(x)) {
        assertTrue(TestData.largestMixedError(expected, c.logical(y)) <= 1e-5);
        if (calls % 8 == 0) {
          try (Tensor dy = c.tensor(c.dy());
              Pass pass = layer.forwardTraining(x);
              Gradients gradients = pass.backward(dy)) {
            assertTrue(TestData.relativeL2(dx, c.logical(gradients.input())) <= 1e-5);
          }
        }
      }
      calls++;
    }
    return calls;
  }

  @Test
  void manyThreadsOnOneLayerAreAlwaysRight() throws Exception {
    LayerCase c = new LayerCase(LayerCase.Kind.LAYER, Layout.CHANNELS_FIRST, Backend.AUTO, 16, 96);
    double[] expected = c.inferenceOracle().forward(TestData.widen(c.x()));
    double[] dx = c.trainingOracle().backward(TestData.widen(c.x()), TestData.widen(c.dy()))[0];
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    AtomicLong calls = new AtomicLong();
    try (NormLayer layer = c.layer()) {
      long end = System.nanoTime() + SECONDS * 1_000_000_000L;
      List<Callable<Long>> all = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        all.add(() -> work(c, layer, expected, dx, end));
      }
      for (Future<Long> done : pool.invokeAll(all)) {
        calls.addAndGet(done.get());
      }
    } finally {
      pool.shutdown();
    }
    System.out.println(THREADS + " threads, " + SECONDS + " s: " + calls + " calls, all right");
    assertTrue(calls.get() > THREADS);
  }

  @Test
  void closedRoundsLeaveNativeMemoryWhereItWas() throws InterruptedException {
    long bytes = 0;
    long resident = 0;
    for (int i = 0; i < ROUNDS; i++) {
      if (i == ROUNDS / 10) { // pools are filled, loops are compiled
        System.gc();
        bytes = LeakCheck.inUse();
        resident = Pointer.physicalBytes();
      }
      try (LayerNorm layer = LayerNorm.of(256);
          Tensor x = Tensor.zeros(4, 256);
          Tensor y = layer.forward(x);
          Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(y)) {
        assertEquals(4 * 256, gradients.input().size());
      }
    }
    System.gc();
    // What is being trimmed: once in some runs it was 12 MB.
    for (int i = 0; i < 100 && LeakCheck.inUse() > bytes; i++) {
      Thread.sleep(100);
    }
    long more = LeakCheck.inUse() - bytes; // less where the collector found what others had dropped
    long grown = Pointer.physicalBytes() - resident;
    System.out.println(
        ROUNDS + " rounds: " + more + " bytes more in pointers, " + grown + " more resident");
    assertTrue(more <= 0, () -> more + " bytes more in pointers");
    // A leak of one float a round would be 4 MB in a million rounds of 17 allocations each; the
    // collector's own bookkeeping moves by a few MB.
    assertTrue(grown < 32L << 20, () -> "resident set grew by " + grown);
  }
}
