package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Values at the ends of the float range: differences and sums that leave it, variances and eps that
 * are lost in it, and units without spread.
 */
@SameOnAnyJvm
class ExtremesTest {
  private static final int SEED = 20261126;

  /** The engines that keep their last digits there: oneDNN's kernels add and multiply in float. */
  static Stream<Backend> exactEngines() {
    return TestEngines.named().filter(backend -> backend != Backend.ONEDNN);
  }

  /** The extents of a problem. */
  private record Size(int n, int c, int s, int groups) {}

  private static final List<Size> ROWS = List.of(new Size(3, 5, 1, 1), new Size(7, 37, 1, 1));
  private static final List<Size> LARGE_ROWS = List.of(new Size(27, 2500, 1, 1));

  private static final List<Size> IMAGES =
      List.of(
          new Size(3, 6, 11, 3),
          new Size(2, 9, 70, 3),
          new Size(2, 48, 1, 3),
          new Size(5, 20, 17, 20));

  /** For threads: few units, which are divided, and many. */
  private static final List<Size> LARGE_IMAGES =
      List.of(new Size(1, 3, 22000, 3), new Size(4, 40, 420, 10));

  private static List<Size> sizes(Oracle.Kind kind, boolean large) {
    boolean rows = kind == Oracle.Kind.LAYER || kind == Oracle.Kind.RMS;
    List<Size> sizes = new ArrayList<>(rows ? ROWS : IMAGES);
    if (large) {
      sizes.addAll(rows ? LARGE_ROWS : LARGE_IMAGES);
    }
    return sizes;
  }

  /** Problems of all kinds and sizes, with and without weight, bias and activation in turn. */
  private static final class Family {
    private final String name;
    private final List<Extreme> made = new ArrayList<>();
    private final Set<Oracle.Kind> kinds = EnumSet.noneOf(Oracle.Kind.class);
    private int turn;

    Family(String name) {
      this.name = name;
    }

    /** Makes x and dy of an oracle's element. */
    interface Values {
      double of(Oracle oracle, int element, double normal);
    }

    void add(Oracle.Kind kind, double eps, Values x, Values dy) {
      // Large ones are slow on JAVA: one of each kind.
      for (Size size : sizes(kind, kinds.add(kind))) {
        Oracle oracle = oracle(kind, size, eps);
        float[] values = values(oracle, x, SEED + turn);
        made.add(new Extreme(name, oracle, values, gradient(oracle, values, dy)));
      }
    }

    void addGiven(double eps, IntToDoubleFunction mean, IntToDoubleFunction variance, Values x) {
      for (Size size : sizes(Oracle.Kind.BATCH, kinds.add(Oracle.Kind.BATCH))) {
        float[] means = new float[size.c];
        float[] variances = new float[size.c];
        for (int c = 0; c < size.c; c++) {
          means[c] = (float) mean.applyAsDouble(c);
          variances[c] = (float) variance.applyAsDouble(c);
        }
        Oracle oracle = oracle(Oracle.Kind.BATCH, size, eps).given(means, variances);
        float[] values = values(oracle, x, SEED + turn);
        float[] dy = gradient(oracle, values, (o, e, normal) -> normal);
        made.add(new Extreme(name, oracle, means, variances, values, dy));
      }
    }

    private Oracle oracle(Oracle.Kind kind, Size size, double eps) {
      turn++;
      boolean bias = turn % 3 == 1 && kind != Oracle.Kind.RMS;
      return new Oracle(
          kind,
          size.n,
          size.c,
          size.s,
          size.groups,
          eps,
          turn % 3 == 0 ? null : TestData.normal(turn, size.c, 1, 0.5),
          bias ? TestData.normal(turn, size.c, 0, 1) : null,
          turn % 4 == 0);
    }

    private static float[] values(Oracle oracle, Values make, int seed) {
      float[] values = TestData.normal(seed, oracle.n * oracle.c * oracle.s, 0, 1);
      for (int e = 0; e < values.length; e++) {
        values[e] = (float) make.of(oracle, e, values[e]);
      }
      return values;
    }

    /** Without those that a ReLU cuts or not as rounding has it. */
    private float[] gradient(Oracle oracle, float[] x, Values make) {
      float[] dy = values(oracle, make, SEED - turn);
      boolean[] undecided = oracle.undecided(TestData.widen(x));
      for (int e = 0; e < dy.length; e++) {
        dy[e] = undecided[e] ? 0 : dy[e];
      }
      return dy;
    }

    void check(Stream<Backend> engines) {
      List<Backend> backends = engines.toList();
      for (Extreme extreme : made) {
        Extreme.Expected expected = extreme.expected();
        for (Backend backend : backends) {
          for (Layout layout : extreme.layouts()) {
            extreme.check(expected, backend, layout);
          }
        }
      }
    }
  }

  /** BatchNorm's training refuses an eps of 0. */
  private static double least(Oracle.Kind kind) {
    return kind == Oracle.Kind.BATCH ? Double.MIN_VALUE : 0;
  }

