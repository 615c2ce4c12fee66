package io.nativenorm.engine.reference;

import io.nativenorm.engine.memory.FloatView;

/**
 * The moments of each column of a sample out of sum(x - pivot) and sum((x - pivot)^2): see {@link
 * UnitMoments}. The columns of a unit are merged in their order.
 */
final class ColumnMoments extends ColumnSums {
  private final FloatView x;
  private final Samples samples;
  private final double[] mean;
  private final double[] m2;
  private final boolean[] distrusted;

  /** Of all columns, and of the strip that is summed up; null for 0. */
  private float[] pivots;

  private final float[] strip = new float[width];
  private int stripOf = -1;

  ColumnMoments(FloatView x, Samples samples) {
    super(samples.rows(), samples.columns(), true);
    this.x = x;
    this.samples = samples;
    mean = new double[samples.columns()];
    m2 = new double[samples.columns()];
    distrusted = new boolean[samples.columns()];
  }

  double mean(int unit) {
    return mean[unit];
  }

  /** The sum of squared distances from the mean. */
  double m2(int unit) {
    return m2[unit];
  }

  @Override
  void fill(int row, long at, int column, int count) {
    x.read(at, first[row], 0, count);
    if (pivots != null) {
      if (stripOf != column) {
        repeat(pivots, column, strip);
        stripOf = column;
      }
      Elementwise.subtract(first[row], strip, count);
    }
  }

  /** Measures the units of a sample. */
  void measure(long sample, double eps) {
    pivots = null;
    sum(samples.start(sample));
    double share = 1 / (double) samples.rows();
    UnitMoments found = new UnitMoments();
    boolean allGood = true;
    for (int j = 0; j < mean.length; j++) {
      Trust trust = found.judge(sums[j], products[j], share);
      distrusted[j] = trust != Trust.GOOD;
      allGood &= trust == Trust.GOOD;
      mean[j] = found.mean;
      m2[j] = found.m2;
    }
    if (!allGood) {
      measureAgain(sample, found);
    }
    merge();
    for (int unit = 0; unit < samples.unitsPerSample(); unit++) {
      if (m2[unit] / samples.values() + eps < FloatRange.LEAST_VARIANCE) {
        samples.exact(sample, unit).measure(x, true, found);
        mean[unit] = found.mean;
        m2[unit] = found.m2;
      }
    }
  }

  /** The sums around pivots of all columns. */
  void sumAround(long sample, float[] newPivots) {
    pivots = newPivots;
    stripOf = -1;
    sum(samples.start(sample));
  }

  /** Those columns that are distrusted; the others keep every bit. */
  private void measureAgain(long sample, UnitMoments found) {
    float[] means = new float[mean.length];
    for (int j = 0; j < mean.length; j++) {
      means[j] = (float) mean[j];
    }
    sumAround(sample, means);
    for (int j = 0; j < mean.length; j++) {
      if (distrusted[j]) {
        if (!found.judgeAround(pivots[j], sums[j], products[j], samples.rows())) {
          samples.exactColumn(sample, j).measure(x, true, found);
        }
        mean[j] = found.mean;
        m2[j] = found.m2;
      }
    }
  }

  /**
   * Merges the moments of a unit's columns, of which each has as many values, in place (Chan, Golub
   * and LeVeque, 1979).
   */
  private void merge() {
    int members = samples.members();
    for (int unit = 0; members > 1 && unit < samples.unitsPerSample(); unit++) {
      int begin = unit * members;
      double sum = 0;
      for (int j = begin; j < begin + members; j++) {
        sum += mean[j] - mean[begin];
      }
      double merged = mean[begin] + sum / members;
      double total = 0;
      for (int j = begin; j < begin + members; j++) {
        total += m2[j] + samples.rows() * (mean[j] - merged) * (mean[j] - merged);
      }
      mean[unit] = merged;
      m2[unit] = total;
    }
  }
}
