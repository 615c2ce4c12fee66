package io.nativenorm.engine.onednn;

import io.nativenorm.Layout;
import io.nativenorm.engine.Moments;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;

/**
 * Means and variances from {@link BlockSums} around a pivot near the mean, and where float products
 * overflow or underflow, or the pivot was far off, in doubles alone. A constant unit has exactly
 * its value for a mean and 0 for a variance.
 */
final class ExactStatistics {
  /** Variances whose squares and sums of squares neither overflow nor underflow in float. */
  static final double SMALLEST = 1e-28;

  static final double LARGEST = 1e30;

  /** A mean up to which x - mean cannot overflow: half a unit in the last place of the largest. */
  private static final double LARGEST_MEAN = 1e31;

  /** Spaced values whose average is the pivot. */
  private static final int SAMPLES = 4;

  /** The largest (mean - pivot)^2 / variance: the variance loses as many digits as this has. */
  private static final double LARGEST_RATIO = 4;

  private final Problem problem;
  private final Units units;
  private final boolean rms;

  ExactStatistics(Problem problem) {
    this.problem = problem;
    this.units = Units.of(problem);
    this.rms = problem.norm().operation() == Operation.RMS;
  }

  /** Whether a variance with its eps can be worked with in float; NaN can. */
  static boolean isUsual(double varianceAndEps) {
    return !(varianceAndEps < SMALLEST) && !(varianceAndEps > LARGEST);
  }

  /** All statistics, and whether floats can normalize with them. */
  boolean compute(Memory src, Memory mean, Memory variance) {
    return compute(null, src, mean, variance);
  }

  /** The statistics of some units, null for all, and whether floats can normalize with them. */
  boolean compute(boolean[] wanted, Memory src, Memory mean, Memory variance) {
    boolean usual = true;
    if (problem.norm().operation() == Operation.BATCH) {
      return computeChannels(wanted, 0, problem.shape().batch(), src, mean, variance);
    }
    if (isPerChannel()) {
      for (long n = 0; n < problem.shape().batch(); n++) {
        usual &= computeChannels(wanted, n, 1, src, mean, variance);
      }
      return usual;
    }
    BlockSums sums = new BlockSums(problem, src, null);
    for (long k = 0; k < units.count(); k++) {
      if (wanted == null || wanted[(int) k]) {
        double[][] results = sums.results(1);
        float pivot = rms ? 0 : pivot(src.view(), k);
        sums.addRun(units.offset(k), units.size(), pivot, results, 0);
        usual &= finish(k, pivot, results[0][0], results[1][0], src, mean, variance);
      }
    }
    return usual;
  }

  /** Whether the elements of a unit are not contiguous. */
  boolean isPerChannel() {
    return problem.norm().operation() == Operation.BATCH
        || problem.norm().operation() == Operation.GROUP
            && problem.shape().layout() == Layout.CHANNELS_LAST;
  }

  /** Samples from a first one on, channel by channel. */
  private boolean computeChannels(
      boolean[] wanted, long first, long samples, Memory src, Memory mean, Memory variance) {
    int channels = Math.toIntExact(problem.shape().channels());
    long perSample =
        problem.norm().operation() == Operation.BATCH ? channels : problem.shape().groups();
    int members = (int) (channels / perSample);
    float[] pivots = pivots(src.view(), first, samples, members);
    BlockSums sums = new BlockSums(problem, src, null);
    double[][] results = sums.results(channels);
    sums.addSamples(first, samples, pivots, results);
    boolean usual = true;
    for (int c = 0; c < channels; c += members) {
      long unit = first * perSample + c / members;
      if (wanted == null || wanted[(int) unit]) {
        double sum = 0;
        double squares = 0;
        for (int i = c; i < c + members; i++) {
          sum += results[0][i];
          squares += results[1][i];
        }
        usual &= finish(unit, pivots[c], sum, squares, src, mean, variance);
      }
    }
    return usual;
  }

  /** Channel by channel, the same for the members of a unit. */
  private float[] pivots(FloatView x, long first, long samples, int members) {
    boolean rows = problem.shape().layout() == Layout.CHANNELS_LAST;
    long spatial = problem.shape().spatial();
    float[] pivots = new float[Math.toIntExact(problem.shape().channels())];
    double[] sums = new double[pivots.length];
    int places = (int) Math.min(Math.max(1, SAMPLES / members), samples * spatial);
    for (int i = 0; i < places; i++) {
      long place = samples * spatial / places * i;
      long sample = (first + place / spatial) * pivots.length * spatial;
      long at = sample + place % spatial * (rows ? pivots.length : 1);
      for (int c = 0; c < pivots.length; c++) {
        sums[c] += x.get(at + c * (rows ? 1 : spatial));
      }
    }
    for (int c = 0; c < pivots.length; c += members) {
      double sum = 0;
      for (int i = c; i < c + members; i++) {
        sum += sums[i];
      }
      Arrays.fill(pivots, c, c + members, finite(sum / ((long) places * members)));
    }
    return pivots;
  }

  private float pivot(FloatView x, long unit) {
    int samples = (int) Math.min(SAMPLES, units.size());
    double sum = 0;
    for (int i = 0; i < samples; i++) {
      sum += x.get(units.index(unit, units.size() / samples * i));
    }
    return finite(sum / samples);
  }

  private static float finite(double average) {
    float pivot = (float) average;
    return Float.isFinite(pivot) ? pivot : 0;
  }

  private boolean finish(
      long unit,
      float pivot,
      double sum,
      double squares,
      Memory src,
      Memory means,
      Memory variances) {
    double distance = rms ? 0 : sum / units.size();
    double mean = pivot + distance;
    double variance = squares / units.size() - distance * distance;
    boolean good =
        distance * distance <= LARGEST_RATIO * variance
            && variance >= SMALLEST
            && variance <= LARGEST;
    if (!good) {
      mean = rms ? 0 : Moments.mean(src.view(), units, unit);
      variance = Moments.meanSquare(src.view(), units, unit, mean);
    }
    if (!rms) {
      means.view().put(unit, (float) mean);
    }
    variances.view().put(unit, (float) variance);
    return (variance == 0 || isUsual(variance + problem.norm().eps())) && isUsualMean(mean);
  }

  static boolean isUsualMean(double mean) {
    return Double.isInfinite(mean) || !(Math.abs(mean) > LARGEST_MEAN);
  }
}