  /** Every other unit is scaled; some problems are scaled as a whole. */
  private static Family.Values scaled(double scale, boolean all) {
    return (oracle, e, normal) -> (all || oracle.unitOf(e) % 2 == 0 ? scale : 1) * normal;
  }

  private static final Family.Values NORMAL = (oracle, e, normal) -> normal;

  @Test
  void differencesBeyondTheLargestFloat() {
    Family family = new Family("large differences");
    IntToDoubleFunction mean = c -> c % 3 == 0 ? -3e38 : c % 3 == 1 ? 3.4e38 : 0.5;
    Family.Values x =
        (oracle, e, normal) -> {
          double own = mean.applyAsDouble(oracle.channelOf(e));
          return e % 7 == 0 ? own : Math.abs(own) > 1 ? -own * (e % 3) / 2 : normal;
        };
    for (double variance : new double[] {1e38, 3.4e38, 1, 0}) {
      family.addGiven(1e-5, mean, c -> c % 3 == 2 ? 1 : variance, x);
    }
    family.check(TestEngines.named());
  }

  @Test
  void givenVariancesAtTheEndsOfFloat() {
    Family family = new Family("given variances");
    for (double variance : new double[] {1e-45, 1e-41, 1e-30, 1e38}) {
      double deviation = Math.sqrt(variance);
      family.addGiven(
          0,
          c -> c % 2 == 0 ? deviation : 1,
          c -> c % 2 == 0 ? variance : 2,
          (oracle, e, normal) -> normal * (oracle.channelOf(e) % 2 == 0 ? deviation : 1));
    }
    // Neither variance nor eps: what is equal to the mean is the bias.
    family.addGiven(0, c -> 5 * (c + 1), c -> 0, (o, e, normal) -> 5 * (o.channelOf(e) + 1));
    family.check(TestEngines.named());
  }

  @Test
  void variancesAtTheSmallestFloats() {
    Family family = new Family("tiny variances");
    for (Oracle.Kind kind : Oracle.Kind.values()) {
      for (double eps : new double[] {least(kind), 1e-45, 1e-41, 1e-30}) {
        for (double scale : new double[] {1e-13, 1e-20, 3e-21, 3e-23, 1e-25}) {
          family.add(kind, eps, scaled(scale, eps == 1e-45), NORMAL);
        }
      }
      family.add(kind, least(kind), scaled(1e-15, true), scaled(1e-25, true));
    }
    family.check(exactEngines());
  }

  @Test
  void variancesAtTheLargestFloats() {
    Family family = new Family("large variances");
    for (Oracle.Kind kind : Oracle.Kind.values()) {
      for (double dy : new double[] {1, 1e-6, 1e-15}) {
        family.add(kind, 1e-5, scaled(3e17, dy == 1), scaled(dy, true));
        family.add(kind, 1e-5, scaled(9e18, dy == 1), scaled(dy, true));
        family.add(kind, 1e-5, scaled(1e25, dy == 1), scaled(dy, true)); // infinite
      }
    }
    family.check(TestEngines.named());
  }

  @Test
  void tinyGradients() {
    Family family = new Family("tiny gradients");
    for (Oracle.Kind kind : Oracle.Kind.values()) {
      family.add(kind, 1e-5, NORMAL, scaled(1e-33, false));
      family.add(kind, 1e-5, scaled(1e4, true), scaled(1e-33, true));
    }
    family.check(exactEngines());
  }

  @Test
  void hugeGradients() {
    Family family = new Family("huge gradients");
    for (Oracle.Kind kind : Oracle.Kind.values()) {
      family.add(kind, 1e-5, NORMAL, (o, e, normal) -> 1e38);
      family.add(kind, 1e-5, NORMAL, (o, e, normal) -> e % 2 == 0 ? 1e38 : -1e38);
      family.add(kind, 1e-5, NORMAL, (o, e, normal) -> o.unitOf(e) % 2 == 0 ? 3e38 : -3e38);
      family.add(kind, 1e-5, scaled(100, false), scaled(3e37, false));
      family.add(kind, 1e-5, scaled(1e-3, true), (o, e, normal) -> 3e37);
    }
    family.check(exactEngines());
  }

