package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Gradients of masked layers whose dy is not 0 in all of the padding, as inside of a network:
 * random layers, inputs and masks, of which some have channels that are constant, numbers that
 * floats cannot add up, or none at all where dy is 0.
 */
class MaskGradientTest {
  private static final long SEED = Long.getLong("nativenorm.seed", 20261128);
  private static final int[] CHANNELS = {1, 2, 3, 4, 6, 8, 16, 20, 33, 70};
  private static final int[] POSITIONS = {1, 2, 7, 20, 49, 130, 600, 9000};
  private static final double EPS = 1e-5;

  static IntStream problems() {
    return IntStream.range(0, 600);
  }

  /** What lies in the padding, or in channels as a whole. */
  private enum Special {
    NONE,
    NOT_NUMBERS,
    HUGE,
    CONSTANT,
    CONSTANT_BUT_FOR_PADDING
  }

  private static final class Case {
    final MaskCase.Kind kind;
    final Layout layout;
    final DataType type;
    final int n;
    final int c;
    final int s;
    final int groups;
    final boolean relu;
    final boolean affine;
    final int threads;
    final Special special;
    final boolean[][] counts;
    final float[] x;
    final float[] dy;
    final MaskedOracle oracle;

    Case(int number) {
      Random random = new Random(SEED + number);
      kind = MaskCase.Kind.values()[random.nextInt(3)];
      layout = Layout.values()[random.nextInt(2)];
      type = MaskCase.TYPES[random.nextInt(MaskCase.TYPES.length)];
      s = POSITIONS[random.nextInt(POSITIONS.length)];
      c = s > 1000 ? 1 + random.nextInt(4) : CHANNELS[random.nextInt(CHANNELS.length)];
      n = 1 + random.nextInt(s > 1000 ? 3 : 6);
      groups = kind == MaskCase.Kind.INSTANCE ? c : c % 4 == 0 ? c / 4 : 1;
      relu = random.nextBoolean();
      affine = random.nextInt(4) > 0;
      threads = 1 + random.nextInt(4);
      special = Special.values()[random.nextInt(Special.values().length)];
      counts = counts(random);
      oracle =
          new MaskedOracle(
              n,
              c,
              s,
              kind == MaskCase.Kind.BATCH ? 0 : groups,
              counts,
              weight(),
              bias(),
              relu,
              EPS);
      x = TestData.normal(SEED + number, n * c * s, random.nextInt(4) == 0 ? 10 : 0.3, 1);
      dy = TestData.normal(SEED - number, n * c * s, 0.2, 1);
      boolean[] numbers = makeSpecial(random);
      round(x);
      boolean[] undecided = oracle.undecided(TestData.widen(x));
      for (int e = 0; e < dy.length; e++) {
        dy[e] = undecided[e] ? 0 : dy[e];
        if (!numbers[e]) {
          x[e] = random.nextBoolean() ? Float.NaN : Float.NEGATIVE_INFINITY;
          dy[e] = 0;
        }
      }
      round(dy);
    }

    private boolean[][] counts(Random random) {
      boolean[][] made = new boolean[n][s];
      int way = random.nextInt(6);
      double share = new double[] {0.02, 0.5, 0.98}[random.nextInt(3)];
      int one = random.nextInt(n * s);
      for (int i = 0; i < n; i++) {
        int length = random.nextInt(s + 1);
        for (int k = 0; k < s; k++) {
          made[i][k] =
              way == 0 ? i * s + k != one : way < 3 ? k < length : random.nextDouble() < share;
        }
      }
      return made;
    }

    /** Which elements are numbers. */
    private boolean[] makeSpecial(Random random) {
      boolean[] numbers = new boolean[x.length];
      int channel = random.nextInt(c);
      for (int e = 0; e < x.length; e++) {
        boolean counted = counts[e / (c * s)][e % s];
        boolean isPart = e / s % c == channel;
        numbers[e] = special != Special.NOT_NUMBERS || counted || random.nextInt(9) > 0;
        if (special == Special.HUGE && isPart && !counted && type == DataType.F32) {
          x[e] *= 1e25f;
        } else if (special == Special.CONSTANT && isPart) {
          x[e] = 3;
        } else if (special == Special.CONSTANT_BUT_FOR_PADDING && isPart && counted) {
          x[e] = 3;
        }
      }
      return numbers;
    }

    private void round(float[] values) {
      try (Tensor plain = Tensor.of(values, values.length);
          Tensor rounded = plain.to(type);
          Tensor back = rounded.to(DataType.F32)) {
        back.copyTo(values);
      }
    }

