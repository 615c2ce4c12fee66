package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The public phases of BatchNorm: a batch that is computed in parts, some of them empty or with one
 * value in a channel, comes to what the oracle has for the whole.
 */
@SuppressWarnings("try") // the scopes are there to close
class BatchInPartsTest {
  private static final double EPS = 1e-5;

  /** A batch and the samples of its parts. */
  record Batch(
      Backend backend, DataType type, Layout layout, int c, int s, boolean relu, int... parts) {
    int samples() {
      return Arrays.stream(parts).sum();
    }

    int size() {
      return samples() * c * s;
    }

    long[] shape(int samples) {
      return s == 1 ? new long[] {samples, c} : new long[] {samples, c, s};
    }

    BatchNorm layer() {
      Activation activation = relu ? Activation.RELU : Activation.NONE;
      BatchNorm layer = BatchNorm.builder(c).backend(backend).activation(activation).build();
      layer.weight().copyFrom(TestData.normal(3, c, 1, 0.5));
      layer.bias().copyFrom(TestData.normal(4, c, 0, 1));
      return layer;
    }

    Oracle oracle(BatchNorm layer) {
      float[] weight = layer.weight().toArray();
      float[] bias = layer.bias().toArray();
      return new Oracle(Oracle.Kind.BATCH, samples(), c, s, 1, EPS, weight, bias, relu);
    }

    /** The same in one part. */
    Batch whole() {
      return new Batch(backend, type, layout, c, s, relu, samples());
    }

    /** What is left of values in this type. */
    float[] stored(float[] values) {
      try (Tensor wide = Tensor.of(values, values.length);
          Tensor stored = wide.to(type)) {
        return stored.toArray();
      }
    }

    /** The samples of each part as a tensor, all in the scope. */
    List<Tensor> parts(float[] values) {
      List<Tensor> made = new ArrayList<>();
      int from = 0;
      for (int samples : parts) {
        int to = from + samples * c * s;
        made.add(
            Tensor.of(Arrays.copyOfRange(values, from, to), shape(samples)).to(type).to(layout));
        from = to;
      }
      return made;
    }

    /** And back. */
    float[] whole(List<Tensor> tensors) {
      return joined(tensors.stream().map(CallSubjects::inOrder).toList());
    }

    float[] joined(List<float[]> inOrder) {
      float[] values = new float[size()];
      int at = 0;
      for (float[] part : inOrder) {
        System.arraycopy(part, 0, values, at, part.length);
        at += part.length;
      }
      return values;
    }

    /** What rounding to the type may add to the errors of F32, which are within 2e-6. */
    double step() {
      return switch (type) {
        case BF16 -> 0x1p-8;
        case F16 -> 0x1p-11;
        default -> 0;
      };
    }
  }

