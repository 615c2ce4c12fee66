package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.nio.FloatBuffer;
import java.util.Objects;

/**
 * Root mean square normalization over the trailing dimensions of each row: {@code y = x /
 * sqrt(mean(x^2) + eps) * weight}. There is no bias.
 *
 * <pre>{@code
 * try (RmsNorm norm = RmsNorm.builder(4096).eps(1e-5).build()) {
 *   float[] x = new float[4096], normalized = new float[4096];
 *   norm.forward(x, normalized);                              // one token
 *   float[] weights = new float[2 * 4096];                    // of two layers
 *   RmsNorm.normalize(x, 0, x, 0, 1, 4096, weights, 4096, 1e-5); // without a layer
 * }
 * }</pre>
 *
 * <p><b>Input.</b> {@code (*, normalizedShape)}, F32, BF16 or F16; the weight has the normalized
 * shape. A {@link Layout#CHANNELS_LAST} input with spatial dimensions is taken in the order of its
 * logical shape, through a copy.
 *
 * <p><b>Defaults.</b> PyTorch's: weights 1, and as eps the float's, 2^-23. ONNX's RMSNormalization
 * has 1e-5, most models 1e-5 or 1e-6; {@code unitOffset(1)} is for Gemma's. Semantics of PyTorch's
 * {@code RMSNorm}.
 *
 * <p><b>Errors.</b> {@link IllegalArgumentException} for an input that does not end in the
 * normalized shape, and for arrays that do not have the rows that are asked for; {@link NormLayer}
 * has those that all layers throw.
 *
 * <p><b>Cost.</b> x is read and y written once, backward reads x and dy once. A row of 4096 takes
 * 0.24 us, without allocating; 512x4096 (8 MB) 0.16 ms at inference, 0.13 in training and 0.28
 * backward on two cores of an AMD EPYC.
 *
 * @see <a href="https://arxiv.org/abs/1910.07467">Zhang and Sennrich, 2019</a>
 */
public final class RmsNorm extends RowNorm {
  private RmsNorm(Builder options) {
    super(options, Operation.RMS, options.rows);
  }

  /**
   * A layer with PyTorch's defaults.
   *
   * @param normalizedShape the trailing dimensions that are normalized together
   * @return a layer to be closed by the caller
   */
  public static RmsNorm of(long... normalizedShape) {
    return builder(normalizedShape).build();
  }

  /**
   * Options for a layer.
   *
   * @param normalizedShape the trailing dimensions that are normalized together
   * @return a builder with PyTorch's defaults
   * @throws IllegalArgumentException if there is none, or one is not positive
   */
  public static Builder builder(long... normalizedShape) {
    return new Builder(Objects.requireNonNull(normalizedShape, "normalizedShape").clone());
  }

  /**
   * Inference of rows that follow each other inside heap arrays, without a layer: nothing to close,
   * nothing allocated once a program has made its different calls, from any thread at once. The
   * engine is AUTO, or the system property {@code nativenorm.backend}.
   *
   * <pre>{@code
   * RmsNorm.normalize(x, 0, xb, 0, 1, dim, weights, layer * dim, 1e-5);
   * }</pre>
   *
   * @param x input
   * @param xOffset index of its first element that is read
   * @param y output, which may be the input: each row is written where it is read or apart from all
   *     that is read. Untouched if this throws
   * @param yOffset index of its first element that is written
   * @param rows how many; 0 does nothing
   * @param length elements of each
   * @param weight what multiplies each element of a row
   * @param weightFrom index of the first of these
   * @param eps what is added to the mean square inside the root, 0 or more
   * @throws IllegalArgumentException if an array does not have what is asked for, or a row would be
   *     written over something else that is read
   */
  public static void normalize(
      float[] x,
      int xOffset,
      float[] y,
      int yOffset,
      int rows,
      int length,
      float[] weight,
      int weightFrom,
      double eps) {
    normalize(x, xOffset, y, yOffset, rows, length, weight, weightFrom, eps, 0);
  }

