package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Objects;

/**
 * Layer normalization over the trailing dimensions of each row: {@code y = (x - mean) /
 * sqrt(variance + eps) * weight + bias}, with the biased variance.
 *
 * <p>Input is {@code (*, normalizedShape)}; weight and bias have the normalized shape. Semantics of
 * PyTorch's {@code LayerNorm} and ONNX's LayerNormalization. A {@link Layout#CHANNELS_LAST} input
 * with spatial dimensions is taken in the order of its logical shape, through a copy.
 *
 * @see <a href="https://arxiv.org/abs/1607.06450">Ba, Kiros and Hinton, 2016</a>
 */
public final class LayerNorm extends RowNorm {
  private LayerNorm(Builder options) {
    super(options, Operation.LAYER, options.rows);
  }

  /**
   * A layer with PyTorch's defaults.
   *
   * @param normalizedShape the trailing dimensions that are normalized together
   * @return a layer to be closed by the caller
   */
  public static LayerNorm of(long... normalizedShape) {
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
   * LayerNorm.normalize(x, 0, y, 0, tokens, length, weights, at, biases, at, 1e-5);
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
   * @param bias what is added to each element of a row
   * @param biasFrom index of the first of these
   * @param eps what is added to the variance inside the root, 0 or more; PyTorch's default is 1e-5
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
      float[] bias,
      int biasFrom,
      double eps) {
    normalize(x, xOffset, y, yOffset, rows, length, weight, weightFrom, bias, biasFrom, eps, 0);
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
   * @param bias what is added to each element of a row
   * @param biasFrom index of the first of these
   * @param eps what is added to the variance inside the root, 0 or more
   * @param unitOffset a finite float
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
      float[] bias,
      int biasFrom,
      double eps,
      double unitOffset) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    Objects.requireNonNull(weight, "weight");
    Objects.requireNonNull(bias, "bias");
    Function.INSTANCE.run(
        x, xOffset, y, yOffset, rows, length, weight, weightFrom, bias, biasFrom, eps, unitOffset);
  }

  /** Made when it is first asked for: only then the property is read. */
  private static final class Function {
    static final RowFunction INSTANCE =
        new RowFunction("LayerNorm.normalize", Operation.LAYER, LayerBuilder.defaultBackend());
  }

  /** Options of a {@link LayerNorm}. */
  public static final class Builder extends RowBuilder<Builder> {
    private final NormalizedShape rows;

    private Builder(long[] normalizedShape) {
      super(NormalizedShape.nameOf("LayerNorm", normalizedShape), 1e-5, true);
      this.rows = new NormalizedShape("LayerNorm", normalizedShape);
    }

    @Override
    Builder self() {
      return this;
    }

    @Override
    public LayerNorm build() {
      return new LayerNorm(this);
    }
  }
}
