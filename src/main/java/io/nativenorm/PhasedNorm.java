package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What a batch normalization computes of parts of a batch. */
abstract sealed class PhasedNorm extends RunningNorm permits BatchNorm {
  final long channels;
  private final Phases phases;
  private final @Nullable LayerExchange exchange;
  private final boolean mergesParameterGradients;

  PhasedNorm(Operation operation, BatchNorm.Builder options, long channels) {
    super(operation, options, channels);
    this.channels = channels;
    phases = new Phases(this, options.backend());
    exchange = options.layerExchange();
    mergesParameterGradients = options.mergesParameterGradients();
  }

  @Override
  final @Nullable SharedPass shared(Problem problem) {
    return exchange == null
        ? null
        : new SharedPass(this, exchange, phases.calls(), mergesParameterGradients, problem);
  }

  @Override
  final void thawed() {
    if (exchange != null) {
      exchange.thawed();
    }
  }

  @Override
  final boolean isShared() {
    return exchange != null;
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
}
