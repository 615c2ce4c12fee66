package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.LayerCase.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The numerical contract away from the middle: large means, constants, large groups, NaN. */
@SameOnAnyJvm
class NumericsTest {
  private static final List<Kind> WITH_OWN_STATISTICS =
      List.of(Kind.BATCH, Kind.LAYER, Kind.GROUP, Kind.INSTANCE);

  /** All layers that compute statistics, on all engines, in both layouts. */
  static List<LayerCase> cases() {
    List<LayerCase> cases = new ArrayList<>();
    for (Kind kind : WITH_OWN_STATISTICS) {
      for (long[] shape : new long[][] {{4, 64, 14, 28}, {4, 61, 14, 29}}) {
        for (Backend backend : TestEngines.all()) {
          for (Layout layout : Layout.values()) {
            cases.add(new LayerCase(kind, layout, backend, shape));
          }
        }
      }
    }
    return cases;
  }

  private static void assertError(LayerCase c, double allowed) {
    double[] expected = c.expected();
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor y = layer.forward(x);
        Pass pass = layer.forwardTraining(x)) {
      for (Tensor actual : List.of(y, pass.output())) {
        double error = TestData.largestError(expected, c.logical(actual));
        assertTrue(error < allowed, () -> c + ": error " + error);
      }
    }
  }

  private static void assertMixedError(LayerCase c) {
    double[] expected = c.expected();
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor y = layer.forward(x)) {
      double error = TestData.largestMixedError(expected, c.logical(y));
      assertTrue(error <= 1e-5, () -> c + ": |error| / (1 + |y|) is " + error);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void meansUpToTenStandardDeviations(LayerCase c) {
    for (double mean : new double[] {0, 0.5, 1, 2, 3, 4, 5, 10, -10}) {
      assertMixedError(c.withMean(mean));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void meanOneThousand(LayerCase c) {
    assertError(c.with(LayerCase.Affine.NONE).withMean(1e3), 1e-4);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void meanTenThousand(LayerCase c) {
    assertError(c.with(LayerCase.Affine.NONE).withMean(1e4), 1e-3);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void meanOneThousandInPlace(LayerCase c) {
    // With a weight: without, normalizing the result once more would not show.
    LayerCase large = c.withMean(1e3);
    double[] expected = large.expected();
    try (NormLayer layer = large.layer();
        Tensor x = large.tensor(large.x())) {
      layer.forward(x, x);
      assertEquals(0, TestData.largestError(expected, large.logical(x)), 5e-4);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void constantsGiveExactlyTheBias(LayerCase c) {
    double[] bias = c.trainingOracle().forward(new double[c.size()]);
    // Also the vectors that one-pass variances make NaN or noise of.
    for (float constant :
        new float[] {0, 1, 0.1f, -3.3f, 1234, 10000.1f, 1000000.3f, 1e-20f, 1e36f}) {
      float[] x = new float[c.size()];
      Arrays.fill(x, constant);
      try (NormLayer layer = c.layer();
          Tensor input = c.tensor(x);
          Tensor y = layer.forward(input)) {
        assertEquals(0, TestData.largestError(bias, c.logical(y)), c + " of " + constant);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "BATCH, CHANNELS_FIRST, 0", "BATCH, CHANNELS_LAST, 0", "GROUP, CHANNELS_FIRST, 1",
    "GROUP, CHANNELS_LAST, 0", "INSTANCE, CHANNELS_FIRST, 1", "INSTANCE, CHANNELS_LAST, 1"
  })
  void aQuarterMillionValuesInOneStatistic(Kind kind, Layout layout, double mean) {
    for (Backend backend : TestEngines.all()) {
      assertMixedError(new LayerCase(kind, layout, backend, 1, 8, 512, 512).withMean(mean));
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#all")
  void rmsGradientsOfOneSign(Backend backend) {
    for (int width : new int[] {512, 4096, 65536}) {
      rmsGradientsOfOneSign(backend, width);
    }
  }

  private static void rmsGradientsOfOneSign(Backend backend, int width) {
    float[] x = TestData.normal(1, 2 * width, 0, 1);
    float[] dy = new float[2 * width];
    Arrays.fill(dy, 1.1f);
    Oracle oracle = new Oracle(Oracle.Kind.RMS, 2, width, 1, 1, 1e-5, null, null, false);
    double[] expected = oracle.backward(TestData.widen(x), TestData.widen(dy))[0];
    try (RmsNorm layer = RmsNorm.builder(width).eps(1e-5).backend(backend).build();
        Tensor input = Tensor.of(x, 2, width);
        Tensor gradient = Tensor.of(dy, 2, width);
        Pass pass = layer.forwardTraining(input);
        Gradients gradients = pass.backward(gradient)) {
      assertEquals(0, TestData.relativeL2(expected, gradients.input().toArray()), 1e-5);
    }
  }

  @ParameterizedTest
  @CsvSource({"CHANNELS_FIRST", "CHANNELS_LAST"})
  void theReferencesGradientsKeepTheirDigitsAtLargeMeans(Layout layout) {
    LayerCase c = new LayerCase(Kind.BATCH, layout, Backend.JAVA, 8, 16, 400).withMean(1e4);
    float[] dy = TestData.normal(2, c.size(), 0.5, 1);
    double[][] expected = c.trainingOracle().backward(TestData.widen(c.x()), TestData.widen(dy));
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor gradient = c.tensor(dy);
        Pass pass = layer.forwardTraining(x);
        Gradients actual = pass.backward(gradient)) {
      assertEquals(0, TestData.relativeL2(expected[0], c.logical(actual.input())), 1e-6);
      assertEquals(0, TestData.relativeL2(expected[1], actual.weight().toArray()), 1e-6);
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aVarianceBeyondFloatGivesTheBiasAsInPytorch(Backend backend) {
    try (LayerNorm layer = LayerNorm.builder(4).backend(backend).build()) {
      float[] y = layer.forward(new float[] {1e20f, 2e20f, -1e20f, -2e20f});
      assertArrayEquals(new float[4], y);
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void rowsThatOnePassVariancesFailOn(Backend backend) {
    try (LayerNorm layer = LayerNorm.builder(4).backend(backend).build()) {
      float[] y = layer.forward(new float[] {40000, 40001, 40002, 40003});
      assertArrayEquals(new float[] {-1.341635f, -0.447212f, 0.447212f, 1.341635f}, y, 1e-5f);
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aGroupOfOneElementGivesTheBias(Backend backend) {
    for (long n : new long[] {1, 2}) {
      try (GroupNorm layer = GroupNorm.builder(6, 6).backend(backend).build()) {
        float[] bias = {1, 2, 3, 4, 5, 6};
        layer.bias().copyFrom(bias);
        float[] y = layer.forward(TestData.normal(n, (int) n * 6, 5, 1), n, 6, 1, 1);
        for (int i = 0; i < y.length; i++) {
          assertEquals(bias[i % 6], y[i]);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void nanAndInfinityStayInTheirUnit(LayerCase c) {
    boolean[] inUnit = unitOf(c, c.size() / 2);
    for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      float[] x = c.x();
      x[x.length / 2] = poison;
      float[] clean = c.x();
      try (NormLayer layer = c.layer();
          Tensor dirtyInput = c.tensor(x);
          Tensor cleanInput = c.tensor(clean);
          Tensor dirty = layer.forward(dirtyInput);
          Tensor expected = layer.forward(cleanInput)) {
        float[] dirtyValues = c.logical(dirty);
        float[] cleanValues = c.logical(expected);
        for (int i = 0; i < x.length; i++) {
          int element = i;
          if (inUnit[i]) {
            assertTrue(
                Float.isNaN(dirtyValues[i]), () -> c + ": element " + element + " hides " + poison);
          } else {
            assertEquals(cleanValues[i], dirtyValues[i], () -> c + ": element " + element);
          }
        }
      }
    }
  }

  /** Which elements share their statistics with one, found by watching the oracle. */
  private static boolean[] unitOf(LayerCase c, int element) {
    double[] x = TestData.widen(c.x());
    x[element] = Double.NaN;
    double[] y = c.trainingOracle().forward(x);
    boolean[] same = new boolean[y.length];
    for (int i = 0; i < y.length; i++) {
      same[i] = Double.isNaN(y[i]);
    }
    return same;
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void reluKeepsNan(Backend backend) {
    for (Layout layout : Layout.values()) {
      assertReluKeepsNan(backend, layout);
    }
  }

  private static void assertReluKeepsNan(Backend backend, Layout layout) {
    try (BatchNorm layer =
            BatchNorm.builder(16).backend(backend).activation(Activation.RELU).build();
        Tensor x = Tensor.allocate(DataType.F32, layout, 2, 16, 3)) {
      float[] values = TestData.normal(3, 96, 0, 1);
      values[40] = Float.NaN;
      x.copyFrom(values);
      layer.forward(x, x);
      float[] y = x.toArray();
      assertTrue(Float.isNaN(y[40]));
      for (int i = 0; i < y.length; i++) {
        assertTrue(i == 40 || y[i] >= 0, "element " + i + " is " + y[i]);
      }
    }
  }

  @Test
  void theSameInputGivesTheSameBits() {
    for (Kind kind : Kind.values()) {
      for (Layout layout : Layout.values()) {
        LayerCase c = new LayerCase(kind, layout, Backend.AUTO, 16, 64, 28, 28);
        try (NormLayer layer = c.layer();
            Tensor x = c.tensor(c.x());
            Tensor dy = c.tensor(c.dy());
            Pass first = layer.forwardTraining(x);
            Pass second = layer.forwardTraining(x);
            Gradients firstGradients = first.backward(dy);
            Gradients secondGradients = second.backward(dy)) {
          assertArrayEquals(first.output().toArray(), second.output().toArray(), c.toString());
          assertArrayEquals(
              firstGradients.input().toArray(), secondGradients.input().toArray(), c.toString());
          assertArrayEquals(
              firstGradients.weight().toArray(), secondGradients.weight().toArray(), c.toString());
        }
      }
    }
  }
}
