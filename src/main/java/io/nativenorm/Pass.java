package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One training pass through a layer: its output, its statistics, and what backward needs. It keeps
 * the memory of the input, whose elements must not change until the last {@link #backward}, and
 * uses the weight the layer has at that time. Passes are independent of each other.
 *
 * <p>A pass may be used for one step after the other: {@link #forward(Tensor, Tensor)} takes the
 * next input of the same shape, and backward is then of that one. With outputs and gradients in
 * memory that is there, a step allocates nothing outside the heap and little on it:
 *
 * <pre>{@code
 * try (LayerNorm norm = LayerNorm.of(768);
 *     Pass pass = norm.forwardTraining(x, y, 32, 768)) {        // float[], as all that follow
 *   pass.backward(dy, dx, dWeight, null);                       // no gradient of the bias
 *   pass.forward(x, y);                                         // the next step
 *   pass.accumulate(dy, dx, dWeight, null);                     // dWeight is now of both
 * }
 * }</pre>
 *
 * <p>Gradients that are null are not computed. Those that are given may lie as follows; all else
 * that overlaps is refused, before anything is written:
 *
 * <ul>
 *   <li>dx may be dy, on exactly its memory (where a dy over the standard deviation is too large
 *       for a float, which a small weight may bring back, dx is infinite then, and dWeight too). It
 *       is apart from the input and, if the layer has an activation, from the output; else it may
 *       be the output, on exactly its memory.
 *   <li>dWeight and dBias are apart from each other, from dx and from all that backward reads: dy,
 *       the input, the output of a layer with an activation, the weight, mean and variance.
 *   <li>None of them, and no output, is on the layer's parameters and running statistics.
 * </ul>
 *
 * <p>Different passes may be used at once, and a pass's backward by many threads; its forward waits
 * for them, and they for it. Closing beside a call is safe.
 */
public final class Pass implements AutoCloseable {
  private final Training training;
  private final PassState state;

  /** What users see: closing it takes nothing from backward. */
  private final @Nullable Tensor meanHandle;

  private final Tensor varianceHandle;
  private final Lifetime lifetime = new Lifetime(this::free);

  /** Takes over a state whose first forward is done. */
  Pass(Training training, PassState state) {
    this.training = training;
    this.state = state;
    meanHandle = state.mean == null ? null : state.mean.share();
    varianceHandle = state.variance.share();
  }

  /**
   * The layer's output of the last forward.
   *
   * @return a tensor that this pass closes, also with its next forward into another one; not to be
   *     changed before backward if the layer has an activation. Null if the output is an array
   */
  public @Nullable Tensor output() {
    return state.output();
  }

  /**
   * The means the input was normalized with: of each channel for BatchNorm and frozen statistics,
   * of {@linkplain BatchNorm.Builder#ghost ghost batches} x channels, over the leading dimensions
   * for LayerNorm, of samples x groups for GroupNorm, of samples x channels for InstanceNorm. An
   * empty input has none: the first of these extents is 0, whatever the input's are, unless the
   * statistics are frozen.
   *
   * @return a tensor that this pass closes, not to be changed before backward, or null for RmsNorm
   */
  public @Nullable Tensor mean() {
    return meanHandle;
  }

  /**
   * The biased variances, without eps, in the same shape; for RmsNorm the mean squares over the
   * leading dimensions.
   *
   * @return a tensor that this pass closes, not to be changed before backward
   */
  public Tensor variance() {
    return varianceHandle;
  }

  /**
   * The next step: normalizes another input of the same shape, type and layout as the first, and
   * takes it into the running statistics; frozen statistics are those that the layer has now. From
   * here on backward is of this input.
   *
   * @param x input, not to be changed until the last backward; may be that of the last step
   * @param y output, like the input and apart from it; not to be changed until the last backward if
   *     the layer has an activation
   * @throws IllegalArgumentException if they are not like that; the last step is still there then,
   *     unless it is a single value in each channel of all workers together
   * @throws IllegalStateException if this pass, its layer or a tensor is closed, or the layer was
   *     {@linkplain RunningNorm#freeze frozen} or thawed since this pass was made
   */
  public void forward(Tensor x, Tensor y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    @Nullable Tensor[] used = begin(x, y);
    long stamp = state.beginForward();
    try {
      training.check().requireFit(state, x, y);
      training.run(state, x, y);
    } finally {
      state.end(stamp);
      end(used);
    }
  }

  /**
   * The same on heap arrays, where the pass is of F32 and {@link Layout#CHANNELS_FIRST}, or has no
   * spatial dimension.
   *
   * @param x input, not to be changed until the last backward
   * @param y another array, for the output; not to be changed until the last backward if the layer
   *     has an activation
   */
  public void forward(float[] x, float[] y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    @Nullable Tensor[] none = begin();
    long stamp = state.beginForward();
    try {
      training.check().requireFit(state, x, y);
      training.run(state, x, y);
    } finally {
      state.end(stamp);
      end(none);
    }
  }

  /**
   * The gradients of a loss, given its gradient at the output. May be called more than once.
   *
   * @param dy a tensor of the output's shape, type and layout
   * @return gradients to be closed by the caller
   * @throws IllegalArgumentException if the tensor is not like the output
   * @throws IllegalStateException if this pass, its layer or the tensor is closed
   */
  public Gradients backward(Tensor dy) {
    Objects.requireNonNull(dy, "dy");
    @Nullable Tensor[] used = begin(dy);
    long stamp = state.beginBackward();
    try {
      return TensorScope.made(training.differentiation().run(state, dy));
    } finally {
      state.end(stamp);
      end(used);
    }
  }

  /**
   * The same into memory that is there; what is null is not wanted, and not computed. Where they
   * may lie is said above.
   *
   * @param dy a tensor of the output's shape, type and layout
   * @param dx gets the gradient of the input, which it is like; or null
   * @param dWeight gets that of the weight, F32 of the weight's shape; or null
   * @param dBias gets that of the bias, F32 of the bias's shape; or null
   * @throws IllegalArgumentException if one of them is not like that, or is of a parameter that the
   *     layer does not have; nothing is written then
   * @throws IllegalStateException if this pass, its layer or a tensor is closed
   */
  public void backward(
      Tensor dy, @Nullable Tensor dx, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    differentiate(dy, dx, dWeight, dBias, false);
  }

  /**
   * The same, but dWeight and dBias are added to, each sum rounded once more: for a step over
   * several batches. Two passes must not add to the same at once.
   *
   * @param dy a tensor of the output's shape, type and layout
   * @param dx gets the gradient of the input, which it is like; or null
   * @param dWeight gets that of the weight in addition, F32 of the weight's shape; or null
   * @param dBias gets that of the bias in addition, F32 of the bias's shape; or null
   */
  public void accumulate(
      Tensor dy, @Nullable Tensor dx, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    differentiate(dy, dx, dWeight, dBias, true);
  }

  private void differentiate(
      Tensor dy,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight,
      @Nullable Tensor dBias,
      boolean adds) {
    Objects.requireNonNull(dy, "dy");
    @Nullable Tensor[] used = begin(dy, dx, dWeight, dBias);
    long stamp = state.beginBackward();
    try {
      training.differentiation().run(state, new TensorTargets(dy, dx, dWeight, dBias, adds));
    } finally {
      state.end(stamp);
      end(used);
    }
  }

  /**
   * The same on heap arrays, where the pass is of F32 and {@link Layout#CHANNELS_FIRST}, or has no
   * spatial dimension. They are not copied where FUSED may work on them as they are; else each is
   * once.
   *
   * @param dy as many elements as the output
   * @param dx gets the gradient of the input; or null
   * @param dWeight gets that of the weight; or null
   * @param dBias gets that of the bias; or null
   * @throws IllegalArgumentException if a length is wrong, one of them is another or the pass's
   *     input or output (but dx may be dy), or a parameter is not there; nothing is written then
   * @throws IllegalStateException if this pass or its layer is closed
   */
  public void backward(
      float[] dy, float @Nullable [] dx, float @Nullable [] dWeight, float @Nullable [] dBias) {
    differentiate(dy, dx, dWeight, dBias, false);
  }

  /**
   * The same, but dWeight and dBias are added to, each sum rounded once more.
   *
   * @param dy as many elements as the output
   * @param dx gets the gradient of the input; or null
   * @param dWeight gets that of the weight in addition; or null
   * @param dBias gets that of the bias in addition; or null
   */
  public void accumulate(
      float[] dy, float @Nullable [] dx, float @Nullable [] dWeight, float @Nullable [] dBias) {
    differentiate(dy, dx, dWeight, dBias, true);
  }

  private void differentiate(
      float[] dy,
      float @Nullable [] dx,
      float @Nullable [] dWeight,
      float @Nullable [] dBias,
      boolean adds) {
    Objects.requireNonNull(dy, "dy");
    @Nullable Tensor[] none = begin();
    long stamp = state.beginBackward();
    try {
      training.differentiation().run(state, new ArrayTargets(dy, dx, dWeight, dBias, adds));
    } finally {
      state.end(stamp);
      end(none);
    }
  }

  Training training() {
    return training;
  }

  PassState state() {
    return state;
  }

  /** Begins a use of this pass and of tensors. */
  @Nullable Tensor[] begin(@Nullable Tensor... tensors) {
    if (!lifetime.acquire()) {
      throw new IllegalStateException("the pass of " + training + " is closed");
    }
    try {
      Uses.begin(tensors);
      return tensors;
    } catch (RuntimeException | Error e) {
      lifetime.release();
      throw e;
    }
  }

  void end(@Nullable Tensor... tensors) {
    Uses.end(tensors);
    lifetime.release();
  }

  private void free() {
    state.free();
    if (meanHandle != null) {
      meanHandle.close();
    }
    varianceHandle.close();
  }

  /** Frees the output and the statistics. Closing again does nothing. */
  @Override
  public void close() {
    lifetime.close();
  }
}
