package io.nativenorm.engine.onednn;

import io.nativenorm.Layout;
import io.nativenorm.engine.FloatView;
import io.nativenorm.engine.Groups;
import io.nativenorm.engine.Moments;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;

/**
 * Means and variances from {@link BlockSums} around a pivot near the mean, and where float products
 * do not hold them, or the pivot was far off, from doubles alone. A constant unit has exactly its
 * value for a mean and 0 for a variance.
 */
final class ExactStatistics {
  /** Variances whose squares and sums of squares neither overflow nor vanish in float. */
  static final double SMALLEST = 1e-28;

  static final double LARGEST = 1e30;

  /** A mean up to which x - mean cannot overflow: half a unit in the last place of the largest. */
  private static final double LARGEST_MEAN = 1e31;

  /** Spaced values whose average is the pivot. */
  private static final int SAMPLES = 16;

  /** The largest (mean - pivot)^2 / variance: the variance loses as many digits as this has. */
  private static final double LARGEST_RATIO = 4;

  private final Problem problem;
  private final Groups groups;
  private final boolean rms;

  ExactStatistics(Problem problem) {
    this.problem = problem;
    this.groups = Groups.of(problem);
    this.rms = problem.operation() == Operation.RMS;
  }

  /** Whether a variance with its eps can be worked with in float; NaN can. */
  static boolean isUsual(double varianceAndEps) {
    return !(varianceAndEps < SMALLEST) && !(varianceAndEps > LARGEST);
  }

  /** All statistics, and whether floats can normalize with them. */
  boolean compute(NativeFloats src, NativeFloats mean, NativeFloats variance) {
    if (!isPerChannel()) {
      BlockSums sums = BlockSums.ofMoments(problem, src);
      boolean usual = true;
      for (long k = 0; k < groups.count(); k++) {
        usual &= compute(k, sums, src, mean, variance);
      }
      return usual;
    }
    boolean batch = problem.operation() == Operation.BATCH;
    boolean usual = true;
    for (long n = 0; n < (batch ? 1 : problem.batch()); n++) {
      usual &= computeChannels(n, batch ? problem.batch() : 1, src, mean, variance);
    }
    return usual;
  }

  /** The statistics of one unit, and whether floats can normalize with them. */
  boolean compute(
      long unit, BlockSums sums, NativeFloats src, NativeFloats mean, NativeFloats variance) {
    if (isPerChannel()) {
      return finish(unit, 0, Double.NaN, Double.NaN, src, mean, variance);
    }
    double[][] results = sums.results(1);
    float pivot = rms ? 0 : pivot(src.view(), unit);
    sums.addRun(groups.offset(unit), groups.size(), pivot, results, 0);
    return finish(unit, pivot, results[0][0], results[1][0], src, mean, variance);
  }

  /** Whether the elements of a unit do not follow each other. */
  private boolean isPerChannel() {
    return problem.operation() == Operation.BATCH
        || problem.operation() == Operation.GROUP && problem.layout() == Layout.CHANNELS_LAST;
  }

  /** Samples from a first one on, channel by channel. */
  private boolean computeChannels(
      long first, long samples, NativeFloats src, NativeFloats mean, NativeFloats variance) {
    int channels = Math.toIntExact(problem.channels());
    long units = problem.operation() == Operation.BATCH ? channels : problem.groups();
    int members = (int) (channels / units);
    float[] pivots = new float[channels];
    for (int c = 0; c < channels; c++) {
      pivots[c] = c % members == 0 ? pivot(src.view(), first * units + c / members) : pivots[c - 1];
    }
    BlockSums sums = BlockSums.ofMoments(problem, src);
    double[][] results = sums.results(channels);
    sums.addSamples(problem, first, samples, pivots, results);
    boolean usual = true;
    for (int c = 0; c < channels; c += members) {
      double sum = 0;
      double squares = 0;
      for (int i = c; i < c + members; i++) {
        sum += results[0][i];
        squares += results[1][i];
      }
      long unit = first * units + c / members;
      usual &= finish(unit, pivots[c], sum, squares, src, mean, variance);
    }
    return usual;
  }

  private float pivot(FloatView x, long unit) {
    int samples = (int) Math.min(SAMPLES, groups.size());
    double sum = 0;
    for (int i = 0; i < samples; i++) {
      long element = groups.size() / samples * i;
      long at = groups.offset(unit) + element / groups.inner() * groups.outerStride();
      sum += x.get(at + element % groups.inner() * groups.innerStride());
    }
    float pivot = (float) (sum / samples);
    return Float.isFinite(pivot) ? pivot : 0;
  }

  private boolean finish(
      long unit,
      float pivot,
      double sum,
      double squares,
      NativeFloats src,
      NativeFloats means,
      NativeFloats variances) {
    double distance = rms ? 0 : sum / groups.size();
    double mean = pivot + distance;
    double variance = squares / groups.size() - distance * distance;
    boolean good =
        distance * distance <= LARGEST_RATIO * variance
            && variance >= SMALLEST
            && variance <= LARGEST;
    if (!good) {
      mean = rms ? 0 : Moments.mean(src.view(), groups, unit);
      variance = Moments.meanSquare(src.view(), groups, unit, mean);
    }
    if (!rms) {
      means.view().put(unit, (float) mean);
    }
    variances.view().put(unit, (float) variance);
    return (variance == 0 || isUsual(variance + problem.eps())) && isUsualMean(mean);
  }

  static boolean isUsualMean(double mean) {
    return Double.isInfinite(mean) || !(Math.abs(mean) > LARGEST_MEAN);
  }
}
