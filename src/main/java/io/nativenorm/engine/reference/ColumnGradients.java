package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * dx = dyFactor * (dy - dyCenter) + xFactor * (x - center) + constant for each column of a sample,
 * from its sums, of which the products become parts of the weight's gradient: see {@link
 * UnitGradient}, of which a column that is a unit of its own has the weight in its factors.
 */
final class ColumnGradients {
  private final Samples samples;
  private final double eps;
  private final boolean given;
  private final float[] weight;
  private final boolean usual;

  final float[] center;
  final float[] dyFactor;
  final float[] xFactor;
  final float[] constant;
  final float[] dyCenter;

  /** Of the columns. */
  final boolean[] isOutside;

  boolean someOutside;

  /** The weight of the columns may be null. */
  ColumnGradients(Samples samples, double eps, boolean given, float[] weight) {
    this.samples = samples;
    this.eps = eps;
    this.given = given;
    this.weight = weight;
    usual = FloatRange.areUsual(weight);
    center = new float[samples.columns()];
    dyFactor = new float[center.length];
    xFactor = new float[center.length];
    constant = new float[center.length];
    dyCenter = new float[center.length];
    isOutside = new boolean[center.length];
  }

  /** Sets those of a sample, from the statistics of its units, which have n values. */
  void set(float[] mean, float[] variance, ColumnGradientSums sums, double n) {
    someOutside = n == 0;
    Arrays.fill(isOutside, someOutside);
    if (someOutside) {
      return;
    }
    takeConstants(variance, sums);
    if (samples.members() == 1) {
      setColumns(mean, variance, sums, n);
    } else {
      for (int unit = 0; unit < samples.unitsPerSample(); unit++) {
        setUnit(unit, mean[unit], variance[unit], sums, n);
      }
    }
    if (someOutside) {
      samples.joinNotNumbers(dyFactor, isOutside);
    }
  }

  private void takeConstants(float[] variance, ColumnGradientSums sums) {
    for (int j = 0; sums.exactDy != null && j < center.length; j++) {
      if (variance[j / samples.members()] == 0) {
        sums.sums[j] = sums.exactDy[j];
        sums.products[j] = sums.same[j] ? 0 : Double.NaN;
        sums.residuals[j] = 0;
      }
    }
  }

  private double weightOf(int column) {
    return weight == null ? 1 : weight[column];
  }

  private void setUnit(int unit, float mean, float variance, ColumnGradientSums sums, double n) {
    int begin = unit * samples.members();
    int end = begin + samples.members();
    double dy = 0;
    double product = 0;
    double residual = 0;
    for (int j = begin; j < end; j++) {
      dy += weightOf(j) * sums.sums[j];
      product += weightOf(j) * sums.products[j];
      residual += sums.residuals[j];
    }
    Normal normal = Normal.of(mean, variance, eps);
    UnitGradient gradient =
        new UnitGradient(normal, dy, product, residual, n, variance, eps, given);
    for (int j = begin; j < end; j++) {
      put(j, gradient.with(weightOf(j)));
      sums.products[j] = gradient.weightPart(sums.sums[j], sums.products[j]);
      isOutside[j] = gradient.isOutside();
    }
    someOutside |= gradient.isOutside();
  }

  private void put(int j, Gradient gradient) {
    center[j] = gradient.center();
    dyFactor[j] = gradient.dyFactor();
    xFactor[j] = gradient.xFactor();
    constant[j] = gradient.constant();
    dyCenter[j] = gradient.dyCenter();
  }

  private void setColumns(float[] mean, float[] variance, ColumnGradientSums sums, double n) {
    boolean checks = !usual;
    for (int j = 0; j < center.length; j++) {
      checks |= !FloatRange.isPlain(variance[j] + eps, sums.sums[j], sums.products[j]);
    }
    for (int j = 0; j < center.length; j++) {
      boolean maybeConstant = sums.exactDy != null && variance[j] == 0 && sums.products[j] == 0;
      if (checks && maybeConstant) {
        setConstant(j, mean[j], sums.sums[j], n);
      } else {
        setColumn(j, mean[j], variance[j], sums, n, checks);
      }
      someOutside |= isOutside[j];
    }
  }

  private void setConstant(int j, float mean, double dy, double n) {
    double w = weightOf(j);
    double gradientMean = w * (dy / n);
    double inverse = Gradient.inverseOfConstant(eps);
    put(j, Gradient.ofConstant(mean, inverse, w, gradientMean));
    isOutside[j] = FloatRange.isConstantOutside(inverse, gradientMean);
  }

  private void setColumn(
      int j, float mean, float variance, ColumnGradientSums sums, double n, boolean checks) {
    double share = given ? 0 : 1 / n;
    double dy = sums.sums[j];
    double inverse = 1 / Math.sqrt(variance + eps);
    double offset = given || inverse == 0 ? 0 : sums.residuals[j] * share;
    double product = inverse == 0 ? 0 : sums.products[j] - offset * dy;
    double factor = inverse * weightOf(j);
    double xPart = -factor * inverse * inverse * product * share;
    center[j] = inverse == 0 ? 0 : mean;
    dyFactor[j] = (float) factor;
    xFactor[j] = (float) xPart;
    constant[j] = (float) (-factor * dy * share - xPart * offset);
    dyCenter[j] = 0;
    isOutside[j] =
        checks
            && (FloatRange.isOutside(inverse, dy, sums.products[j], n, factor, xPart)
                || (!given && FloatRange.isConstant(variance, dy)));
    sums.products[j] = inverse * product;
  }
}
