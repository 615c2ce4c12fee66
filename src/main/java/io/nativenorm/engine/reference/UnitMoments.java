package io.nativenorm.engine.reference;

/**
 * The mean of some values and the sum of their squared distances from it, out of float sums of
 * distances from a pivot:
 *
 * <pre>
 *   mean = pivot + sum(x - pivot) / n      m2 = sum((x - pivot)^2) - sum(x - pivot)^2 / n
 * </pre>
 *
 * The sums lose as many digits as the pivot's squared distance from the mean is larger than the
 * variance. The first pivot is 0; beyond 4 standard deviations the mean that came out is the next.
 * Squares of floats above 1.8e19 overflow: such units are summed up in doubles.
 */
final class UnitMoments {
  private static final double TRUSTED_RATIO = 16;

  /** What float sums around some pivots come to. */
  interface Sums {
    void around(float pivot);

    double sum();

    double squares();
  }

  double mean;
  double m2;

  /** Takes the sums around 0; {@code share} is 1 / n. */
  Trust judge(double sum, double squares, double share) {
    double offset = sum * share;
    double excess = sum * offset;
    double rest = squares - excess;
    set(offset, rest > 0 ? rest : 0);
    if (!(squares <= Double.MAX_VALUE)) {
      return Trust.DOUBLES; // infinite or not a number
    }
    return excess <= TRUSTED_RATIO * rest ? Trust.GOOD : Trust.OTHER_PIVOT;
  }

  /**
   * Takes the sums of n values around a pivot near the mean; false if the unit takes doubles. It
   * divides: where all values are the same, m2 is exactly 0.
   */
  boolean judgeAround(float pivot, double sum, double squares, double n) {
    double offset = sum / n;
    double rest = squares - sum * offset;
    set(pivot + offset, rest > 0 ? rest : 0);
    return squares <= Double.MAX_VALUE;
  }

  /** Measures a unit of n values; false if it takes doubles. */
  boolean measure(Sums sums, double n) {
    sums.around(0);
    Trust trust = judge(sums.sum(), sums.squares(), 1 / n);
    if (trust == Trust.OTHER_PIVOT) {
      float pivot = (float) mean;
      sums.around(pivot);
      return judgeAround(pivot, sums.sum(), sums.squares(), n);
    }
    return trust == Trust.GOOD;
  }

  void set(double newMean, double newM2) {
    mean = newMean;
    m2 = newM2;
  }
}
