package io.nativenorm.engine.reference;

/**
 * Which units neither overflow nor underflow in float, judged by numbers that are computed anyway.
 * A unit outside goes through {@link ExactUnit}.
 */
final class FloatRange {
  /** The smallest normal float. */
  private static final double LEAST_FLOAT = Float.MIN_NORMAL;

  /**
   * Below it, with eps, a variance is a few of the smallest floats or none, and its root's inverse
   * cubed, which gradients have, is too large for one.
   */
  static final double LEAST_VARIANCE = 1e-20;

  private static final double MOST_INVERSE = 1e10;

  /** Products and sums of what is below do not leave the range of floats, whatever the order. */
  static final double MOST_FACTOR = 1e30;

  /** Parameters so large, if any, leave the range of floats with no usual factor. */
  private static final double MOST_USUAL = 1e20;

  private FloatRange() {}

  /**
   * Whether y = (x - center) * scale + shift, of a unit with this 1 / sqrt(variance + eps), can
   * leave the range of floats though y does not.
   */
  static boolean isOutside(double inverse, double center, double scale, double shift) {
    return inverse > MOST_INVERSE
        || Math.abs(center) > MOST_FACTOR
        || Math.abs(scale) > MOST_FACTOR
        || Math.abs(shift) > MOST_FACTOR;
  }

  /** Of a column with these, and with a usual weight and bias, the above counts as false. */
  static boolean isUsual(double mean, double variance, double eps) {
    return variance + eps >= LEAST_VARIANCE && Math.abs(mean) <= MOST_USUAL;
  }

  /** Whether all weights or biases are; those that are not there are. */
  static boolean areUsual(float[] parameters) {
    if (parameters == null) {
      return true;
    }
    for (float parameter : parameters) {
      if (!(Math.abs(parameter) <= (float) MOST_USUAL)) {
        return false;
      }
    }
    return true;
  }

  /** What nearly every gradient is, before its factors are known. Here the next two are false. */
  static boolean isPlain(double varianceAndEps, double dy, double product) {
    double size = Math.abs(product);
    return size >= 1e-15
        && size + Math.abs(dy) <= 1e15
        && varianceAndEps >= 1e-10
        && varianceAndEps <= 1e8;
  }

  /**
   * The same as for y, for a gradient, from its sums over n values (weighted where weights differ
   * in the unit) around the mean. dx is inverse * (g - sum(g) / n - ...): if a part of it is too
   * large and dx is not, so is a sum. NaN in x makes no difference.
   */
  static boolean isOutside(
      double inverse, double dy, double product, double n, double dyFactor, double xFactor) {
    double size = inverse * (Math.abs(dy) + inverse * Math.abs(product));
    boolean large = !(size <= MOST_FACTOR) && inverse == inverse;
    boolean small = Math.abs(xFactor) < LEAST_FLOAT || Math.abs(product) < n * LEAST_FLOAT;
    return inverse > MOST_INVERSE
        || Math.abs(dyFactor) > MOST_FACTOR
        || large
        || (small && xFactor != 0);
  }

  /**
   * The gradient of what is constant is inverse * (g - sum(g) / n), 0 for a g that is constant too:
   * in floats it would be the sum's rounding over sqrt(eps). All x of it may still not be the same:
   * squares of distances below 1e-23 are no floats.
   */
  static boolean isConstant(double variance, double dy) {
    return variance == 0 && dy != 0;
  }

  /** Whether the gradient of what is constant leaves the range of floats. */
  static boolean isConstantOutside(double inverse, double gradientMean) {
    return !(inverse * Math.abs(gradientMean) <= MOST_FACTOR);
  }
}