  @Test
  void unitsWithoutSpread() {
    Family family = new Family("no spread");
    for (Oracle.Kind kind : Oracle.Kind.values()) {
      double[] constants = {0};
      if (kind != Oracle.Kind.RMS) {
        constants = new double[] {0, 5, 0.1f, -3e38, 1e-42, 1e-25};
      }
      for (double constant : constants) {
        for (double eps : new double[] {least(kind), Double.MIN_VALUE, 1e-300, 1e-60, 1e-5}) {
          family.add(kind, eps, (o, e, n) -> o.unitOf(e) % 4 == 3 ? n : constant, NORMAL);
        }
      }
    }
    family.check(TestEngines.named());
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void withoutSpreadAndEpsThereIsTheBiasAndNoGradient(Backend backend) {
    Family family = new Family("exactly the bias");
    for (Oracle.Kind kind : Oracle.Kind.values()) {
      double constant = kind == Oracle.Kind.RMS ? 0 : 0.1;
      family.add(kind, least(kind), (o, e, normal) -> constant, NORMAL);
    }
    for (Extreme extreme : family.made) {
      for (Layout layout : extreme.layouts()) {
        Extreme.Results found = extreme.run(backend, layout);
        double[] bias = extreme.oracle().forward(TestData.widen(extreme.x()));
        assertEquals(0, TestData.largestError(bias, found.y()), extreme.toString());
        assertZero(found.dx(), extreme);
        assertZero(found.dWeight(), extreme);
      }
    }
  }

  /** Of either sign. */
  private static void assertZero(float[] gradient, Extreme of) {
    for (int i = 0; gradient != null && i < gradient.length; i++) {
      assertEquals(0.0, Math.abs(gradient[i]), of::toString);
    }
  }

  @ParameterizedTest
  @MethodSource("exactEngines")
  void whatIsConstantHasNoGradient(Backend backend) {
    for (Oracle.Kind kind :
        new Oracle.Kind[] {Oracle.Kind.BATCH, Oracle.Kind.LAYER, Oracle.Kind.GROUP}) {
      for (Size size : sizes(kind, true)) {
        for (double eps : new double[] {1e-5, 1e-12}) {
          Oracle oracle =
              new Oracle(kind, size.n, size.c, size.s, size.groups, eps, null, null, false);
          float[] x = new float[size.n * size.c * size.s];
          float[] dy = new float[x.length];
          for (int e = 0; e < x.length; e++) {
            x[e] = 0.1f + oracle.unitOf(e);
            dy[e] = 0.7f - oracle.unitOf(e);
          }
          Extreme extreme = new Extreme("constant gradient", oracle, x, dy);
          for (Layout layout : extreme.layouts()) {
            assertZero(extreme.run(backend, layout).dx(), extreme);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aUnitOfOneElementHasNoGradient(Backend backend) {
    for (double eps : new double[] {1e-5, 1e-12, 0}) {
      for (float[] weight : new float[][] {null, {1.7f}}) {
        float[] bias = weight == null ? null : new float[] {0.3f};
        Oracle rows = new Oracle(Oracle.Kind.LAYER, 9, 1, 1, 1, eps, weight, bias, false);
        assertNoGradient(backend, new Extreme("one", rows, normal(9), normal(9)));
        float[] weights = weight == null ? null : TestData.normal(1, 6, 1, 1);
        Oracle groups = new Oracle(Oracle.Kind.GROUP, 2, 6, 1, 6, eps, weights, null, false);
        assertNoGradient(backend, new Extreme("one", groups, normal(12), normal(12)));
      }
    }
  }

  private static float[] normal(int count) {
    return TestData.normal(SEED, count, 5, 3);
  }

  private static void assertNoGradient(Backend backend, Extreme extreme) {
    Extreme.Results found = extreme.run(backend, Layout.CHANNELS_FIRST);
    assertZero(found.dx(), extreme);
    assertZero(found.dWeight(), extreme);
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void valuesByHand(Backend backend) {
    try (BatchNorm layer = BatchNorm.builder(1).backend(backend).build()) {
      layer.runningMean().copyFrom(new float[] {-3e38f});
      layer.runningVar().copyFrom(new float[] {1e38f});
      assertEquals(6.0000001e19f, layer.forward(new float[] {3e38f}, 1, 1)[0], 1e13f);
    }
    float[] x = {1e-20f, -1e-20f, 2e-20f, -2e-20f};
    float[] dx = gradient(LayerNorm.builder(4).eps(0).backend(backend).build(), x, 1, 0, 0, 0);
    float[] expected = {4.111e19f, -9.487e18f, -2.846e19f, -3.162e18f};
    assertArrayEquals(expected, dx, 1e16f);
    float[] fives = {5, 5, 5, 5};
    for (double eps : new double[] {0, Double.MIN_VALUE}) {
      LayerNorm layer = LayerNorm.builder(4).eps(eps).backend(backend).build();
      layer.bias().copyFrom(new float[] {1, 2, 3, 4});
      assertArrayEquals(new float[] {1, 2, 3, 4}, layer.forward(fives));
      assertArrayEquals(new float[4], gradient(layer, fives, 1, 0, -1, 2), 1e-45f);
    }
    float[] large = new float[32];
    Arrays.fill(large, 1e38f);
    float[] zeros = gradient(LayerNorm.builder(32).backend(backend).build(), normal(32), large);
    assertArrayEquals(new float[32], zeros, 1e32f);
  }

  /** dx; closes the layer. */
  private static float[] gradient(NormLayer layer, float[] x, float... dy) {
    try (layer;
        Tensor input = Tensor.of(x, 1, x.length);
        Tensor gradient = Tensor.of(dy, 1, x.length);
        Pass pass = layer.forwardTraining(input);
        Gradients gradients = pass.backward(gradient)) {
      return gradients.input().toArray();
    }
  }
}
