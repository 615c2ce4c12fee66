package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * y = (x - center) * scale + shift for each column of a sample, where the center is the mean
 * rounded to float and the shift makes up for the rounding.
 */
final class ColumnAffines {
  private final Samples samples;
  private final double eps;
  private final float[] weight;
  private final float[] bias;
  private final boolean usual;

  final float[] center;
  final float[] scale;
  final float[] shift;

  /** Of the columns. */
  final boolean[] isOutside;

  boolean someOutside;

  /** The weight and the bias of the columns may be null. */
  ColumnAffines(Samples samples, double eps, float[] weight, float[] bias) {
    this.samples = samples;
    this.eps = eps;
    this.weight = weight;
    this.bias = bias;
    usual = FloatRange.areUsual(weight) && FloatRange.areUsual(bias);
    center = new float[samples.columns()];
    scale = new float[center.length];
    shift = new float[center.length];
    isOutside = new boolean[center.length];
  }

  /** Sets those of a sample, from the statistics of its units. */
  void set(double[] mean, double[] variance) {
    someOutside = false;
    Arrays.fill(isOutside, false);
    boolean unusual = !usual;
    for (int unit = 0; unit < samples.unitsPerSample(); unit++) {
      Normal normal = Normal.of(mean[unit], variance[unit], eps);
      unusual |= !FloatRange.isUsual(mean[unit], variance[unit], eps);
      set(unit, normal);
    }
    // Only then is each column checked.
    for (int j = 0; samples.members() == 1 && unusual && j < center.length; j++) {
      double inverse = 1 / Math.sqrt((float) variance[j] + eps);
      isOutside[j] = FloatRange.isOutside(inverse, center[j], scale[j], shift[j]);
      someOutside |= isOutside[j];
    }
    if (someOutside) {
      samples.joinNotNumbers(scale, isOutside);
    }
  }

  private void set(int unit, Normal normal) {
    int begin = unit * samples.members();
    for (int j = begin; j < begin + samples.members(); j++) {
      double w = weight == null ? 1 : weight[j];
      center[j] = normal.center();
      scale[j] = (float) normal.scale(w);
      shift[j] = (float) normal.shift(w, bias == null ? 0 : bias[j]);
      if (samples.members() > 1) {
        isOutside[j] = normal.isOutside();
        someOutside |= isOutside[j];
      }
    }
  }
}
