package io.nativenorm.engine.reference;

/**
 * What a mean and a variance make of x: (x - mean) * inverse. The mean is center + roundedAway, so
 * that a large one costs no digits: x - center is exact where x is near it. The variance is rounded
 * to float, as it is handed out, so that training and inference agree; beyond the largest float all
 * is 0, also where x - center would overflow.
 */
record Normal(double inverse, double roundedAway, float center) {
  static Normal of(double mean, double variance, double eps) {
    double inverse = 1 / Math.sqrt((float) variance + eps);
    float center = inverse == 0 ? 0 : (float) mean;
    return new Normal(inverse, inverse == 0 ? 0 : mean - (float) mean, center);
  }

  double scale(double weight) {
    return inverse * weight;
  }

  double shift(double weight, double bias) {
    return bias - roundedAway * scale(weight);
  }

  /** Whether a unit takes doubles. */
  boolean isOutside() {
    return FloatRange.isOutside(inverse, center, inverse, 0);
  }

  /** The same for a unit that is a channel. */
  boolean isOutside(double weight, double bias) {
    return FloatRange.isOutside(
        inverse, center, (float) scale(weight), (float) shift(weight, bias));
  }
}
