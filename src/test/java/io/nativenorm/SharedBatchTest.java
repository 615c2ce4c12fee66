package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.BatchInPartsTest.Batch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * BatchNorm with an exchange: workers with shares of a batch, some of them empty or of one value,
 * come to what one worker and the oracle have for the whole, with the same bits on all.
 */
@SuppressWarnings("try") // the scopes are there to close
@Timeout(60)
class SharedBatchTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  /** The shares of 1, 2, 3 and 8 workers. */
  private static final int[][] SHARES = {{7}, {5, 3}, {3, 0, 4}, {1, 0, 2, 3, 0, 1, 1, 4}};

  static Stream<Batch> batches() {
    List<Batch> batches = new ArrayList<>();
    boolean relu = false;
    for (Backend backend : TestEngines.all()) {
      if (backend == Backend.ONEDNN) {
        continue;
      }
      for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16)) {
        for (Layout layout : Layout.values()) {
          for (int[] shares : SHARES) {
            relu = !relu;
            batches.add(new Batch(backend, type, layout, 5, 6, relu, shares));
            batches.add(new Batch(backend, type, layout, 19, 1, !relu, shares));
            batches.add(new Batch(backend, type, layout, 16, 49, relu, shares));
          }
          relu = !relu;
        }
      }
    }
    return batches.stream();
  }

  /** What one worker has of a step. */
  private record Step(
      float[] y,
      float[] dx,
      float[] weight,
      float[] bias,
      float[] mean,
      float[] variance,
      float[] runningMean,
      float[] runningVar,
      long tracked) {

    static Step of(BatchNorm layer, Pass pass, Tensor dy) {
      Tensor dx = Tensor.allocate(dy.dataType(), dy.layout(), dy.shape());
      Tensor dWeight = Tensor.zeros(layer.channels);
      Tensor dBias = Tensor.zeros(layer.channels);
      pass.backward(dy, dx, dWeight, dBias);
      return new Step(
          CallSubjects.inOrder(pass.output()),
          CallSubjects.inOrder(dx),
          dWeight.toArray(),
          dBias.toArray(),
          pass.mean().toArray(),
          pass.variance().toArray(),
          layer.runningMean().toArray(),
          layer.runningVar().toArray(),
          layer.numBatchesTracked());
    }
  }

  private static BatchNorm configured(Batch b, BatchNorm.Builder builder) {
    BatchNorm layer =
        builder
            .backend(b.backend())
            .activation(b.relu() ? Activation.RELU : Activation.NONE)
            .build();
    layer.weight().copyFrom(TestData.normal(3, b.c(), 1, 0.5));
    layer.bias().copyFrom(TestData.normal(4, b.c(), 0, 1));
    return layer;
  }

  private static List<Step> together(Batch b, boolean merges, List<Tensor> x, List<Tensor> dy) {
    return Workers.run(
        StatisticsExchange.threads(b.parts().length, TIMEOUT),
        end -> {
          BatchNorm.Builder builder = BatchNorm.builder(b.c()).exchange(end);
          try (TensorScope scope = TensorScope.open();
              BatchNorm layer = configured(b, builder.mergeParameterGradients(merges))) {
            Pass pass = layer.forwardTraining(x.get(end.rank()));
            return Step.of(layer, pass, dy.get(end.rank()));
          }
        });
  }

  /** Within the error of F32 and so many roundings to the type. */
  private static void assertNear(
      Batch b, int roundings, double bound, double[] expected, float[] found, String what) {
    for (int i = 0; i < expected.length; i++) {
      double size = Math.abs(expected[i]);
      double error = Math.abs(found[i] - expected[i]) - roundings * b.step() * size;
      assertTrue(error <= bound * (1 + size), what + " " + i + ": " + error);
    }
  }

  private static void assertVariances(int units, double[] expected, float[] found) {
    for (int c = 0; c < expected.length; c++) {
      float nearest = (float) expected[c];
      assertEquals(nearest, found[c], units * Math.ulp(nearest), "variance " + c);
    }
  }

  private static float[] rounded(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  private static void assertMeans(float[] expected, float[] variances, float[] found) {
    for (int i = 0; i < expected.length; i++) {
      double bound = 2e-7 * (Math.abs(expected[i]) + Math.sqrt(variances[i]));
      assertEquals(expected[i], found[i], bound, "mean " + i);
    }
  }

  /** Variances of a layer that had ones, after a step. */
  private static double[] running(double[] variances, int values) {
    return Arrays.stream(variances)
        .map(variance -> 0.9 + 0.1 * variance * values / (values - 1))
        .toArray();
  }

  @ParameterizedTest
  @MethodSource("batches")
  void workersComeToWhatOneHasForTheWhole(Batch b) {
    float[] x = b.stored(TestData.normal(1, b.size(), 2, 1));
    float[] dy = b.stored(TestData.normal(2, b.size(), 0.1, 1));
    Batch whole = b.whole();
    // Sums in floats of ten values around 2 are 12 to 24 units off in a variance, of which a tenth
    // is taken in; where they are more values their errors cancel out.
    boolean few = b.samples() * b.s() < 50;
    try (TensorScope scope = TensorScope.open();
        BatchNorm layer = configured(b, BatchNorm.builder(b.c()))) {
      Oracle oracle = b.oracle(layer);
      double[] y = oracle.forward(TestData.widen(x));
      boolean[] undecided = oracle.undecided(TestData.widen(x));
      for (int e = 0; e < dy.length; e++) {
        dy[e] = undecided[e] ? 0 : dy[e];
      }
      double[][] gradients = oracle.backward(TestData.widen(x), TestData.widen(dy));
      Pass pass = layer.forwardTraining(whole.parts(x).get(0));
      Step one = Step.of(layer, pass, whole.parts(dy).get(0));

      List<Step> steps = together(b, true, b.parts(x), b.parts(dy));
      Step first = steps.get(0);
      for (Step step : steps) {
        assertArrayEquals(first.mean, step.mean);
        assertArrayEquals(first.variance, step.variance);
        assertArrayEquals(first.runningMean, step.runningMean);
        assertArrayEquals(first.runningVar, step.runningVar);
        assertArrayEquals(first.weight, step.weight);
        assertArrayEquals(first.bias, step.bias);
        assertEquals(1, step.tracked);
      }
      assertVariances(few ? 3 : 1, running(oracle.variance, b.samples() * b.s()), first.runningVar);
      assertVariances(few ? 3 : 1, TestData.widen(one.runningVar), first.runningVar);
      assertMeans(one.runningMean, one.runningVar, first.runningMean);
      assertMeans(one.mean, one.variance, first.mean);
      assertArrayEquals(rounded(oracle.variance), first.variance, 2e-6f);
      assertTrue(TestData.relativeL2(gradients[1], first.weight) <= 1e-6, "weight");
      assertTrue(TestData.relativeL2(gradients[2], first.bias) <= 1e-6, "bias");
      assertTrue(TestData.relativeL2(TestData.widen(one.weight), first.weight) <= 1e-6, "weight");
      assertTrue(TestData.relativeL2(TestData.widen(one.bias), first.bias) <= 1e-6, "bias");
      float[] outputs = b.joined(steps.stream().map(Step::y).toList());
      float[] inputGradients = b.joined(steps.stream().map(Step::dx).toList());
      assertNear(b, 1, 2e-6, y, outputs, "output");
      assertNear(b, 1, 2e-6, gradients[0], inputGradients, "gradient");
      assertNear(b, 2, 2e-6, TestData.widen(one.y), outputs, "output");
      assertNear(b, 2, few ? 4e-6 : 2e-6, TestData.widen(one.dx), inputGradients, "gradient");
    }
  }
}
