package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A layer whose statistics may leave padding out: what has positions to count. */
abstract sealed class MaskedNorm extends NormLayer permits RunningNorm, GroupNorm {
  private final Masking masking;

  MaskedNorm(
      Operation operation,
      LayerBuilder<?> options,
      @Nullable RunningStatistics running,
      long... parameters) {
    super(operation, options, running, parameters);
    masking = new Masking(this, options.backend());
  }

  /**
   * Inference by the statistics of what a mask counts. With running statistics, which are used as
   * without a mask, it changes nothing.
   *
   * @param x input
   * @param mask what counts
   * @param y output, as {@link #forward(Tensor, Tensor)} takes it, and apart from the mask
   * @throws IllegalArgumentException if the mask does not fit the input, or counts a single value
   *     where the layer refuses one
   * @throws IllegalStateException if the layer or a tensor, the mask's too, is closed
   */
  public void forward(Tensor x, Mask mask, Tensor y) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(mask, "mask");
    Objects.requireNonNull(y, "y");
    masking.forward(x, mask, y);
  }

  /**
   * Training by the statistics of what a mask counts, which go into running ones: see {@link Mask}.
   * Its pass is of one step, as the next batch has another mask.
   *
   * @param x input, not to be changed until the last backward; what is not counted may be anything
   * @param mask what counts, read once
   * @return what backward needs, to be closed by the caller
   * @throws IllegalArgumentException if the mask does not fit the input, or counts a single value
   *     in each channel (of an InstanceNorm in a sample) where the layer refuses one
   * @throws IllegalStateException if the layer or a tensor, the mask's too, is closed
   */
  public Pass forwardTraining(Tensor x, Mask mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(mask, "mask");
    return TensorScope.made(masking.forwardTraining(x, mask));
  }
}
