package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Shape;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Batch normalization over the samples and positions of each channel: {@code y = (x - mean) /
 * sqrt(variance + eps) * weight + bias}.
 *
 * <pre>{@code
 * try (BatchNorm norm = BatchNorm.of(64);
 *     Tensor x = Tensor.zeros(8, 64, 14, 14);                 // samples, channels, positions
 *     Tensor y = norm.forward(x);                             // by the running statistics
 *     Pass pass = norm.forwardTraining(x);                    // by the batch's own
 *     Gradients gradients = pass.backward(y)) {
 *   norm.weight().addScaled(-0.1f, gradients.weight());
 * }
 * }</pre>
 *
 * <p><b>Input.</b> {@code (N, C)} or {@code (N, C, spatial...)}, F32, BF16 or F16, in either
 * layout. Training uses the batch's mean and biased variance and takes them into the running
 * statistics; inference uses the running ones, or the batch's if there are none. An empty batch
 * leaves all running statistics alone, the count included.
 *
 * <p><b>Defaults.</b> PyTorch's: eps 1e-5, weights 1 and biases 0 of channels, running means 0 and
 * variances 1, momentum 0.1 (the weight of the new statistics), the unbiased variance in them.
 * Semantics of {@code BatchNorm1d/2d/3d}; ONNX's BatchNormalization is {@code
 * .decay(0.9).runningVariance(RunningVariance.POPULATION)}.
 *
 * <p><b>Errors.</b> {@link IllegalArgumentException} for an input of fewer dimensions or other
 * channels, and where the batch's own statistics are used, for a single value in each channel
 * (unless {@link OneValue#PASS}) and for eps 0; {@link NormLayer} has those that all layers throw.
 *
 * <p><b>Cost.</b> Inference reads x and writes y once. Training reads x once more, from the cache
 * where a channel is small enough, backward reads x and dy twice. 32x64x56x56 (26 MB) takes 0.99 ms
 * at inference, 0.83 in training and 2.5 backward on two cores of an AMD EPYC; a call of a few
 * values some 0.1 us.
 *
 * @see <a href="https://arxiv.org/abs/1502.03167">Ioffe and Szegedy, 2015</a>
 */
public final class BatchNorm extends RunningNorm {
  final long channels;
  private final Phases phases;

  private BatchNorm(Builder options, long channels) {
    super(Operation.BATCH, options, channels);
    this.channels = channels;
    phases = new Phases(this, options.backend());
  }

  /**
   * A layer with PyTorch's defaults.
   *
   * @param channels C, at least 1
   * @return a layer to be closed by the caller
   */
  public static BatchNorm of(long channels) {
    return builder(channels).build();
  }

  /**
   * Options for a layer.
   *
   * @param channels C, at least 1
   * @return a builder with PyTorch's defaults
   * @throws IllegalArgumentException if there is no channel
   */
  public static Builder builder(long channels) {
    return new Builder(channels);
  }

  /** Options of a {@link BatchNorm}. */
  public static final class Builder extends RunningBuilder<Builder> {
    private final long channels;

    private Builder(long channels) {
      super("BatchNorm(" + channels + ")", true, true);
      this.channels = Shapes.requirePositive(name(), "channels", channels);
    }

    @Override
    Builder self() {
      return this;
    }

    @Override
    public BatchNorm build() {
      return new BatchNorm(this, channels);
    }
  }

  /**
   * Phase 1 of training in parts: the moments of a part of the batch, to be merged with those of
   * the others. Training and backward of a batch whose parts are computed apart, as by several
   * workers or inside a loop that is the caller's own (a convolution's), are four phases: this,
   * {@link #apply}, {@link #sumGradients} and {@link #applyGradients}. With all parts merged they
   * are the training of the whole batch, but for the order of sums; of one part that is the whole,
   * FUSED's y has the bits of {@link #forwardTraining(Tensor)}. None of them touches the running
   * statistics, which {@link #updateRunningStats} is for.
   *
   * <pre>{@code
   * try (BatchNorm norm = BatchNorm.builder(64).build();
   *     Tensor x = Tensor.zeros(4, 64, 14, 14);                 // this worker's part
   *     Tensor y = Tensor.zeros(4, 64, 14, 14);
   *     Tensor dy = Tensor.zeros(4, 64, 14, 14);
   *     Tensor dWeight = Tensor.zeros(64)) {
   *   ChannelMoments m = norm.measure(x);                       // merge with the others' here
   *   norm.apply(x, m, y);
   *   GradientSums sums = norm.sumGradients(x, m, y, dy);       // and here
   *   norm.applyGradients(x, m, y, dy, sums, dy);               // dx, in place of dy
   *   norm.parameterGradients(m, sums, dWeight, null);
   * }
   * }</pre>
   *
   * <p>FUSED and JAVA have them; JAVA's are sums in doubles, with last bits of their own, and
   * ONEDNN refuses them with {@link NativeNormException}.
   *
   * @param x a part of the batch, as {@link #forwardTraining(Tensor)} takes it; may be empty, or
   *     have a single value in each channel
   * @return its moments
   */
  public ChannelMoments measure(Tensor x) {
    Objects.requireNonNull(x, "x");
    return phases.measure(x);
  }

  /**
   * Phase 2: normalizes a part by the moments of the whole batch. It reads x and writes y once.
   *
   * @param x a part of the batch
   * @param m moments of all parts
   * @param y output, of the input's shape, type and layout, apart from it
   * @throws IllegalArgumentException if there is a single value in each channel of the whole, or
   *     none, or eps is 0
   */
  public void apply(Tensor x, ChannelMoments m, Tensor y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(m, "m");
    Objects.requireNonNull(y, "y");
    phases.apply(x, m, y);
  }

  /**
   * Phase 3: what the gradient of a part sums up to, to be merged with the sums of the others. It
   * reads x and dy (and with an activation y) once.
   *
   * @param x the part
   * @param m moments of all parts
   * @param y what {@link #apply} made of it; null will do without an activation
   * @param dy the gradient at y, like x
   * @return its sums
   */
  public GradientSums sumGradients(Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(m, "m");
    Objects.requireNonNull(dy, "dy");
    return phases.sum(x, m, y, dy);
  }

  /**
   * Phase 4: the gradient of a part of the input, which all other parts have a share in.
   *
   * @param x the part
   * @param m moments of all parts
   * @param y what {@link #apply} made of it; null will do without an activation
   * @param dy the gradient at y, like x
   * @param sums of all parts
   * @param dx gets the gradient at x, like x; may be dy, on exactly its memory, and is else apart
   *     from all that is read
   */
  public void applyGradients(
      Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy, GradientSums sums, Tensor dx) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(m, "m");
    Objects.requireNonNull(dy, "dy");
    Objects.requireNonNull(sums, "sums");
    Objects.requireNonNull(dx, "dx");
    phases.applyGradients(x, m, y, dy, sums, dx);
  }

  /**
   * The gradients of weight and bias: of the whole batch with the sums of all parts, and with those
   * of one part its share, which the others' are added to.
   *
   * @param m moments of all parts
   * @param sums of all parts, or of one
   * @param dWeight gets the gradient of the weight, F32 of its shape; or null
   * @param dBias gets that of the bias; or null
   */
  public void parameterGradients(
      ChannelMoments m, GradientSums sums, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    Objects.requireNonNull(m, "m");
    Objects.requireNonNull(sums, "sums");
    phases.parameterGradients(m, sums, dWeight, dBias);
  }

  /**
   * Takes the moments of a whole batch into the running statistics, as {@link
   * #forwardTraining(Tensor)} takes its own: by momentum, with the unbiased variance, or not while
   * they are frozen. Moments of no value change nothing. After {@code momentum(1)} the running
   * statistics are these moments, such as those of all data.
   *
   * @param m moments of all parts
   * @throws IllegalArgumentException if they are of other channels or of one value
   */
  public void updateRunningStats(ChannelMoments m) {
    Objects.requireNonNull(m, "m");
    phases.updateRunning(m);
  }

  @Override
  Shape shapeOf(long[] shape, Layout layout) {
    if (shape.length < 2) {
      throw new IllegalArgumentException(
          this + ": expected 2D or higher input (got " + shape.length + "D input)");
    }
    if (shape[1] != channels) {
      throw new IllegalArgumentException(
          this
              + ": expected input with "
              + channels
              + " channels in dimension 1, but got "
              + Shapes.text(shape)
              + ": running_mean should contain "
              + shape[1]
              + " elements not "
              + channels);
    }
    return Shapes.ofChannels(shape, layout, 1);
  }

  @Override
  void checkComputable(Shape shape, long[] extents) {
    if (eps() == 0) {
      throw new IllegalArgumentException(
          this + ": batch_norm eps must be positive during training, but got 0");
    }
    if (shape.batch() * shape.spatial() == 1 && !passesOneValue()) {
      throw new IllegalArgumentException(
          this
              + ": Expected more than 1 value per channel when training, got input size "
              + Shapes.text(extents));
    }
  }

  @Override
  long[] statisticsShape(long[] shape) {
    return new long[] {channels};
  }
}