  /**
   * The same with {@code weight + unitOffset} in place of the weight, added in float.
   *
   * @param x input
   * @param xOffset index of its first element that is read
   * @param y output
   * @param yOffset index of its first element that is written
   * @param rows how many
   * @param length elements of each
   * @param weight what multiplies each element of a row, less the offset
   * @param weightFrom index of the first of these
   * @param eps what is added to the mean square inside the root, 0 or more
   * @param unitOffset a finite float; 1 for checkpoints of Gemma
   * @throws IllegalArgumentException as above
   */
  public static void normalize(
      float[] x,
      int xOffset,
      float[] y,
      int yOffset,
      int rows,
      int length,
      float[] weight,
      int weightFrom,
      double eps,
      double unitOffset) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    Objects.requireNonNull(weight, "weight");
    Function.INSTANCE.run(
        x, xOffset, y, yOffset, rows, length, weight, weightFrom, null, 0, eps, unitOffset);
  }

  /**
   * The same with the weight in a direct buffer, such as a mapped file's.
   *
   * @param x input
   * @param xOffset index of its first element that is read
   * @param y output
   * @param yOffset index of its first element that is written
   * @param rows how many
   * @param length elements of each
   * @param weight a direct buffer in native byte order
   * @param weightFrom index of the first of these, whatever the buffer's position
   * @param eps what is added to the mean square inside the root, 0 or more
   * @throws IllegalArgumentException as above
   * @throws IllegalStateException if the arena of the buffer's memory is closed; it must not be
   *     closed during the call
   */
  public static void normalize(
      float[] x,
      int xOffset,
      float[] y,
      int yOffset,
      int rows,
      int length,
      FloatBuffer weight,
      int weightFrom,
      double eps) {
    normalize(x, xOffset, y, yOffset, rows, length, weight, weightFrom, eps, 0);
  }

  /**
   * The same with {@code weight + unitOffset} in place of the weight, added in float.
   *
   * @param x input
   * @param xOffset index of its first element that is read
   * @param y output
   * @param yOffset index of its first element that is written
   * @param rows how many
   * @param length elements of each
   * @param weight a direct buffer in native byte order
   * @param weightFrom index of the first of these, whatever the buffer's position
   * @param eps what is added to the mean square inside the root, 0 or more
   * @param unitOffset a finite float; 1 for checkpoints of Gemma
   * @throws IllegalArgumentException as above
   * @throws IllegalStateException if the arena of the buffer's memory is closed; it must not be
   *     closed during the call
   */
  public static void normalize(
      float[] x,
      int xOffset,
      float[] y,
      int yOffset,
      int rows,
      int length,
      FloatBuffer weight,
      int weightFrom,
      double eps,
      double unitOffset) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    Objects.requireNonNull(weight, "weight");
    Function.INSTANCE.run(
        x, xOffset, y, yOffset, rows, length, weight, weightFrom, eps, unitOffset);
  }

  /** Made when it is first asked for: only then the property is read. */
  private static final class Function {
    static final RowFunction INSTANCE =
        new RowFunction("RmsNorm.normalize", Operation.RMS, LayerBuilder.defaultBackend());
  }

  /** Options of a {@link RmsNorm}. */
  public static final class Builder extends RowBuilder<Builder> {
    private final NormalizedShape rows;

    private Builder(long[] normalizedShape) {
      super(NormalizedShape.nameOf("RmsNorm", normalizedShape), 0x1p-23, true);
      this.rows = new NormalizedShape("RmsNorm", normalizedShape);
      super.bias(false);
    }

    /**
     * RmsNorm has no bias.
     *
     * @param value false
     * @return this
     * @throws IllegalArgumentException if it is true
     */
    @Override
    public Builder bias(boolean value) {
      if (value) {
        throw new IllegalArgumentException(name() + ": there is no bias");
      }
      return super.bias(false);
    }

    /**
     * RmsNorm has no bias.
     *
     * @param shared none fits
     * @return nothing
     * @throws IllegalArgumentException always
     */
    @Override
    public Builder bias(Tensor shared) {
      Objects.requireNonNull(shared, "shared");
      return bias(true);
    }

    @Override
    Builder self() {
      return this;
    }

    @Override
    public RmsNorm build() {
      return new RmsNorm(this);
    }
  }
}