    float[] weight() {
      return affine ? TestData.normal(1, c, 1, 0.5) : null;
    }

    float[] bias() {
      return affine ? TestData.normal(2, c, 0, 1) : null;
    }

    private NormLayer layer(Backend backend, int count) {
      LayerBuilder<?> builder =
          switch (kind) {
            case BATCH ->
                BatchNorm.builder(c)
                    .affine(affine)
                    .trackRunningStats(false)
                    .oneValuePerChannel(OneValue.PASS);
            case GROUP -> GroupNorm.builder(groups, c).affine(affine);
            case INSTANCE ->
                InstanceNorm.builder(c).affine(affine).oneValuePerChannel(OneValue.PASS);
          };
      builder.eps(EPS).backend(backend).threads(count);
      builder.activation(relu ? Activation.RELU : Activation.NONE);
      NormLayer layer = builder.build();
      if (affine) {
        layer.weight().copyFrom(weight());
        layer.bias().copyFrom(bias());
      }
      return layer;
    }

    private Tensor tensor(float[] values, DataType as) {
      try (Tensor plain = Tensor.of(values, n, c, s);
          Tensor stored = plain.to(as)) {
        return stored.in(layout);
      }
    }

    /** dx, dweight and dbias; dx in a tensor of its own, or in dy's place. */
    float[][] gradients(Backend backend, int count, DataType as, boolean inPlace) {
      try (NormLayer layer = layer(backend, count);
          Tensor input = tensor(x, as);
          Tensor gradient = tensor(dy, as);
          Tensor apart = tensor(new float[x.length], as);
          Tensor u8 = MaskCase.u8(counts);
          Pass pass = MaskCase.train(layer, input, Mask.of(u8));
          Tensor weights = Tensor.zeros(c);
          Tensor biases = Tensor.zeros(c)) {
        Tensor dx = inPlace ? gradient : apart;
        pass.backward(gradient, dx, affine ? weights : null, affine ? biases : null);
        try (Tensor wide = dx.to(DataType.F32)) {
          return new float[][] {MaskCase.logical(wide), weights.toArray(), biases.toArray()};
        }
      }
    }

    /** dweight and dbias, where dx is not wanted. */
    float[][] parameters(Backend backend) {
      try (NormLayer layer = layer(backend, threads);
          Tensor input = tensor(x, type);
          Tensor gradient = tensor(dy, type);
          Tensor u8 = MaskCase.u8(counts);
          Pass pass = MaskCase.train(layer, input, Mask.of(u8));
          Tensor weights = Tensor.zeros(c);
          Tensor biases = Tensor.zeros(c)) {
        pass.backward(gradient, null, weights, biases);
        return new float[][] {weights.toArray(), biases.toArray()};
      }
    }

    @Override
    public String toString() {
      return kind
          + " "
          + layout
          + " "
          + type
          + " "
          + n
          + "x"
          + c
          + "x"
          + s
          + " "
          + special
          + (relu ? " relu" : "")
          + " on "
          + threads
          + " threads";
    }
  }

  @ParameterizedTest
  @MethodSource("problems")
  void areTheOracles(int number) {
    Case c = new Case(number);
    String what = c + ", problem " + number + ", -Dnativenorm.seed=" + SEED;
    double[][] expected = c.oracle.backward(TestData.widen(c.x), TestData.widen(c.dy));
    double[][] sizes = c.oracle.sizes(TestData.widen(c.x), TestData.widen(c.dy));
    double rounding =
        c.type == DataType.F32 ? 4e-6 : c.type == DataType.BF16 ? 0x1p-8 : 0x1p-11 + 4e-6;
    for (Backend backend : new Backend[] {TestEngines.best(), Backend.JAVA}) {
      float[][] found = c.gradients(backend, c.threads, c.type, false);
      for (int i = 0; i < (c.affine ? 3 : 1); i++) {
        for (int k = 0; k < found[i].length; k++) {
          double bound = (i == 0 ? rounding : 4e-6) * sizes[i][k] + 1e-7;
          assertEquals(
              expected[i][k], found[i][k], bound, backend + " " + what + ": " + i + " " + k);
        }
      }
    }
  }

