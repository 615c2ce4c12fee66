package io.nativenorm.engine.reference;

/**
 * What the sums over a unit make of its gradient,
 *
 * <pre>
 *   dx = inverse * weight * dy + xFactor * (x - center) + constant
 *   xFactor = -inverse^3 * (sum(g * (x - center)) - offset * sum(g)) / n
 *   constant = -inverse * sum(g) / n - xFactor * offset
 * </pre>
 *
 * with g = dy * weight and offset = sum(x - center) / n, from the center to the mean; and the part
 * a channel's sums have in the weight's gradient. Of a constant unit, of which the product is 0, it
 * is inverse * (weight * dy - sum(g) / n).
 */
final class UnitGradient {
  private final double inverse;
  private final double offset;
  private final double xFactor;
  private final double constant;
  private final double gradientMean;
  private final float center;
  private final boolean isConstant;
  private final boolean isOutside;

  /** The sums are weighted; given statistics are constants. */
  UnitGradient(
      Normal normal,
      double dy,
      double product,
      double residual,
      double n,
      double variance,
      double eps,
      boolean given) {
    double i = normal.inverse();
    boolean zero = given || i == 0;
    double share = 1 / n;
    offset = zero ? 0 : residual * share;
    // Without a finite variance the product may have overflowed.
    xFactor = zero ? 0 : -i * i * i * (product - offset * dy) * share;
    constant = given ? 0 : -i * dy * share - xFactor * offset;
    gradientMean = dy / n;
    center = normal.center();
    isConstant = !given && variance == 0 && product == 0;
    if (isConstant) {
      inverse = Gradient.inverseOfConstant(eps);
      isOutside = FloatRange.isConstantOutside(inverse, gradientMean);
    } else {
      inverse = i;
      isOutside =
          !FloatRange.isPlain(variance + eps, dy, product)
              && (FloatRange.isOutside(i, dy, product, n, i, xFactor)
                  || (!given && FloatRange.isConstant(variance, dy)));
    }
  }

  /** Whether the unit takes doubles. */
  boolean isOutside() {
    return isOutside;
  }

  Gradient with(double weight) {
    if (!isConstant) {
      return new Gradient(center, (float) (inverse * weight), (float) xFactor, (float) constant, 0);
    }
    Gradient g = Gradient.ofConstant(center, inverse, weight, gradientMean);
    // Twice a double's rounding: of a weighted sum and of its share.
    boolean exact =
        Math.abs(weight * g.dyCenter() - gradientMean) <= 4e-16 * Math.abs(gradientMean);
    return exact ? new Gradient(center, g.dyFactor(), 0, 0, g.dyCenter()) : g;
  }

  double weightPart(double dy, double product) {
    return inverse == 0 || isConstant ? 0 : inverse * (product - offset * dy);
  }
}
