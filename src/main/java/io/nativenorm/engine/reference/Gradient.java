package io.nativenorm.engine.reference;

/**
 * dx = dyFactor * (dy - dyCenter) + xFactor * (x - center) + constant. Where x is its mean
 * everywhere, dyCenter is what is taken off dy, rounded to float, and xFactor 0; elsewhere dyCenter
 * is 0.
 */
record Gradient(float center, float dyFactor, float xFactor, float constant, float dyCenter) {
  /**
   * The gradient of what is constant: inverse * (weight * dy - mean(g)). No digits are lost where
   * dy is near its mean. Where mean(g) / weight is too large, the weight times dy counts for
   * nothing.
   */
  static Gradient ofConstant(float center, double inverse, double weight, double gradientMean) {
    double dyMean = gradientMean / weight;
    float dyCenter = Math.abs(dyMean) <= FloatRange.MOST_FACTOR ? (float) dyMean : 0;
    double constant = inverse * (weight * dyCenter - gradientMean);
    return new Gradient(center, (float) (inverse * weight), 0, (float) constant, dyCenter);
  }

  /** 1 / sqrt(variance + eps) of what is constant; 0 where no float is large enough for it. */
  static double inverseOfConstant(double eps) {
    double inverse = 1 / Math.sqrt(eps);
    return inverse > Float.MAX_VALUE ? 0 : inverse;
  }
}
