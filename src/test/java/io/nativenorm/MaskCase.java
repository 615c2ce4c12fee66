package io.nativenorm;

import java.util.Arrays;
import java.util.Random;

/** A layer, an input and what counts of it, for tests of masks. */
record MaskCase(
    Kind kind,
    Counted counted,
    Layout layout,
    DataType type,
    Backend backend,
    int n,
    int c,
    int s,
    double mean,
    boolean relu,
    int threads) {
  static final double EPS = 1e-5;
  static final DataType[] TYPES = {DataType.F32, DataType.BF16, DataType.F32, DataType.F16};

  enum Kind {
    BATCH,
    GROUP,
    INSTANCE
  }

  /** What counts. */
  enum Counted {
    LENGTHS,
    HALF,
    ALTERNATING,
    RANDOM,
    /** A sample has nothing, another all. */
    SOME_EMPTY,
    NOTHING,
    ALL
  }

  MaskCase on(Backend other) {
    return new MaskCase(kind, counted, layout, type, other, n, c, s, mean, relu, threads);
  }

  MaskCase withThreads(int count) {
    return new MaskCase(kind, counted, layout, type, backend, n, c, s, mean, relu, count);
  }

  int groups() {
    return kind == Kind.BATCH ? 0 : kind == Kind.INSTANCE ? c : c % 4 == 0 ? c / 4 : 1;
  }

  NormLayer layer() {
    LayerBuilder<?> builder =
        switch (kind) {
          case BATCH -> BatchNorm.builder(c).trackRunningStats(false);
          case GROUP -> GroupNorm.builder(groups(), c);
          case INSTANCE -> InstanceNorm.builder(c).affine(true);
        };
    builder.eps(EPS).backend(backend).threads(threads);
    builder.activation(relu ? Activation.RELU : Activation.NONE);
    NormLayer layer = builder.build();
    layer.weight().copyFrom(weight());
    layer.bias().copyFrom(bias());
    return layer;
  }

  float[] weight() {
    return TestData.normal(1, c, 1, 0.5);
  }

  float[] bias() {
    return TestData.normal(2, c, 0, 1);
  }

  boolean[][] counts() {
    boolean[][] counts = new boolean[n][s];
    long[] lengths = lengths();
    Random random = new Random(n * 31L + s);
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < s; k++) {
        counts[i][k] =
            switch (counted) {
              case LENGTHS -> k < lengths[i];
              case HALF -> k < (s + 1) / 2;
              case ALTERNATING -> (i + k) % 2 == 0;
              case RANDOM -> random.nextBoolean() || k < 2;
              case SOME_EMPTY -> i > 0 && (i % 2 == 0 || k > 0);
              case NOTHING -> false;
              case ALL -> true;
            };
      }
    }
    return counts;
  }

  long[] lengths() {
    long[] lengths = new long[n];
    for (int i = 0; i < n; i++) {
      lengths[i] = i == 0 ? s : Math.min(s, 2 + (i * 37L) % s);
    }
    return lengths;
  }

  Tensor u8() {
    return u8(counts());
  }

  /** The tensor of a mask, of any numbers that are not 0. */
  static Tensor u8(boolean[][] counts) {
    int n = counts.length;
    int s = counts[0].length;
    Tensor mask = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, n, s);
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < s; k++) {
        mask.set(counts[i][k] ? 1 + (i + k) % 255 : 0, i, k);
      }
    }
    return mask;
  }

  /** Values as the type has them; those in the padding are {@code padding} if that is not null. */
  float[] x(Float padding) {
    float[] x = TestData.normal(3, n * c * s, mean, 1);
    boolean[][] counts = counts();
    for (int e = 0; padding != null && e < x.length; e++) {
      x[e] = counts[e / (c * s)][e % s] ? x[e] : padding;
    }
    return stored(x);
  }

  /**
   * The gradient of the output; 0 in the padding if that is wanted, and where ReLU is undecided.
   */
  float[] dy(boolean zeros) {
    float[] dy = TestData.normal(4, n * c * s, 0.1, 1);
    boolean[][] counts = counts();
    boolean[] undecided = oracle().undecided(TestData.widen(x(null)));
    for (int e = 0; e < dy.length; e++) {
      boolean none = (zeros && !counts[e / (c * s)][e % s]) || undecided[e];
      dy[e] = none ? 0 : dy[e];
    }
    return stored(dy);
  }

  private float[] stored(float[] values) {
    try (Tensor plain = Tensor.of(values, values.length);
        Tensor rounded = plain.to(type);
        Tensor back = rounded.to(DataType.F32)) {
      return back.toArray();
    }
  }

  Tensor tensor(float[] values) {
    try (Tensor plain = Tensor.of(values, n, c, s);
        Tensor stored = plain.to(type)) {
      return stored.in(layout);
    }
  }

  static float[] logical(Tensor tensor) {
    try (Tensor first = tensor.in(Layout.CHANNELS_FIRST)) {
      return first.toArray();
    }
  }

  MaskedOracle oracle() {
    return new MaskedOracle(n, c, s, groups(), counts(), weight(), bias(), relu, EPS);
  }

  /** What a training step gives: y, mean, variance, dx, dweight, dbias. */
  float[][] step(Float padding, float[] dy, boolean lengths) {
    try (NormLayer layer = layer();
        Tensor x = tensor(x(padding));
        Tensor u8 = u8();
        Pass pass = train(layer, x, lengths ? Mask.lengths(lengths()) : Mask.of(u8));
        Tensor gradient = tensor(dy);
        Gradients gradients = pass.backward(gradient)) {
      return new float[][] {
        logical(pass.output()),
        pass.mean().toArray(),
        pass.variance().toArray(),
        logical(gradients.input()),
        gradients.weight().toArray(),
        gradients.bias().toArray()
      };
    }
  }

  static Pass train(NormLayer layer, Tensor x, Mask mask) {
    return layer instanceof GroupNorm group
        ? group.forwardTraining(x, mask)
        : ((RunningNorm) layer).forwardTraining(x, mask);
  }

  static void infer(NormLayer layer, Tensor x, Mask mask, Tensor y) {
    if (layer instanceof GroupNorm group) {
      group.forward(x, mask, y);
    } else {
      ((RunningNorm) layer).forward(x, mask, y);
    }
  }

  /** The values of the elements that count alone. */
  float[] ofCounted(float[] all) {
    boolean[][] counts = counts();
    float[] some = new float[all.length];
    int k = 0;
    for (int e = 0; e < all.length; e++) {
      if (counts[e / (c * s)][e % s]) {
        some[k++] = all[e];
      }
    }
    return Arrays.copyOf(some, k);
  }

  double[] ofCountedDoubles(double[] all) {
    boolean[][] counts = counts();
    double[] some = new double[all.length];
    int k = 0;
    for (int e = 0; e < all.length; e++) {
      if (counts[e / (c * s)][e % s]) {
        some[k++] = all[e];
      }
    }
    return Arrays.copyOf(some, k);
  }
}
