package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.Problem;
import java.util.Arrays;
import java.util.Objects;

/**
 * One training pass through a layer: its output, its statistics, and what backward needs. It keeps
 * the memory of the input, whose elements must not change until the last {@link #backward}, and
 * uses the weight the layer has at that time. Passes are independent of each other.
 */
public final class Pass implements AutoCloseable {
  private final Training training;
  private final Problem problem;

  /** The input in the order the engines take: channels first where the layer normalizes rows. */
  private final Tensor input;

  /** The output in the same order, and in the input's own if that differs. */
  private final Tensor result;

  private final Tensor output;
  private final Tensor mean;
  private final Tensor variance;

  /** What users see: closing it takes nothing from backward. */
  private final Tensor meanHandle;

  private final Tensor varianceHandle;
  private final Lifetime lifetime = new Lifetime(this::free);

  /** Takes over the tensors, whose values are computed. */
  Pass(
      Training training,
      Problem problem,
      Tensor input,
      Tensor result,
      Tensor output,
      Tensor mean,
      Tensor variance) {
    this.training = training;
    this.problem = problem;
    this.input = input;
    this.result = result;
    this.output = output;
    this.mean = mean;
    this.variance = variance;
    meanHandle = mean == null ? null : mean.share();
    varianceHandle = variance.share();
  }

  /**
   * The layer's output.
   *
   * @return a tensor that this pass closes; not to be changed before backward if the layer has an
   *     activation
   */
  public Tensor output() {
    return output;
  }

  /**
   * The means the input was normalized with: of each channel for BatchNorm and frozen statistics,
   * over the leading dimensions for LayerNorm, of samples x groups for GroupNorm, of samples x
   * channels for InstanceNorm. An empty input has none: the first of these extents is 0, whatever
   * the input's are, unless the statistics are frozen.
   *
   * @return a tensor that this pass closes, not to be changed before backward, or null for RmsNorm
   */
  public Tensor mean() {
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
   * The gradients of a loss, given its gradient at the output. May be called more than once.
   *
   * @param dy a tensor of the output's shape, type and layout
   * @return gradients to be closed by the caller
   * @throws IllegalArgumentException if the tensor is not like the output
   * @throws IllegalStateException if this pass, its layer or the tensor is closed
   */
  public Gradients backward(Tensor dy) {
    Objects.requireNonNull(dy, "dy");
    if (!lifetime.acquire()) {
      throw new IllegalStateException("the pass of " + training + " is closed");
    }
    try {
      dy.acquire();
      try {
        requireLikeOutput(dy);
        return gradients(dy);
      } finally {
        dy.release();
      }
    } finally {
      lifetime.release();
    }
  }

  private void requireLikeOutput(Tensor dy) {
    boolean alike =
        dy.dataType() == output.dataType()
            && dy.layout() == output.layout()
            && Arrays.equals(dy.extents(), output.extents());
    if (!alike) {
      throw new IllegalArgumentException(
          training + ": expected a gradient like the output, " + output + ", but got " + dy);
    }
  }

  private Gradients gradients(Tensor dy) {
    input.acquire(); // it may be on a pointer that its owner has freed by now
    try (Tensor ordered = dy.in(input.layout())) {
      return training.differentiate(
          problem, input, result, mean, variance, ordered, output.layout());
    } finally {
      input.release();
    }
  }

  private void free() {
    input.close();
    result.close();
    output.close();
    if (mean != null) {
      mean.close();
      meanHandle.close();
    }
    variance.close();
    varianceHandle.close();
  }

  /** Frees the output and the statistics. Closing again does nothing. */
  @Override
  public void close() {
    lifetime.close();
  }
}
