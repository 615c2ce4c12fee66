package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.MaskCase.Counted;
import io.nativenorm.MaskCase.Kind;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Masked layers against what the oracle has for the batch of what counts alone. */
class MaskTest {
  private static final int[][] SHAPES = {
    {3, 8, 20}, {5, 3, 7}, {4, 16, 49}, {2, 12, 600}, {9, 20, 1}, {3, 2, 20000}, {2, 70, 130}
  };

  static Stream<MaskCase> cases() {
    List<MaskCase> cases = new ArrayList<>();
    int turn = 0;
    for (Backend backend : TestEngines.all()) {
      for (Kind kind : Kind.values()) {
        for (Layout layout : Layout.values()) {
          for (int[] shape : SHAPES) {
            for (Counted counted : Counted.values()) {
              turn++;
              boolean isOneValue = shape[2] == 1 && kind == Kind.INSTANCE;
              boolean isLong = shape[2] > 1000 && turn % 4 != 0;
              if (backend == Backend.ONEDNN || isOneValue || isLong) {
                continue;
              }
              DataType type = MaskCase.TYPES[turn % 4];
              double mean = turn % 5 == 0 ? 10 : 0.3;
              cases.add(
                  new MaskCase(
                      kind,
                      counted,
                      layout,
                      type,
                      backend,
                      shape[0],
                      shape[1],
                      shape[2],
                      mean,
                      turn % 2 == 0,
                      1 + turn % 3));
            }
          }
        }
      }
    }
    return cases.stream();
  }

