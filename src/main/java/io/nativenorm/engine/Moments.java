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
   * The sum of the distances from a center, or of their squares. One accumulator would wait for
   * each addition to end (1.3 ns an element); four in flight take 0.5.
   */
  private static double sum(
      FloatView x, Groups groups, long group, double center, boolean squared) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    long start = groups.offset(group);
    long step = groups.innerStride();
    for (long i = 0; i < groups.outer(); i++) {
      long at = start + i * groups.outerStride();
      long j = 0;
      for (; j + 4 <= groups.inner(); j += 4, at += 4 * step) {
        a += distance(x.get(at) - center, squared);
        b += distance(x.get(at + step) - center, squared);
        c += distance(x.get(at + 2 * step) - center, squared);
        d += distance(x.get(at + 3 * step) - center, squared);
      }
      for (; j < groups.inner(); j++, at += step) {
        a += distance(x.get(at) - center, squared);
      }
    }
    return (a + b) + (c + d);
  }

  private static double distance(double signed, boolean squared) {
    return squared ? signed * signed : signed;
  }
}
