package io.nativenorm;

/**
 * The options of layers that normalize rows.
 *
 * @param <B> the builder itself, for chained calls
 */
public abstract sealed class RowBuilder<B extends RowBuilder<B>> extends LayerBuilder<B>
    permits LayerNorm.Builder, RmsNorm.Builder {
  private double unitOffset;

  RowBuilder(String name, double eps, boolean affine) {
    super(name, eps, affine);
  }

  /**
   * What is added to the weight before it multiplies, in float: 1 for checkpoints of Gemma and of
   * Qwen3-Next, whose weights are distances from 1. Default 0.
   *
   * <p>{@link NormLayer#weight}, {@link NormLayer#state} and gradients are of the weight itself,
   * which begins with {@code 1 - value}, so that a new layer multiplies by 1.
   *
   * @param value a finite float
   * @return this
   * @throws IllegalArgumentException if it is not finite as a float; {@link #build} throws it if
   *     there is no weight to add it to
   */
  public B unitOffset(double value) {
    requireOffset(name(), value);
    unitOffset = value;
    return self();
  }

  static void requireOffset(String name, double value) {
    if (!Float.isFinite((float) value)) {
      throw new IllegalArgumentException(
          name + ": unitOffset must be a finite float, but got " + value);
    }
  }

  @Override
  final double unitOffset() {
    return unitOffset;
  }

  /** This, if its options go together. */
  final RowBuilder<B> complete() {
    if (unitOffset != 0 && !hasWeight()) {
      throw new IllegalArgumentException(
          name() + ": unitOffset(" + unitOffset + ") is added to a weight, but there is none");
    }
    return this;
  }
}
