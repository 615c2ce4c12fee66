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

  /** Options of a {@link LayerNorm}. */
  public static final class Builder extends LayerBuilder<Builder> {
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