  static Stream<Batch> batches() {
    List<Batch> batches = new ArrayList<>();
    boolean relu = false;
    for (Backend backend : TestEngines.all()) {
      if (backend == Backend.ONEDNN) {
        continue;
      }
      for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16)) {
        for (Layout layout : Layout.values()) {
          relu = !relu;
          batches.add(new Batch(backend, type, layout, 5, 6, relu, 3, 0, 1, 3));
          batches.add(new Batch(backend, type, layout, 7, 49, !relu, 2, 6));
          batches.add(new Batch(backend, type, layout, 5, 1, relu, 1, 1, 0, 6, 1));
          batches.add(new Batch(backend, type, layout, 16, 1, !relu, 0, 9));
        }
      }
    }
    return batches.stream();
  }

  private static ChannelMoments measured(BatchNorm layer, List<Tensor> parts) {
    return parts.stream().map(layer::measure).reduce(ChannelMoments::merge).orElseThrow();
  }

  private static void assertNear(double[] expected, double[] found, double bound, String what) {
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(found[i] - expected[i]) / (1 + Math.abs(expected[i]));
      assertTrue(error <= bound, what + " " + i + ": error " + error);
    }
  }

  private static void assertStored(Batch b, double[] expected, float[] found, double scale) {
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(found[i] - expected[i]) - b.step() * Math.abs(expected[i]);
      assertTrue(error <= scale * (1 + Math.abs(expected[i])), "element " + i + ": " + error);
    }
  }

  @ParameterizedTest
  @MethodSource("batches")
  void partsComeToWhatTheWholeHas(Batch b) {
    float[] x = b.stored(TestData.normal(1, b.size(), 2, 1));
    float[] dy = b.stored(TestData.normal(2, b.size(), 0.1, 1));
    try (BatchNorm layer = b.layer();
        TensorScope scope = TensorScope.open()) {
      Oracle oracle = b.oracle(layer);
      double[] expected = oracle.forward(TestData.widen(x));
      List<Tensor> parts = b.parts(x);
      ChannelMoments m = measured(layer, parts);
      assertEquals((double) b.samples() * b.s, m.count());
      assertNear(oracle.mean, m.mean(), 1e-6, "mean");
      assertNear(oracle.variance, m.variance(), 1e-6, "variance");

      List<Tensor> outputs = b.parts(new float[b.size()]);
      for (int i = 0; i < b.parts.length; i++) {
        layer.apply(parts.get(i), m, outputs.get(i));
      }
      assertStored(b, expected, b.whole(outputs), 2e-6);

      boolean[] undecided = oracle.undecided(TestData.widen(x));
      for (int e = 0; e < dy.length; e++) {
        dy[e] = undecided[e] ? 0 : dy[e];
      }
      checkGradients(b, layer, oracle, x, dy, m, parts, outputs);
    }
  }

  private static void checkGradients(
      Batch b,
      BatchNorm layer,
      Oracle oracle,
      float[] x,
      float[] dy,
      ChannelMoments m,
      List<Tensor> parts,
      List<Tensor> outputs) {
    double[][] expected = oracle.backward(TestData.widen(x), TestData.widen(dy));
    List<Tensor> gradients = b.parts(dy);
    GradientSums sums = null;
    for (int i = 0; i < b.parts.length; i++) {
      Tensor y = b.relu ? outputs.get(i) : null;
      GradientSums part = layer.sumGradients(parts.get(i), m, y, gradients.get(i));
      part = GradientSums.fromArray(part.toArray());
      sums = sums == null ? part : sums.merge(part);
    }
    Tensor dWeight = Tensor.zeros(b.c);
    Tensor dBias = Tensor.zeros(b.c);
    layer.parameterGradients(m, sums, dWeight, dBias);
    assertTrue(TestData.relativeL2(expected[1], dWeight.toArray()) <= 1e-6, "weight");
    assertTrue(TestData.relativeL2(expected[2], dBias.toArray()) <= 1e-6, "bias");

    List<Tensor> apart = b.parts(new float[b.size()]);
    for (int i = 0; i < b.parts.length; i++) {
      Tensor y = b.relu ? outputs.get(i) : null;
      Tensor given = gradients.get(i);
      layer.applyGradients(parts.get(i), m, y, given, sums, apart.get(i));
      layer.applyGradients(parts.get(i), m, y, given, sums, given); // in place
    }
    assertStored(b, expected[0], b.whole(apart), 4e-6);
    assertArrayEquals(b.whole(apart), b.whole(gradients), "dx in dy's place");
  }

  @ParameterizedTest
  @MethodSource("batches")
  void onePartHasTheBitsOfTrainingOnFused(Batch b) {
    boolean fused = b.backend != Backend.JAVA && TestEngines.hasFused();
    float[] x = TestData.normal(5, b.size(), 3, 1);
    Batch one = b.whole();
    try (BatchNorm layer = b.layer();
        TensorScope scope = TensorScope.open()) {
      Tensor input = one.parts(x).get(0);
      Tensor y = one.parts(new float[b.size()]).get(0);
      layer.apply(input, layer.measure(input), y);
      assertArrayEquals(new float[b.c], layer.runningMean().toArray(), "phases update nothing");
      assertEquals(0, layer.numBatchesTracked());
      if (fused) {
        assertArrayEquals(layer.forwardTraining(input).output().toArray(), y.toArray());
      }
    }
  }

  @Test
  void momentsOfPartsAreThoseOfTheWhole() {
    double[] values = TestData.widen(TestData.normal(6, 999, 1e6, 1));
    ChannelMoments merged = ChannelMoments.fromArray(new double[3]);
    int from = 0;
    for (int to : new int[] {1, 2, 2, 500, 999}) {
      merged = merged.merge(twoPasses(values, from, to));
      from = to;
    }
    ChannelMoments whole = twoPasses(values, 0, 999);
    assertEquals(999, merged.count());
    assertEquals(whole.mean()[0], merged.mean()[0], 1e-9);
    assertEquals(whole.m2()[0], merged.m2()[0], 1e-9 * whole.m2()[0]);
  }

  private static ChannelMoments twoPasses(double[] values, int from, int to) {
    double mean = Arrays.stream(values, from, to).average().orElse(0);
    double m2 = Arrays.stream(values, from, to).map(v -> (v - mean) * (v - mean)).sum();
    return ChannelMoments.fromArray(new double[] {to - from, mean, m2});
  }

  @Test
  void anEmptyPartChangesNotABit() {
    double[] some = {3, 0.1, 7, 0.3, 1e-300};
    double[] none = {0, 5, Double.NaN, 6, 7};
    ChannelMoments m = ChannelMoments.fromArray(some);
    ChannelMoments empty = ChannelMoments.fromArray(none);
    assertArrayEquals(some, m.merge(empty).toArray());
    assertArrayEquals(some, empty.merge(m).toArray());
    assertArrayEquals(none, empty.merge(empty).toArray());
  }

  @Test
  void momentsDoNotChange() {
    double[] values = {2, 3, 4};
    ChannelMoments m = ChannelMoments.fromArray(values);
    values[1] = 9;
    m.mean()[0] = 9;
    m.m2()[0] = 9;
    m.toArray()[0] = 9;
    assertArrayEquals(new double[] {2, 3, 4}, m.toArray());
    GradientSums sums = GradientSums.fromArray(new double[] {1, 2});
    sums.dy()[0] = 9;
    sums.dyCentered()[0] = 9;
    sums.toArray()[0] = 9;
    assertArrayEquals(new double[] {1, 2}, sums.toArray());
  }

  /** As a pass's over the whole, whose float variance is infinite: its output is the bias. */
  @Test
  void aVarianceBeyondFloatsLeavesNoGradientOfTheWeight() {
    try (TensorScope scope = TensorScope.open();
        BatchNorm layer = BatchNorm.of(1)) {
      Tensor x = Tensor.of(new float[] {1e20f, -1e20f}, 2, 1);
      Tensor dy = Tensor.of(new float[] {1, -1}, 2, 1);
      ChannelMoments m = layer.measure(x);
      Tensor dWeight = Tensor.zeros(1);
      layer.parameterGradients(m, layer.sumGradients(x, m, null, dy), dWeight, null);
      float[] whole = layer.forwardTraining(x).backward(dy).weight().toArray();
      assertArrayEquals(whole, dWeight.toArray());
      assertEquals(0, whole[0]);
    }
  }

  private static void refused(String message, Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertEquals(message, e.getMessage());
  }

  @Test
  void whatDoesNotFitIsRefused() {
    refused(
        "moments: expected 2C + 1 values, a count, C means and C sums, but got 4",
        () -> ChannelMoments.fromArray(new double[4]));
    refused(
        "moments: expected 2C + 1 values, a count, C means and C sums, but got 1",
        () -> ChannelMoments.fromArray(new double[1]));
    refused(
        "moments: expected a finite whole count of 0 or more, but got NaN",
        () -> ChannelMoments.fromArray(new double[] {Double.NaN, 0, 0}));
    refused( // of which the unbiased variance would be negative
        "moments: expected a finite whole count of 0 or more, but got 0.5",
        () -> ChannelMoments.fromArray(new double[] {0.5, 0, 1}));
    refused(
        "moments: expected sums of squares of 0 or more, but got -1.0 of channel 1",
        () -> ChannelMoments.fromArray(new double[] {1, 0, 0, 0, -1}));
    refused(
        "gradient sums: expected 2C values, C sums of dy and C of dy times the distance, but got 3",
        () -> GradientSums.fromArray(new double[3]));
    ChannelMoments two = ChannelMoments.fromArray(new double[] {4, 0, 0, 1, 1});
    ChannelMoments three = ChannelMoments.fromArray(new double[7]);
    refused(
        "moments: expected others of 2 channels, but got moments of 3 channels and 0.0 values of"
            + " each",
        () -> two.merge(three));
    GradientSums ones = GradientSums.fromArray(new double[2]);
    GradientSums twos = GradientSums.fromArray(new double[4]);
    refused(
        "gradient sums: expected others of 1 channels, but got gradient sums of 2 channels",
        () -> ones.merge(twos));
    try (BatchNorm layer = BatchNorm.builder(2).activation(Activation.RELU).build();
        BatchNorm noEps = BatchNorm.builder(2).eps(0).build();
        Tensor x = Tensor.zeros(2, 2, 3);
        Tensor y = Tensor.zeros(2, 2, 3);
        Tensor other = Tensor.zeros(2, 2, 4);
        Tensor weight = Tensor.zeros(2)) {
      String name = "BatchNorm(2): ";
      refused(
          name
              + "expected moments of 2 channels, but got moments of 3 channels and 0.0 values of"
              + " each",
          () -> layer.apply(x, three, y));
      refused(
          name
              + "expected moments of the whole batch for F32 CHANNELS_FIRST [2, 2, 3], but"
              + " got moments of 2 channels and 0.0 values of each",
          () -> layer.apply(x, ChannelMoments.fromArray(new double[5]), y));
      refused(
          name
              + "Expected more than 1 value per channel when training, got moments of 2 channels"
              + " and 1.0 values of each",
          () -> layer.apply(x, ChannelMoments.fromArray(new double[] {1, 0, 0, 0, 0}), y));
      refused(
          name + "batch_norm eps must be positive during training, but got 0",
          () -> noEps.apply(x, two, y));
      refused(
          name + "the output of training must be apart from the input, which backward reads",
          () -> layer.apply(x, two, x));
      refused(
          name
              + "expected dy like the input, F32 CHANNELS_FIRST [2, 2, 3], but got"
              + " F32 CHANNELS_FIRST [2, 2, 4]",
          () -> layer.sumGradients(x, two, y, other));
      refused(
          name
              + "expected y like the input, F32 CHANNELS_FIRST [2, 2, 3], but got"
              + " F32 CHANNELS_FIRST [2, 2, 4]",
          () -> layer.sumGradients(x, two, other, y));
      refused(
          name + "dx must be apart from the input, but overlaps it",
          () -> layer.applyGradients(x, two, y, y, twos, x));
      refused(
          name + "expected gradient sums of 2 channels, but got gradient sums of 1 channels",
          () -> layer.parameterGradients(two, ones, weight, null));
      refused(
          name + "dWeight must be apart from dBias, but overlaps it",
          () -> layer.parameterGradients(two, twos, weight, weight));
      refused(
          name + "dBias must be apart from the bias, but overlaps it",
          () -> layer.parameterGradients(two, twos, weight, layer.bias()));
      NullPointerException e =
          assertThrows(NullPointerException.class, () -> layer.sumGradients(x, two, null, y));
      assertEquals("y", e.getMessage());
    }
  }

  @Test
  void onednnRefusesPhases() {
    if (TestEngines.all().contains(Backend.ONEDNN)) {
      try (BatchNorm layer = BatchNorm.builder(2).backend(Backend.ONEDNN).build();
          Tensor x = Tensor.zeros(2, 2, 3)) {
        NativeNormException e = assertThrows(NativeNormException.class, () -> layer.measure(x));
        assertTrue(e.getMessage().contains("has no phases"), e::getMessage);
      }
    }
  }
}
