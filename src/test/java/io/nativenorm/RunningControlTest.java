package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Running statistics that are frozen, reset, kept from bad batches and from single values. */
@SuppressWarnings("try") // the scopes are there to close
class RunningControlTest {
  private static final int N = 3;
  private static final int C = 4;
  private static final int S = 5;
  private static final float[] MEAN = {0.5f, -1, 2, 0};
  private static final float[] VARIANCE = {1, 4, 0.25f, 9};

  /** A layer that tracks running statistics, and what it is given. */
  record Case(boolean instance, Backend backend, DataType type, Layout layout, boolean relu) {
    RunningBuilder<?> builder() {
      RunningBuilder<?> builder =
          instance ? InstanceNorm.builder(C).affine(true) : BatchNorm.builder(C);
      builder.trackRunningStats(true);
      builder.backend(backend);
      builder.activation(relu ? Activation.RELU : Activation.NONE);
      return builder;
    }

    RunningNorm layer() {
      return layer(builder());
    }

    RunningNorm layer(RunningBuilder<?> builder) {
      RunningNorm layer = (RunningNorm) builder.build();
      layer.weight().copyFrom(TestData.normal(1, C, 1, 0.5));
      layer.bias().copyFrom(TestData.normal(2, C, 0, 1));
      layer.runningMean().copyFrom(MEAN);
      layer.runningVar().copyFrom(VARIANCE);
      return layer;
    }

    Tensor tensor(float[] values, long... shape) {
      try (Tensor plain = Tensor.of(values, shape);
          Tensor stored = plain.to(type)) {
        return stored.to(layout);
      }
    }

    Tensor tensor(long seed) {
      return tensor(TestData.normal(seed, N * C * S, 1, 2), N, C, S);
    }
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    boolean relu = false;
    for (boolean instance : new boolean[] {false, true}) {
      for (Backend backend : TestEngines.all()) {
        for (DataType type : List.of(DataType.F32, DataType.BF16)) {
          if (type != DataType.F32 && backend == Backend.ONEDNN) {
            continue;
          }
          for (Layout layout : Layout.values()) {
            cases.add(new Case(instance, backend, type, layout, relu));
            relu = !relu;
          }
          relu = !relu;
        }
      }
    }
    return cases.stream();
  }

  private static void assertRunning(RunningNorm layer, float[] mean, float[] variance, long count) {
    assertArrayEquals(mean, layer.runningMean().toArray());
    assertArrayEquals(variance, layer.runningVar().toArray());
    assertEquals(count, layer.numBatchesTracked());
  }

