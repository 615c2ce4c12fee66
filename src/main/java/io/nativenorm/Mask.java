package io.nativenorm;

import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Which positions of each sample count in the statistics of {@link BatchNorm}, {@link GroupNorm}
 * and {@link InstanceNorm}; the others are padding. A position has all channels.
 *
 * <pre>{@code
 * try (BatchNorm norm = BatchNorm.of(64);
 *     Tensor x = Tensor.zeros(2, 64, 50)) {            // two sequences in 50 steps
 *   Mask mask = Mask.lengths(50, 31);                  // the second one has 31
 *   try (Pass pass = norm.forwardTraining(x, mask)) {
 *     System.out.println(pass.mean());                 // of 81 values a channel
 *   }
 *   norm.forward(x, mask, x);
 * }
 * }</pre>
 *
 * <p>Padding is left out of mean, variance and their count n, and of the running statistics,
 * whatever lies in it: NaN or infinity there harms nothing. It is normalized as all other positions
 * are. In backward, with g = dy * weight, what flows into the padding comes back through the
 * statistics:
 *
 * <pre>
 *   dweight = sum(dy * xhat)      dbias = sum(dy)                                over all positions
 *   dx = (g - sum(g) / n - xhat * sum(g * xhat) / n) / sqrt(variance + eps)      where it counts
 *   dx = g / sqrt(variance + eps)                                                in the padding
 * </pre>
 *
 * A position of the padding is in these sums where its dy is not 0. If nothing counts, in the batch
 * or for GroupNorm and InstanceNorm in a sample, the output is the bias, dx and dweight are 0, and
 * the running statistics stay as they are.
 *
 * <p>The formulas are those of Keras's BatchNormalization with a mask, without the 1e-7 that it
 * adds to n, which costs the variance of short batches its digits. Neither PyTorch nor oneDNN has
 * masks; computing what counts as a batch of its own gives the same.
 */
public final class Mask {
  private final long @Nullable [] perSample;
  private final @Nullable Tensor tensor;

  private Mask(long @Nullable [] perSample, @Nullable Tensor tensor) {
    this.perSample = perSample;
    this.tensor = tensor;
  }

  /**
   * Counts the first elements of the first spatial dimension, with all of the others: of sequences
   * the first steps, of images the first rows.
   *
   * @param perSample how many, for each sample; 0 to that dimension's extent
   * @return a mask for inputs with that many samples
   * @throws IllegalArgumentException if one is negative
   */
  public static Mask lengths(long... perSample) {
    long[] own = Objects.requireNonNull(perSample, "perSample").clone();
    for (long length : own) {
      if (length < 0) {
        throw new IllegalArgumentException(
            "a mask's lengths must not be negative, but got " + Arrays.toString(own));
      }
    }
    return new Mask(own, null);
  }

  /**
   * Counts the positions at which a tensor is not 0.
   *
   * @param u8 of {@link DataType#U8}, with the input's shape but for the channels: (N, spatial...).
   *     It is not copied; each call reads it once, and what backward needs of it is kept by the
   *     pass
   * @return a mask for inputs of that shape, which throws {@link IllegalStateException} where it is
   *     used once the tensor is closed
   * @throws IllegalArgumentException if the tensor is of another type, {@link Layout#CHANNELS_LAST}
   *     or not in one piece
   */
  public static Mask of(Tensor u8) {
    Objects.requireNonNull(u8, "u8");
    boolean ordered = u8.layout() == Layout.CHANNELS_FIRST || u8.extents().length < 3;
    if (u8.dataType() != DataType.U8 || !ordered || u8.pieces() != null) {
      throw new IllegalArgumentException(
          "a mask is a U8 tensor (N, spatial...), CHANNELS_FIRST and in one piece, but got " + u8);
    }
    return new Mask(null, u8);
  }

  long @Nullable [] perSample() {
    return perSample;
  }

  @Nullable Tensor tensor() {
    return tensor;
  }

  /** What is counted by. */
  @Override
  public String toString() {
    return tensor == null ? "lengths " + Arrays.toString(perSample) : "mask " + tensor;
  }
}
