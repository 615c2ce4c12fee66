package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Objects;

/**
 * Root mean square normalization over the trailing dimensions of each row: {@code y = x /
 * sqrt(mean(x^2) + eps) * weight}. There is no bias.
 *
 * <p>Input is {@code (*, normalizedShape)}; the weight has the normalized shape. Semantics of
 * PyTorch's {@code RMSNorm}, whose default eps is the float's, 2^-23, and of ONNX's
 * RMSNormalization, whose default is 1e-5. A {@link Layout#CHANNELS_LAST} input with spatial
 * dimensions is taken in the order of its logical shape, through a copy.
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

  /** Options of a {@link RmsNorm}. */
  public static final class Builder extends LayerBuilder<Builder> {
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
