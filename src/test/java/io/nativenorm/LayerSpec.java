package io.nativenorm;

import java.util.Arrays;
import java.util.Random;

/** What a random builder was told, kept beside it: shapes its layer takes, and its oracle. */
final class LayerSpec {
  final Class<? extends NormLayer> kind;

  /** Of the row, or the number of channels. */
  private final long[] parameterShape;

  private final long groups;
  double eps;
  Backend backend = Backend.AUTO;
  Activation activation = Activation.NONE;
  boolean tracks;
  double unitOffset;

  /** The most samples of a ghost batch; 0 without. */
  long ghost;

  private LayerSpec(
      Class<? extends NormLayer> kind, long groups, double eps, long... parameterShape) {
    this.kind = kind;
    this.groups = groups;
    this.eps = eps;
    this.parameterShape = parameterShape;
  }

  /** What a layer's factory makes by default. */
  static LayerSpec of(Class<?> kind, Object[] arguments) {
    if (kind == BatchNorm.class) {
      LayerSpec spec = new LayerSpec(BatchNorm.class, 1, 1e-5, (long) arguments[0]);
      spec.tracks = true;
      return spec;
    }
    if (kind == InstanceNorm.class) {
      return new LayerSpec(InstanceNorm.class, (long) arguments[0], 1e-5, (long) arguments[0]);
    }
    if (kind == GroupNorm.class) {
      return new LayerSpec(GroupNorm.class, (long) arguments[0], 1e-5, (long) arguments[1]);
    }
    long[] row = ((long[]) arguments[0]).clone();
    return kind == LayerNorm.class
        ? new LayerSpec(LayerNorm.class, 1, 1e-5, row)
        : new LayerSpec(RmsNorm.class, 1, 0x1p-23, row);
  }

  LayerSpec copy() {
    LayerSpec copy = new LayerSpec(kind, groups, eps, parameterShape);
    copy.backend = backend;
    copy.activation = activation;
    copy.tracks = tracks;
    copy.unitOffset = unitOffset;
    copy.ghost = ghost;
    return copy;
  }

  /** Whether its layer can be made: a builder takes sizes for which there is no memory. */
  boolean isSmall() {
    return Arrays.stream(parameterShape).allMatch(extent -> extent < 1 << 16);
  }

  long[] parameterShape() {
    return parameterShape.clone();
  }

  int rowLength() {
    return (int) Shapes.size(parameterShape);
  }

  boolean normalizesRows() {
    return kind == LayerNorm.class || kind == RmsNorm.class;
  }

  /** A shape with at least two values in a unit. */
  long[] shape(Random random) {
    boolean large = random.nextInt(60) == 0;
    if (normalizesRows()) {
      long rows = large ? 300 : random.nextInt(8);
      long[] leading = random.nextBoolean() ? new long[] {rows} : new long[] {2, rows};
      long[] shape = Arrays.copyOf(leading, leading.length + parameterShape.length);
      System.arraycopy(parameterShape, 0, shape, leading.length, parameterShape.length);
      return shape;
    }
    long[] shape = new long[3 + random.nextInt(2)];
    Arrays.setAll(shape, i -> 1 + random.nextInt(large ? 40 : 6));
    shape[0] = random.nextInt(12) == 0 ? 0 : 1 + random.nextInt(4);
    shape[1] = parameterShape[0];
    shape[2] = 2 + random.nextInt(9);
    return shape;
  }

  /** What must come out for an input of some shape; running statistics are given in `running`. */
  Oracle oracle(long[] shape, float[] weight, float[] bias, float[][] running) {
    boolean rows = normalizesRows();
    int row = (int) Shapes.size(parameterShape);
    int size = (int) Shapes.size(shape);
    Oracle.Kind oracleKind =
        running != null || kind == BatchNorm.class
            ? Oracle.Kind.BATCH
            : kind == LayerNorm.class
                ? Oracle.Kind.LAYER
                : kind == RmsNorm.class ? Oracle.Kind.RMS : Oracle.Kind.GROUP;
    Oracle oracle =
        new Oracle(
            oracleKind,
            rows ? size / row : (int) shape[0],
            row,
            rows ? 1 : (int) Shapes.sizeFrom(shape, 2),
            running == null ? (int) groups : 1,
            eps,
            sum(weight),
            bias,
            activation == Activation.RELU);
    if (running != null) {
      return oracle.given(running[0], running[1]);
    }
    return ghost == 0 || shape[0] == 0 ? oracle : oracle.ghosts(ghostBatch(shape[0]));
  }

  /** Samples of each ghost batch but the last one. */
  private int ghostBatch(double samples) {
    return (int) Math.ceil(samples / Math.ceil(samples / ghost));
  }

  /** The weight that multiplies. */
  private float[] sum(float[] weight) {
    if (weight == null || unitOffset == 0) {
      return weight;
    }
    float[] sums = weight.clone();
    for (int i = 0; i < sums.length; i++) {
      sums[i] += (float) unitOffset;
    }
    return sums;
  }

  @Override
  public String toString() {
    return kind.getSimpleName()
        + Arrays.toString(parameterShape)
        + " groups "
        + groups
        + " eps "
        + eps
        + " "
        + backend
        + " "
        + activation
        + (unitOffset == 0 ? "" : " offset " + unitOffset)
        + (tracks ? " tracking" : "")
        + (ghost == 0 ? "" : " ghost " + ghost);
  }
}