  /** In dy's place, on any number of threads, on both engines, and of 16 bits rounded once. */
  @ParameterizedTest
  @MethodSource("problems")
  void haveOneAnswer(int number) {
    Case c = new Case(number);
    String what = c + ", problem " + number + ", -Dnativenorm.seed=" + SEED;
    Backend best = TestEngines.best();
    float[][] expected = c.gradients(best, 1, c.type, false);
    assertArrayEquals(expected, c.gradients(best, c.threads, c.type, true), what);
    boolean ordered =
        Engines.all().stream()
            .filter(e -> e.backend() != Backend.ONEDNN)
            .allMatch(Engine::isReproducible);
    float[][] java = c.gradients(Backend.JAVA, 1, c.type, true);
    assertArrayEquals(c.gradients(Backend.JAVA, 1, c.type, false), java, "JAVA in place, " + what);
    assertTrue(!ordered || Arrays.deepEquals(expected, java), "JAVA, " + what);
    if (c.affine) {
      for (Backend backend : new Backend[] {best, Backend.JAVA}) {
        float[][] ofEngine = backend == best ? expected : java;
        float[][] parameters = c.parameters(backend);
        assertArrayEquals(ofEngine[1], parameters[0], "without dx, " + what);
        assertArrayEquals(ofEngine[2], parameters[1], "without dx, " + what);
      }
    }
    if (c.type != DataType.F32 && !c.relu) {
      float[][] wide = c.gradients(best, c.threads, DataType.F32, false);
      c.round(wide[0]);
      assertArrayEquals(wide, expected, "rounded once, " + what);
    }
  }

  /** A single element of the padding, wherever it lies; -0 is none, beside NaN. */
  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      names = {"F32", "BF16", "F16"})
  void oneElementOfThePaddingIsSeen(DataType type) {
    int n = 2;
    int c = 5;
    int s = 37;
    for (Backend backend : new Backend[] {TestEngines.best(), Backend.JAVA}) {
      for (Layout layout : Layout.values()) {
        try (BatchNorm norm = BatchNorm.builder(c).backend(backend).build();
            Tensor plain = Tensor.of(TestData.normal(1, n * c * s, 0, 1), n, c, s);
            Tensor stored = plain.to(type);
            Tensor x = stored.in(layout);
            Pass pass = norm.forwardTraining(x, Mask.lengths(30, 0));
            Tensor dy = Tensor.allocate(type, layout, n, c, s);
            Tensor weight = Tensor.zeros(c);
            Tensor bias = Tensor.zeros(c)) {
          float[][] found = new float[2][];
          for (float zero : new float[] {0, -0f}) {
            for (int e = 0; e < n * c * s; e++) {
              dy.set(0, e / (c * s), e / s % c, e % s);
            }
            for (int e = 0; e < n * c * s; e++) {
              long[] at = {e / (c * s), e / s % c, e % s};
              if (at[0] == 0 && at[2] < 30) {
                continue;
              }
              dy.set(2, at);
              pass.backward(dy, null, null, bias);
              float[] expected = new float[c];
              expected[(int) at[1]] = 2;
              assertArrayEquals(expected, bias.toArray(), backend + " " + layout + " element " + e);
              dy.set(zero, at);
            }
            for (int e = 0; e < n * c * s; e++) {
              long[] at = {e / (c * s), e / s % c, e % s};
              if (at[0] == 0 && at[2] < 30) {
                dy.set(e * 37 % 101 / 50f - 1, at);
              } else if (1 / zero < 0) {
                x.set(Float.NaN, at);
              }
            }
            pass.backward(dy, null, weight, bias);
            found[1 / zero < 0 ? 1 : 0] = weight.toArray();
          }
          assertArrayEquals(found[0], found[1], backend + " " + layout);
        }
      }
    }
  }

  /** Where nothing counts there is no gradient, whatever its variance is said to be. */
  @Test
  void ofNothingThereIsNone() {
    for (Backend backend : new Backend[] {TestEngines.best(), Backend.JAVA}) {
      for (Layout layout : Layout.values()) {
        try (InstanceNorm norm = InstanceNorm.builder(3).affine(true).backend(backend).build();
            Tensor plain = Tensor.of(TestData.normal(1, 2 * 3 * 7, 0, 1), 2, 3, 7);
            Tensor x = plain.in(layout);
            Pass pass = norm.forwardTraining(x, Mask.lengths(5, 0));
            Gradients before = pass.backward(x)) {
          float[] variance = pass.variance().toArray();
          Arrays.fill(variance, 3, 6, 1);
          pass.variance().copyFrom(variance);
          try (Gradients after = pass.backward(x)) {
            float[] dx = MaskCase.logical(after.input());
            assertArrayEquals(
                new float[21], Arrays.copyOfRange(dx, 21, 42), backend + " " + layout);
            assertArrayEquals(MaskCase.logical(before.input()), dx);
            assertArrayEquals(before.weight().toArray(), after.weight().toArray());
            assertArrayEquals(before.bias().toArray(), after.bias().toArray());
          }
        }
      }
    }
  }
}
