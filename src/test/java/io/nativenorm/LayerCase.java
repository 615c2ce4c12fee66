package io.nativenorm;

import java.util.Arrays;
import java.util.Map;

/** A layer with its options and an input shape: makes the layer, its oracle and its data. */
record LayerCase(
    Kind kind,
    long[] shape,
    Layout layout,
    Backend backend,
    Affine affine,
    Activation activation,
    double mean,
    long seed) {

  private static final Recent<String, double[]> INFERENCES = new Recent<>();

  /** The layers, with the ways they take their statistics. */
  enum Kind {
    BATCH,
    BATCH_RUNNING,
    LAYER,
    LAYER_OF_TWO_DIMENSIONS,
    RMS,
    GROUP,
    INSTANCE,
    INSTANCE_RUNNING;

    boolean isRunning() {
      return this == BATCH_RUNNING || this == INSTANCE_RUNNING;
    }

    boolean isRows() {
      return this == LAYER || this == LAYER_OF_TWO_DIMENSIONS || this == RMS;
    }

    /** Whether a mean of one value is an error rather than a constant. */
    boolean needsTwoValues() {
      return this == BATCH || this == INSTANCE;
    }
  }

  /** Which parameters there are. */
  enum Affine {
    BOTH,
    WEIGHT,
    BIAS,
    NONE
  }

  LayerCase(Kind kind, Layout layout, Backend backend, long... shape) {
    this(kind, shape, layout, backend, Affine.BOTH, Activation.NONE, 0, 1);
  }

  LayerCase with(Affine other) {
    return new LayerCase(kind, shape, layout, backend, other, activation, mean, seed);
  }

  LayerCase with(Activation other) {
    return new LayerCase(kind, shape, layout, backend, affine, other, mean, seed);
  }

  LayerCase with(Backend other) {
    return new LayerCase(kind, shape, layout, other, affine, activation, mean, seed);
  }

  LayerCase withMean(double other) {
    return new LayerCase(kind, shape, layout, backend, affine, activation, other, seed);
  }

  LayerCase withSeed(long other) {
    return new LayerCase(kind, shape, layout, backend, affine, activation, mean, other);
  }

  /** N of the physical layout; for rows this is not the number of rows. */
  int n() {
    return (int) shape[0];
  }

  int c() {
    return (int) shape[1];
  }

  int s() {
    return (int) Shapes.sizeFrom(shape, 2);
  }

  int size() {
    return n() * c() * s();
  }

  int groups() {
    return c() % 4 == 0 ? 4 : c() % 3 == 0 ? 3 : 1;
  }

  /** The dimensions LayerNorm and RmsNorm normalize over. */
  private long[] rowShape() {
    int dimensions = kind == Kind.LAYER_OF_TWO_DIMENSIONS ? 2 : 1;
    return Arrays.copyOfRange(shape, shape.length - dimensions, shape.length);
  }

  private int parameters() {
    return kind.isRows() ? (int) Shapes.size(rowShape()) : c();
  }

  private boolean hasWeight() {
    return affine == Affine.BOTH || affine == Affine.WEIGHT;
  }

  private boolean hasBias() {
    return (affine == Affine.BOTH || affine == Affine.BIAS) && kind != Kind.RMS;
  }

  float[] weightValues() {
    return hasWeight() ? TestData.normal(seed + 100, parameters(), 1, 0.5) : null;
  }

  float[] biasValues() {
    return hasBias() ? TestData.normal(seed + 200, parameters(), 0, 0.5) : null;
  }

  float[] runningMean() {
    return TestData.normal(seed + 300, c(), mean, 0.5);
  }

  float[] runningVariance() {
    float[] variance = TestData.normal(seed + 400, c(), 0, 1);
    for (int i = 0; i < variance.length; i++) {
      variance[i] = 0.5f + Math.abs(variance[i]);
    }
    return variance;
  }

  /** The input in logical order. */
  float[] x() {
    return TestData.normal(seed, size(), mean, 1);
  }

  float[] dy() {
    return TestData.normal(seed + 500, size(), 0, 1);
  }

  NormLayer layer() {
    NormLayer layer =
        switch (kind) {
          case BATCH -> configure(BatchNorm.builder(c()).trackRunningStats(false));
          case BATCH_RUNNING -> configure(BatchNorm.builder(c()));
          case LAYER, LAYER_OF_TWO_DIMENSIONS -> configure(LayerNorm.builder(rowShape()));
          case RMS -> configure(RmsNorm.builder(rowShape()));
          case GROUP -> configure(GroupNorm.builder(groups(), c()));
          case INSTANCE -> configure(InstanceNorm.builder(c()));
          case INSTANCE_RUNNING -> configure(InstanceNorm.builder(c()).trackRunningStats(true));
        };
    set(layer.weight(), weightValues());
    set(layer.bias(), biasValues());
    if (kind.isRunning()) {
      Map<String, Tensor> state = layer.state();
      set(state.get("running_mean"), runningMean());
      set(state.get("running_var"), runningVariance());
    }
    return layer;
  }

  private NormLayer configure(LayerBuilder<?> builder) {
    builder.backend(backend).activation(activation).affine(hasWeight());
    if (kind != Kind.RMS) {
      builder.bias(hasBias());
    }
    return builder.eps(1e-5).build();
  }

  private static void set(Tensor parameter, float[] values) {
    if (parameter != null) {
      parameter.copyFrom(values);
    }
  }

  /** The oracle of training: with the input's own statistics. */
  Oracle trainingOracle() {
    boolean rows = kind.isRows();
    int rowSize = parameters();
    int groups =
        switch (kind) {
          case GROUP -> groups();
          case INSTANCE, INSTANCE_RUNNING -> c();
          default -> 1;
        };
    Oracle.Kind oracleKind =
        switch (kind) {
          case BATCH, BATCH_RUNNING -> Oracle.Kind.BATCH;
          case LAYER, LAYER_OF_TWO_DIMENSIONS -> Oracle.Kind.LAYER;
          case RMS -> Oracle.Kind.RMS;
          case GROUP, INSTANCE, INSTANCE_RUNNING -> Oracle.Kind.GROUP;
        };
    return new Oracle(
        oracleKind,
        rows ? size() / rowSize : n(),
        rows ? rowSize : c(),
        rows ? 1 : s(),
        groups,
        1e-5,
        weightValues(),
        biasValues(),
        activation == Activation.RELU);
  }

  /** The oracle of inference: with the running statistics where there are any. */
  Oracle inferenceOracle() {
    if (!kind.isRunning()) {
      return trainingOracle();
    }
    return new Oracle(
            Oracle.Kind.BATCH,
            n(),
            c(),
            s(),
            1,
            1e-5,
            weightValues(),
            biasValues(),
            activation == Activation.RELU)
        .given(runningMean(), runningVariance());
  }

  /** What inference on x must give, whatever the engine and the layout. */
  double[] expected() {
    return INFERENCES.get(problem(), problem -> inferenceOracle().forward(TestData.widen(x())));
  }

  /** Logical values in this case's physical order. */
  float[] physical(float[] logical) {
    return layout == Layout.CHANNELS_LAST ? TestData.channelsLast(logical, n(), c(), s()) : logical;
  }

  float[] logical(float[] physical) {
    return layout == Layout.CHANNELS_LAST
        ? TestData.channelsFirst(physical, n(), c(), s())
        : physical;
  }

  /** A new tensor of this case's shape and layout. */
  Tensor tensor(float[] logical) {
    Tensor tensor = Tensor.allocate(DataType.F32, layout, shape);
    tensor.copyFrom(physical(logical));
    return tensor;
  }

  float[] logical(Tensor tensor) {
    return logical(tensor.toArray());
  }

  /** All but how and where it is computed. */
  String problem() {
    return kind
        + " "
        + Arrays.toString(shape)
        + " "
        + affine
        + " "
        + activation
        + " mean "
        + mean
        + " seed "
        + seed;
  }

  @Override
  public String toString() {
    return problem() + " " + layout + " " + backend;
  }
}
