package io.nativenorm.engine;

/**
 * Mean and variance of a group in two passes with double sums. The sum of n equal floats is exact
 * in a double up to n = 2^29, so a constant group has exactly its value as mean and 0 as variance.
 */
public final class Moments {
  private Moments() {}

  /**
   * The mean of a group, sum(x) / n.
   *
   * @param x all elements
   * @param groups the groups among them
   * @param group which one
   * @return its mean
   */
  public static double mean(FloatView x, Groups groups, long group) {
    return sum(x, groups, group, 0, false) / groups.size();
  }

  /**
   * The mean square distance from a center, sum((x - center)^2) / n: the biased variance around the
   * mean, the mean square around 0.
   *
   * @param x all elements
   * @param groups the groups among them
   * @param group which one
   * @param center the point to measure from
   * @return the mean square distance
   */
  public static double meanSquare(FloatView x, Groups groups, long group, double center) {
    return sum(x, groups, group, center, true) / groups.size();
  }

  /**
   * What distances from the mean are multiplied by, 1 / sqrt(variance + eps). It is 0 for a group
   * without spread if no float is large enough for it (eps is 0, or next to it): such a group gives
   * exactly the bias, and its gradient is 0.
   *
   * @param variance the computed variance of a group, or mean square for RMS
   * @param eps added to it
   * @return the factor
   */
  public static double inverseDeviation(double variance, double eps) {
    double inverse = 1 / Math.sqrt(variance + eps);
    return variance == 0 && inverse > Float.MAX_VALUE ? 0 : inverse;
  }

  /** The sum of the distances from a center, or of their squares. */
  private static double sum(
      FloatView x, Groups groups, long group, double center, boolean squared) {
    double sum = 0;
    long start = groups.offset(group);
    for (long i = 0; i < groups.outer(); i++) {
      long at = start + i * groups.outerStride();
      for (long j = 0; j < groups.inner(); j++, at += groups.innerStride()) {
        double distance = x.get(at) - center;
        sum += squared ? distance * distance : distance;
      }
    }
    return sum;
  }
}