  private static void assertClose(Case c, double[] expected, Tensor found, String what) {
    float[] values = CallSubjects.inOrder(found);
    double step = c.type == DataType.BF16 && found.dataType() == c.type ? 0x1p-8 : 0;
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(values[i] - expected[i]) - step * Math.abs(expected[i]);
      assertTrue(error <= 1e-5 * (1 + Math.abs(expected[i])), what + " " + i + ": " + error);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aFrozenLayerTrainsByItsRunningStatistics(Case c) {
    try (RunningNorm layer = c.layer();
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(3);
      Tensor dy = c.tensor(4);
      layer.freeze();
      assertTrue(layer.isFrozen());
      double[] values = TestData.widen(CallSubjects.inOrder(x));
      float[] weight = layer.weight().toArray();
      float[] bias = layer.bias().toArray();
      Oracle oracle = new Oracle(Oracle.Kind.BATCH, N, C, S, 1, 1e-5, weight, bias, c.relu);
      oracle.given(MEAN, VARIANCE);
      double[] expected = oracle.forward(values);
      Pass pass = layer.forwardTraining(x);
      assertClose(c, expected, pass.output(), "y");
      Gradients gradients = pass.backward(dy);
      double[][] wanted = oracle.backward(values, TestData.widen(CallSubjects.inOrder(dy)));
      assertClose(c, wanted[0], gradients.input(), "dx");
      assertClose(c, wanted[1], gradients.weight(), "dWeight");
      assertClose(c, wanted[2], gradients.bias(), "dBias");

      Tensor y = c.tensor(5);
      Pass given = layer.forwardTraining(x, y);
      assertClose(c, expected, y, "y that was given");
      assertClose(c, expected, layer.forwardFrozen(x).output(), "forwardFrozen");
      given.forward(x, y);
      if (c.type == DataType.F32 && c.layout == Layout.CHANNELS_FIRST) {
        float[] array = new float[N * C * S];
        layer.forwardTraining(x.toArray(), array, N, C, S);
        assertArrayEquals(y.toArray(), array, "arrays");
      }
      assertRunning(layer, MEAN, VARIANCE, 0);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aThawedLayerGoesOnFromThem(Case c) {
    try (RunningNorm layer = c.layer();
        RunningNorm other = c.layer();
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(3);
      layer.freeze();
      layer.forwardTraining(x);
      layer.thaw();
      layer.thaw();
      assertFalse(layer.isFrozen());
      float[] expected = other.forwardTraining(x).output().toArray();
      assertArrayEquals(expected, layer.forwardTraining(x).output().toArray());
      assertRunning(layer, other.runningMean().toArray(), other.runningVar().toArray(), 1);
    }
  }

  @Test
  void aPassDoesNotSurviveAChangeThatItWouldNotSee() {
    try (BatchNorm layer = BatchNorm.of(2);
        TensorScope scope = TensorScope.open()) {
      Tensor x = Tensor.zeros(3, 2);
      Tensor y = Tensor.zeros(3, 2);
      Pass training = layer.forwardTraining(x, y);
      Pass arrays = layer.forwardTraining(new float[6], new float[6], 3, 2);
      Pass without = layer.forwardTrainingWithoutUpdate(x);
      Pass frozen = layer.forwardFrozen(x);
      layer.freeze();
      String message =
          "BatchNorm(2) was frozen after this pass was made; forwardTraining makes one for its"
              + " next steps";
      IllegalStateException e =
          assertThrows(IllegalStateException.class, () -> training.forward(x, y));
      assertEquals(message, e.getMessage());
      e =
          assertThrows(
              IllegalStateException.class, () -> arrays.forward(new float[6], new float[6]));
      assertEquals(message, e.getMessage());
      training.backward(x); // of the last step
      without.forward(x, y);
      frozen.forward(x, y);
      Pass made = layer.forwardTraining(x, y);
      layer.thaw();
      e = assertThrows(IllegalStateException.class, () -> made.forward(x, y));
      assertTrue(e.getMessage().startsWith("BatchNorm(2) was thawed after"), e::getMessage);
      training.forward(x, y);
      frozen.forward(x, y);
      assertEquals(3, layer.numBatchesTracked());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void nothingIsTakenInOnceItIsFrozen(boolean masked) throws Exception {
    long[] lengths = new long[64];
    Arrays.fill(lengths, 20);
    Mask mask = Mask.lengths(lengths);
    try (BatchNorm layer = BatchNorm.of(C);
        Tensor x = Tensor.of(TestData.normal(6, 64 * C * 50, 3, 1), 64, C, 50)) {
      ExecutorService pool = Executors.newFixedThreadPool(3);
      AtomicBoolean ended = new AtomicBoolean();
      for (int t = 0; t < 3; t++) {
        pool.submit(
            () -> {
              while (!ended.get()) {
                (masked ? layer.forwardTraining(x, mask) : layer.forwardTraining(x)).close();
              }
            });
      }
      for (int round = 0; round < 100; round++) {
        layer.freeze();
        long count = layer.numBatchesTracked();
        float[] mean = layer.runningMean().toArray();
        Thread.sleep(1);
        assertRunning(layer, mean, layer.runningVar().toArray(), count);
        layer.thaw();
        Thread.sleep(0, 300_000);
      }
      ended.set(true);
      pool.shutdown();
      assertTrue(pool.awaitTermination(60, TimeUnit.SECONDS));
      assertTrue(layer.numBatchesTracked() > 0);
    }
  }

  @Test
  void explainSaysWhatAFrozenLayerRuns() {
    try (BatchNorm layer = BatchNorm.of(2);
        Tensor x = Tensor.zeros(1, 2)) {
      layer.freeze();
      Explanation frozen = layer.explanation(x);
      assertEquals(frozen.inference(), frozen.training());
      layer.forwardTraining(x).close(); // one value in a channel is enough
    }
  }

  @Test
  void withoutRunningStatisticsNothingIsFrozen() {
    try (BatchNorm layer = BatchNorm.builder(2).trackRunningStats(false).build()) {
      IllegalStateException e = assertThrows(IllegalStateException.class, layer::freeze);
      assertEquals("BatchNorm(2) has no running statistics to freeze", e.getMessage());
      layer.thaw();
      layer.resetRunningStats();
      layer.momentum(0.5);
      assertFalse(layer.isFrozen());
      assertEquals(0, layer.batchesSkipped());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void resetIsTheBeginning(Case c) {
    try (RunningNorm layer = c.layer(c.builder().skipNonFinite(true));
        Tensor x = c.tensor(3);
        Tensor bad = c.tensor(filled(Float.NaN), N, C, S)) {
      layer.forwardTraining(x).close();
      layer.forwardTraining(bad).close();
      assertEquals(1, layer.batchesSkipped());
      layer.resetRunningStats();
      assertRunning(layer, new float[C], new float[] {1, 1, 1, 1}, 0);
      assertEquals(0, layer.batchesSkipped());
    }
  }

  private static float[] filled(float value) {
    float[] values = TestData.normal(7, N * C * S, 1, 2);
    values[S + 1] = value; // of channel 1 of the first sample
    return values;
  }

  @Test
  void momentumChangesOnALayer() {
    try (BatchNorm layer = BatchNorm.builder(1).cumulative().build();
        Tensor x = Tensor.of(new float[] {1, 2, 4}, 3, 1)) {
      layer.momentum(0.5);
      layer.forwardTraining(x).close();
      assertEquals(0.5 * 7 / 3, layer.runningMean().toArray()[0], 1e-6);
      assertEquals(0.5 + 0.5 * 7 / 3, layer.runningVar().toArray()[0], 1e-6);
      layer.momentum(1);
      layer.forwardTraining(x).close();
      assertEquals(7.0 / 3, layer.runningMean().toArray()[0], 1e-6);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> layer.momentum(Double.NaN));
      assertEquals("BatchNorm(1): momentum must be finite, but got NaN", e.getMessage());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aBatchThatIsNotFiniteIsLeftOut(Case c) {
    float[] bad = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 1e30f};
    try (RunningNorm layer = c.layer(c.builder().skipNonFinite(true));
        RunningNorm plain = c.layer();
        Tensor good = c.tensor(3)) {
      for (float value : bad) {
        try (Tensor x = c.tensor(filled(value), N, C, S);
            Pass pass = layer.forwardTraining(x);
            Pass usual = plain.forwardTraining(x)) {
          assertArrayEquals(usual.output().toArray(), pass.output().toArray());
        }
        assertRunning(layer, MEAN, VARIANCE, 0);
      }
      assertFalse(Float.isFinite(plain.runningVar().toArray()[1]));
      assertEquals(bad.length, layer.batchesSkipped());
      assertEquals(0, plain.batchesSkipped());
      layer.forwardTraining(good).close();
      assertEquals(1, layer.numBatchesTracked());
      assertTrue(layer.runningMean().toArray()[0] != MEAN[0]);
      assertEquals(bad.length, layer.batchesSkipped());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void oneValueGivesTheBiasWherePassed(Case c) {
    int samples = c.instance ? 2 : 1;
    float[] values = TestData.normal(8, samples * C, 3, 1);
    try (RunningNorm layer = c.layer(c.builder().oneValuePerChannel(OneValue.PASS));
        RunningNorm refusing = c.layer();
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(values, samples, C, 1);
      Tensor dy = c.tensor(TestData.normal(9, samples * C, 0, 1), samples, C, 1);
      assertThrows(IllegalArgumentException.class, () -> refusing.forwardTraining(x));
      Pass pass = layer.forwardTraining(x);
      float[] y = CallSubjects.inOrder(pass.output());
      float[] given = CallSubjects.inOrder(dy);
      double[] dBias = new double[C];
      Tensor bias = c.tensor(layer.bias().toArray(), C);
      for (int i = 0; i < y.length; i++) {
        float expected = bias.toArray()[i % C];
        boolean cut = c.relu && expected <= 0;
        assertEquals(cut ? 0 : expected, y[i]);
        dBias[i % C] += cut ? 0 : given[i];
      }
      Gradients gradients = pass.backward(dy);
      assertArrayEquals(new float[y.length], plus0(gradients.input().toArray()));
      assertArrayEquals(new float[C], plus0(gradients.weight().toArray()));
      assertClose(c, dBias, gradients.bias(), "dBias");
      assertArrayEquals(VARIANCE, layer.runningVar().toArray());
      float[] stored = CallSubjects.inOrder(x);
      for (int i = 0; i < C; i++) {
        double mean = c.instance ? (stored[i] + (double) stored[i + C]) / 2 : stored[i];
        assertEquals(0.9 * MEAN[i] + 0.1 * mean, layer.runningMean().toArray()[i], 1e-6);
      }
      assertEquals(1, layer.numBatchesTracked());
    }
  }

  /** Without the sign of a zero. */
  private static float[] plus0(float[] values) {
    for (int i = 0; i < values.length; i++) {
      values[i] += 0f;
    }
    return values;
  }

  @Test
  void passAndCumulativeAreNotComputed() {
    BatchNorm.Builder builder = BatchNorm.builder(2).cumulative().oneValuePerChannel(OneValue.PASS);
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, builder::build);
    assertEquals(
        "BatchNorm(2): oneValuePerChannel(PASS) has no average of variances to go with"
            + " cumulative(), but got both",
        e.getMessage());
  }

  @Test
  void momentsOfOneValueArePassedToo() {
    ChannelMoments one = ChannelMoments.fromArray(new double[] {1, 5, 0});
    try (BatchNorm layer = BatchNorm.builder(1).oneValuePerChannel(OneValue.PASS).build();
        Tensor x = Tensor.of(new float[] {5}, 1, 1);
        Tensor y = Tensor.zeros(1, 1)) {
      layer.bias().copyFrom(new float[] {0.75f});
      layer.apply(x, one, y);
      assertEquals(0.75f, y.toArray()[0]);
      layer.updateRunningStats(one);
      assertEquals(0.5f, layer.runningMean().toArray()[0]);
      assertEquals(1, layer.runningVar().toArray()[0]);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void withoutUpdateItIsTrainingThatLeavesThemAlone(Case c) {
    try (RunningNorm layer = c.layer();
        RunningNorm other = c.layer();
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(3);
      Tensor next = c.tensor(4);
      Tensor y = c.tensor(5);
      Pass expected = other.forwardTraining(x);
      Pass pass = layer.forwardTrainingWithoutUpdate(x);
      assertArrayEquals(expected.output().toArray(), pass.output().toArray());
      assertArrayEquals(
          expected.backward(next).input().toArray(), pass.backward(next).input().toArray());
      layer.freeze();
      pass.forward(next, y);
      assertArrayEquals(other.forwardTraining(next).output().toArray(), y.toArray());
      assertArrayEquals(
          expected.output().toArray(),
          layer.forwardTrainingWithoutUpdate(x).output().toArray(),
          "frozen");
      assertRunning(layer, MEAN, VARIANCE, 0);
    }
  }

  @Test
  void momentsGoIntoTheRunningStatisticsAsABatchDoes() {
    float[] values = TestData.normal(10, N * C * S, 3, 2);
    try (BatchNorm layer = BatchNorm.builder(C).skipNonFinite(true).build();
        BatchNorm other = BatchNorm.of(C);
        Tensor x = Tensor.of(values, N, C, S)) {
      ChannelMoments m = layer.measure(x);
      layer.updateRunningStats(m);
      other.forwardTraining(x).close();
      for (int i = 0; i < C; i++) {
        float mean = other.runningMean().toArray()[i];
        float variance = other.runningVar().toArray()[i];
        assertEquals(mean, layer.runningMean().toArray()[i], Math.ulp(mean));
        assertEquals(variance, layer.runningVar().toArray()[i], Math.ulp(variance));
      }
      layer.updateRunningStats(ChannelMoments.fromArray(new double[2 * C + 1])); // nothing
      double[] bad = m.toArray();
      bad[1] = Double.NaN;
      layer.updateRunningStats(ChannelMoments.fromArray(bad));
      layer.freeze();
      layer.updateRunningStats(m);
      assertEquals(1, layer.numBatchesTracked());
      assertEquals(1, layer.batchesSkipped());
    }
  }
}
