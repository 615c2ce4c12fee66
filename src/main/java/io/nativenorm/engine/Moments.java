package io.nativenorm.engine;

import io.nativenorm.engine.memory.FloatView;

/**
 * Mean and variance of a unit in two passes with double sums. The sum of n equal floats is exact in
 * a double up to n = 2^29, so a constant unit has exactly its value as mean and 0 as variance.
 */
public final class Moments {
  private Moments() {}

  /**
   * The mean of a unit, sum(x) / n.
   *
   * @param x all elements
   * @param units the units among them
   * @param unit which one
   * @return its mean
   */
  public static double mean(FloatView x, Units units, long unit) {
    return sum(x, units, unit, 0, false) / units.size();
  }

  /**
   * The mean square distance from a center, sum((x - center)^2) / n: the biased variance around the
   * mean, the mean square around 0.
   *
   * @param x all elements
   * @param units the units among them
   * @param unit which one
   * @param center the point to measure from
   * @return the mean square distance
   */
  public static double meanSquare(FloatView x, Units units, long unit, double center) {
    return sum(x, units, unit, center, true) / units.size();
  }

  /**
   * What distances from the mean are multiplied by, 1 / sqrt(variance + eps). It is 0 for a unit
   * without spread if no float is large enough for it (eps is 0, or next to it): such a unit gives
   * exactly the bias, and its gradient is 0.
   *
   * @param variance the computed variance of a unit, or mean square for RMS
   * @param eps added to it
   * @return the factor
   */
  public static double inverseDeviation(double variance, double eps) {
    double inverse = 1 / Math.sqrt(variance + eps);
    return variance == 0 && inverse > Float.MAX_VALUE ? 0 : inverse;
  }

  /** The sum of the distances from a center, or of their squares. */
  private static double sum(FloatView x, Units units, long unit, double center, boolean squared) {
    double sum = 0;
    long start = units.offset(unit);
    for (long i = 0; i < units.outer(); i++) {
      long at = start + i * units.outerStride();
      for (long j = 0; j < units.inner(); j++, at += units.innerStride()) {
        double distance = x.get(at) - center;
        sum += squared ? distance * distance : distance;
      }
    }
    return sum;
  }
}
