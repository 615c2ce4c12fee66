package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The running statistics by PyTorch's and ONNX's rules; the numbers are worked out by hand. */
class RunningStatisticsTest {
  /** Mean 7/3, biased variance 14/9, unbiased 7/3. */
  private static final float[] BATCH = {1, 2, 4};

  private static void train(NormLayer layer, float[] values, long... shape) {
    try (Tensor x = Tensor.of(values, shape)) {
      layer.forwardTraining(x).close();
    }
  }

  private static void assertRunning(BatchNorm layer, double mean, double variance, long batches) {
    assertEquals(mean, layer.runningMean().toArray()[0], 1e-6);
    assertEquals(variance, layer.runningVar().toArray()[0], 1e-6);
    assertEquals(batches, layer.numBatchesTracked());
    assertEquals(batches, layer.state().get("num_batches_tracked").toArray()[0]);
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void pytorchBlendsInTheUnbiasedVariance(Backend backend) {
    try (BatchNorm layer = BatchNorm.builder(1).backend(backend).build()) {
      assertRunning(layer, 0, 1, 0);
      train(layer, BATCH, 3, 1);
      assertRunning(layer, 0.1 * 7 / 3, 0.9 + 0.1 * 7 / 3, 1);
      train(layer, BATCH, 1, 1, 3);
      assertRunning(layer, 0.19 * 7 / 3, 0.81 + 0.19 * 7 / 3, 2);
    }
  }

  @Test
  void onnxDecaysAndTakesThePopulationVariance() {
    try (BatchNorm layer =
        BatchNorm.builder(1).decay(0.9).runningVariance(RunningVariance.POPULATION).build()) {
      train(layer, BATCH, 3, 1);
      assertRunning(layer, 0.1 * 7 / 3, 0.9 + 0.1 * 14 / 9, 1);
    }
  }

  @Test
  void cumulativeIsThePlainAverageOfTheBatches() {
    try (BatchNorm layer = BatchNorm.builder(1).cumulative().build()) {
      train(layer, BATCH, 3, 1);
      assertRunning(layer, 7.0 / 3, 7.0 / 3, 1);
      train(layer, new float[] {2, 4, 8}, 3, 1);
      assertRunning(layer, 3.5, (7.0 / 3 + 28.0 / 3) / 2, 2);
    }
  }

  @Test
  void theLastCallOfMomentumDecayAndCumulativeCounts() {
    try (BatchNorm layer = BatchNorm.builder(1).cumulative().momentum(1).build()) {
      train(layer, new float[] {5, 7}, 2, 1);
      train(layer, BATCH, 3, 1);
      assertRunning(layer, 7.0 / 3, 7.0 / 3, 2);
    }
  }

  @Test
  void momentumZeroChangesNothingButTheCount() {
    try (BatchNorm layer = BatchNorm.builder(1).momentum(0).build()) {
      train(layer, BATCH, 3, 1);
      assertRunning(layer, 0, 1, 1);
    }
  }

  @Test
  void inferenceUsesThemAndLeavesThemAlone() {
    try (BatchNorm layer = BatchNorm.builder(1).eps(0).build()) {
      layer.runningMean().copyFrom(new float[] {2});
      layer.runningVar().copyFrom(new float[] {4});
      assertArrayEquals(new float[] {-0.5f, 0, 1}, layer.forward(BATCH, 3, 1));
      assertRunning(layer, 2, 4, 0);
    }
  }

  @Test
  void withoutThemInferenceUsesTheBatch() {
    try (BatchNorm layer = BatchNorm.builder(1).trackRunningStats(false).eps(1e-12).build();
        Tensor x = Tensor.zeros(2, 1)) {
      assertNull(layer.runningMean());
      assertNull(layer.runningVar());
      assertEquals(0, layer.numBatchesTracked());
      assertArrayEquals(new float[] {-1, 1}, layer.forward(new float[] {3, 5}, 2, 1));
      assertThrows(IllegalStateException.class, () -> layer.forwardFrozen(x));
    }
  }

  @Test
  void frozenLeavesThemAlone() {
    try (BatchNorm layer = BatchNorm.of(1);
        Tensor x = Tensor.of(BATCH, 3, 1);
        Pass pass = layer.forwardFrozen(x)) {
      assertRunning(layer, 0, 1, 0);
      assertArrayEquals(new float[] {0}, pass.mean().toArray());
      assertArrayEquals(new float[] {1}, pass.variance().toArray());
    }
  }

  @Test
  void instanceNormAveragesOverTheSamples() {
    // Means 7/3 and 14/3, unbiased variances 7/3 and 28/3.
    float[] x = {1, 2, 4, 2, 4, 8};
    try (InstanceNorm layer = InstanceNorm.builder(1).trackRunningStats(true).build()) {
      train(layer, x, 2, 1, 3);
      assertEquals(0.1 * 3.5, layer.runningMean().toArray()[0], 1e-6);
      assertEquals(0.9 + 0.1 * 35 / 6, layer.runningVar().toArray()[0], 1e-6);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 3})
  void anEmptyBatchLeavesThemAlone(long n) {
    long[] shape = n == 0 ? new long[] {0, 2, 3} : new long[] {n, 2, 0};
    try (BatchNorm batch = BatchNorm.of(2);
        InstanceNorm instance = InstanceNorm.builder(2).trackRunningStats(true).build();
        Tensor x = Tensor.zeros(shape)) {
      for (NormLayer layer : new NormLayer[] {batch, instance}) {
        try (Pass pass = layer.forwardTraining(x);
            Gradients gradients = pass.backward(x)) {
          assertArrayEquals(shape, pass.output().shape());
          assertArrayEquals(shape, gradients.input().shape());
        }
        assertArrayEquals(new float[] {0, 0}, layer.state().get("running_mean").toArray());
        assertArrayEquals(new float[] {1, 1}, layer.state().get("running_var").toArray());
        assertEquals(0, layer.state().get("num_batches_tracked").toArray()[0]);
      }
    }
  }

  @Test
  void concurrentUpdatesAreAllCounted() throws Exception {
    int threads = 8;
    int rounds = 200;
    try (BatchNorm layer = BatchNorm.builder(1).cumulative().build();
        Tensor x = Tensor.of(BATCH, 3, 1)) {
      ExecutorService pool = Executors.newFixedThreadPool(threads);
      for (int t = 0; t < threads; t++) {
        pool.submit(
            () -> {
              for (int i = 0; i < rounds; i++) {
                layer.forwardTraining(x).close();
              }
            });
      }
      pool.shutdown();
      assertTrue(pool.awaitTermination(60, TimeUnit.SECONDS));
      // The average of equal batches is the batch, whatever the order, and only if none is lost.
      assertRunning(layer, 7.0 / 3, 7.0 / 3, (long) threads * rounds);
    }
  }
}
