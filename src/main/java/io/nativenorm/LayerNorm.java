package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Objects;

/**
 * Layer normalization over the trailing dimensions of each row: {@code y = (x - mean) /
 * sqrt(variance + eps) * weight + bias}, with the biased variance.
 *
 * <pre>{@code
 * try (LayerNorm norm = LayerNorm.of(768)) {
 *   float[] hidden = new float[128 * 768];                    // rows of 768, as many as there are
 *   norm.forward(hidden, hidden);                             // in place
 *   norm.forward(hidden, 5 * 768, hidden, 5 * 768, 1);        // the sixth row alone
 *   try (Tensor x = Tensor.of(hidden, 1, 128, 768);           // batch, tokens, elements
 *       Pass pass = norm.forwardTraining(x);
 *       Gradients gradients = pass.backward(pass.output())) {
 *     norm.weight().addScaled(-0.1f, gradients.weight());
 *   }
 * }
 * }</pre>
 *
 * <p><b>Input.</b> {@code (*, normalizedShape)}, F32, BF16 or F16; weight and bias have the
 * normalized shape. A {@link Layout#CHANNELS_LAST} input with spatial dimensions is taken in the
 * order of its logical shape, through a copy.
 *
 * <p><b>Defaults.</b> PyTorch's: eps 1e-5, weights 1 and biases 0. Semantics of its {@code
 * LayerNorm} and of ONNX's LayerNormalization.
 *
 * <p><b>Errors.</b> {@link IllegalArgumentException} for an input that does not end in the
 * normalized shape, and for arrays that do not have the rows that are asked for; {@link NormLayer}
 * has those that all layers throw.
 *
 * <p><b>Cost.</b> x is read and y written once, backward reads x and dy once. A row of 64 takes
 * 0.11 us, one of 4096 0.45, both without allocating; 32x128x768 (13 MB) 0.40 ms at inference, 0.43
 * in training and 0.60 backward on two cores of an AMD EPYC.
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
   * LayerNorm.normalize(x, 0, y, 0, tokens, dim, weights, layer * dim, biases, layer * dim, 1e-5);
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