  private static void assertClose(
      double[] expected, float[] actual, double tolerance, String what) {
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      double bound = tolerance * (1 + Math.abs(expected[i]));
      assertEquals(expected[i], actual[i], bound, what + " " + i);
    }
  }

  private static double rounding(MaskCase c) {
    return c.type() == DataType.F32 ? 1e-5 : c.type() == DataType.BF16 ? 8e-3 : 1e-3;
  }

  /** Whatever lies in the padding, where dy is 0. */
  @ParameterizedTest
  @MethodSource("cases")
  void isTheBatchOfWhatCounts(MaskCase c) {
    float[] dy = c.dy(true);
    double[] x = TestData.widen(c.x(null));
    MaskedOracle oracle = c.oracle();
    double[] y = oracle.forward(x);
    double[][] gradients = oracle.backward(x, TestData.widen(dy));
    boolean lengths = c.counted() == Counted.LENGTHS && c.s() > 1;
    float[][] expected = null;
    for (Float padding : new Float[] {null, 0f, Float.NaN, Float.POSITIVE_INFINITY, -3e38f}) {
      float[][] found = c.step(padding, dy, lengths);
      String what = c + " with " + padding;
      assertClose(oracle.mean, found[1], 1e-6, what + ": mean");
      assertClose(oracle.variance, found[2], 1e-6, what + ": variance");
      double[] counted = c.ofCountedDoubles(y);
      assertClose(counted, c.ofCounted(found[0]), rounding(c), what + ": y");
      assertClose(
          c.ofCountedDoubles(gradients[0]), c.ofCounted(found[3]), rounding(c), what + ": dx");
      assertTrue(TestData.relativeL2(gradients[1], found[4]) <= 1e-5, what + ": dweight");
      assertTrue(TestData.relativeL2(gradients[2], found[5]) <= 1e-5, what + ": dbias");
      if (expected == null) {
        expected = found;
        assertClose(y, found[0], rounding(c), what + ": y of all");
      }
      for (int i : new int[] {1, 2, 3, 4, 5}) {
        assertArrayEquals(expected[i], found[i], what + ": bits of result " + i);
      }
      assertArrayEquals(c.ofCounted(expected[0]), c.ofCounted(found[0]), what + ": bits of y");
    }
  }

  /** What flows into the padding comes back through the statistics. */
  @ParameterizedTest
  @MethodSource("cases")
  void gradientsOfThePaddingCount(MaskCase c) {
    float[] dy = c.dy(false);
    double[] x = TestData.widen(c.x(null));
    double[][] expected = c.oracle().backward(x, TestData.widen(dy));
    float[][] found = c.step(null, dy, false);
    assertClose(expected[0], found[3], 2 * rounding(c), c + ": dx");
    assertTrue(TestData.relativeL2(expected[1], found[4]) <= 1e-5, c + ": dweight");
    assertTrue(TestData.relativeL2(expected[2], found[5]) <= 1e-5, c + ": dbias");
  }

  /** The oracle's gradient, by differences of its forward alone. */
  @Test
  void theOraclesGradientIsTheDerivative() {
    for (Kind kind : Kind.values()) {
      for (Counted counted : Counted.values()) {
        MaskCase c =
            new MaskCase(
                kind,
                counted,
                Layout.CHANNELS_FIRST,
                DataType.F32,
                Backend.JAVA,
                3,
                8,
                5,
                0.5,
                counted == Counted.RANDOM,
                1);
        double[] dy = TestData.widen(c.dy(false));
        double[] x = TestData.widen(c.x(null));
        double[] dx = c.oracle().backward(x, dy)[0];
        for (int i = 0; i < x.length; i++) {
          double middle = x[i];
          x[i] = middle + 1e-5;
          double above = loss(c, x, dy);
          x[i] = middle - 1e-5;
          double below = loss(c, x, dy);
          x[i] = middle;
          assertEquals(
              (above - below) / 2e-5, dx[i], 1e-6 * (10 + Math.abs(dx[i])), c + ": element " + i);
        }
      }
    }
  }

  private static double loss(MaskCase c, double[] x, double[] dy) {
    double[] y = c.oracle().forward(x);
    double loss = 0;
    for (int i = 0; i < y.length; i++) {
      loss += y[i] * dy[i];
    }
    return loss;
  }

  /** For any number of threads, on both engines, whatever the mask is told by. */
  @ParameterizedTest
  @MethodSource("cases")
  void hasOneAnswer(MaskCase c) {
    if (c.backend() != Backend.FUSED) {
      return;
    }
    float[] dy = c.dy(false);
    float[][] expected = c.withThreads(1).step(null, dy, false);
    boolean ordered =
        Engines.all().stream()
            .filter(e -> e.backend() != Backend.ONEDNN)
            .allMatch(Engine::isReproducible);
    List<float[][]> others = new ArrayList<>();
    others.add(c.withThreads(2).step(null, dy, false));
    others.add(c.withThreads(3).step(null, dy, false));
    if (ordered) {
      others.add(c.on(Backend.JAVA).step(null, dy, false));
    }
    if (c.counted() == Counted.LENGTHS && c.s() > 1) {
      others.add(c.step(null, dy, true));
    }
    for (float[][] other : others) {
      for (int i = 0; i < expected.length; i++) {
        assertArrayEquals(expected[i], other[i], c + ": result " + i);
      }
    }
  }

  /** Inference by what counts, in place too, and into another type. */
  @ParameterizedTest
  @MethodSource("cases")
  void infersAsItTrains(MaskCase c) {
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x(Float.NaN));
        Tensor u8 = c.u8();
        Pass pass = MaskCase.train(layer, x, Mask.of(u8));
        Tensor y = c.tensor(new float[c.n() * c.c() * c.s()])) {
      MaskCase.infer(layer, x, Mask.of(u8), y);
      assertArrayEquals(pass.output().toArray(), y.toArray(), c.toString());
      if (c.type() == DataType.F32) {
        try (Tensor narrow = y.to(DataType.BF16);
            Tensor rounded = pass.output().to(DataType.BF16)) {
          MaskCase.infer(layer, x, Mask.of(u8), narrow);
          assertArrayEquals(rounded.toArray(), narrow.toArray(), c + ": BF16");
        }
      }
      MaskCase.infer(layer, x, Mask.of(u8), x);
      assertArrayEquals(y.toArray(), x.toArray(), c + ": in place");
    }
  }

  /** By bits, what the batch of what counts gives as one sample. */
  @Test
  void statisticsAreThoseOfThePackedBatch() {
    for (Backend backend : List.of(TestEngines.best(), Backend.JAVA)) {
      for (Layout layout : Layout.values()) {
        for (Counted counted : List.of(Counted.RANDOM, Counted.LENGTHS, Counted.HALF)) {
          MaskCase c =
              new MaskCase(
                  Kind.BATCH, counted, layout, DataType.F32, backend, 6, 5, 9000, 4, false, 2);
          float[][] found = c.step(null, c.dy(true), false);
          float[] packed = new float[c.c() * c.n() * c.s()];
          boolean[][] counts = c.counts();
          float[] x = c.x(null);
          int k = 0;
          for (int channel = 0; channel < c.c(); channel++) {
            for (int i = 0; i < c.n(); i++) {
              for (int p = 0; p < c.s(); p++) {
                if (counts[i][p]) {
                  packed[k++] = x[(i * c.c() + channel) * c.s() + p];
                }
              }
            }
          }
          try (NormLayer layer = c.layer();
              Tensor plain = Tensor.of(Arrays.copyOf(packed, k), 1, c.c(), k / c.c());
              Tensor laid = plain.in(layout);
              Pass pass = layer.forwardTraining(laid)) {
            assertArrayEquals(pass.mean().toArray(), found[1], c + ": mean");
            assertArrayEquals(pass.variance().toArray(), found[2], c + ": variance");
          }
        }
      }
    }
  }
}
