package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_get_effective_cpu_isa;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import org.bytedeco.javacpp.Loader;

/**
 * Looks at the statistics that oneDNN computed, and replaces those that cannot be trusted. oneDNN
 * sums in float: n values one after another, if they are equal, come out up to n / 2^25 too small
 * or large. Its JIT kernels add a row in the lanes of a vector, its reference loops one value after
 * another. So the mean is off by that share of itself and the output by as much over the standard
 * deviation, which makes anything but the bias of a constant row; and a sum of squares beyond the
 * largest float is infinite, below the smallest 0.
 */
final class StatisticsGuard {
  /** The longest sum in float that is trusted: 7.6e-6 of the variance's root at worst. */
  static final int LONGEST_SUM = 512;

  /** (mean / std) * values: 4e-6 of the standard deviation at worst. */
  private static final double TRUSTED_MEAN = 134;

  /** The largest mean^2 / variance; found on normal data, where the mean is rounded once more. */
  private static final double TRUSTED_RATIO = 4;

  /** An eps beside which a variance that underflowed in float does not matter. */
  private static final double LARGE_EPS = 1e-12;

  private static final int AVX2 = 0x7;

  /** Sums of vectors that oneDNN's kernel for groups keeps. */
  private static final long MOST_SUMS = 4;

  /** Units, and elements of each, that are sampled beforehand. */
  private static final int SEEN = 16;

  private static final int SEEN_VALUES = 16;

  private final Problem problem;
  private final Units units;
  private final ExactStatistics exact;
  private final int count;
  private final double ratio;
  private final double smallest;
  private final boolean rms;

  /** For a problem on one of oneDNN's implementations. */
  StatisticsGuard(Problem problem, String implementation) {
    this.problem = problem;
    units = Units.of(problem);
    exact = new ExactStatistics(problem);
    count = Math.toIntExact(problem.unitCount());
    rms = problem.norm().operation() == Operation.RMS;
    double trusted = TRUSTED_MEAN / longestSum(problem, implementation);
    ratio = Math.min(TRUSTED_RATIO, trusted * trusted);
    smallest = problem.norm().eps() >= LARGE_EPS ? 0 : ExactStatistics.SMALLEST;
  }

  /** How many values of a unit an implementation adds one after another. */
  static long longestSum(Problem problem, String implementation) {
    Units units = Units.of(problem);
    if (!implementation.startsWith("jit") || !Loader.getPlatform().endsWith("x86_64")) {
      return units.size();
    }
    int lanes = (dnnl_get_effective_cpu_isa() & AVX2) == AVX2 ? 8 : 4;
    return switch (problem.norm().operation()) {
      case BATCH -> units.size();
      case LAYER, RMS -> Math.max(1, problem.shape().channels() / lanes);
      case GROUP -> {
        // The vectors of a position go to as many as four sums in turn.
        long members = problem.shape().channels() / problem.shape().groups();
        boolean adds = implementation.startsWith("jit_group:") && members >= lanes;
        long vectors = (members + lanes - 1) / lanes;
        long sums = Math.min(MOST_SUMS, members / lanes);
        yield adds ? problem.shape().spatial() * vectors / sums : units.size();
      }
    };
  }

  /**
   * Whether most statistics will be trusted, judged by a few elements. Where they will not, it
   * takes half the time if oneDNN computes none.
   */
  boolean isPromising(Memory src) {
    if (!exact.isPerChannel()) {
      return true;
    }
    FloatView x = src.view();
    int seen = (int) Math.min(SEEN, units.count());
    int values = (int) Math.min(SEEN_VALUES, units.size());
    long step = units.size() / values;
    int near = 0;
    for (int i = 0; i < seen; i++) {
      long unit = units.count() / seen * i;
      double sum = 0;
      double squares = 0;
      for (int j = 0; j < values; j++) {
        double value = x.get(units.index(unit, (step * j + j) % units.size()));
        sum += value;
        squares += value * value;
      }
      double mean = sum / values;
      near += mean * mean > ratio * (squares / values - mean * mean) ? 0 : 1; // NaN stays alone
    }
    return near > seen / 2;
  }

  /** What {@link #replace} found. */
  enum Finding {
    /** The output is right. */
    TRUSTED,

    /** The statistics are right now, the output is not. */
    REPLACED,

    /** Floats cannot normalize with these statistics. */
    BEYOND_FLOAT
  }

  /** Checks the statistics of a forward pass and corrects them. */
  Finding replace(Memory src, Memory mean, Memory variance) {
    float[] means = new float[count];
    if (!rms) {
      mean.read(0, means, 0, count);
    }
    float[] variances = new float[count];
    variance.read(0, variances, 0, count);
    boolean[] doubtful = null;
    for (int k = 0; k < count; k++) {
      double m = means[k];
      double v = variances[k];
      boolean trusted = m * m <= ratio * v && v >= smallest && v <= ExactStatistics.LARGEST;
      if (!trusted) {
        doubtful = doubtful == null ? new boolean[count] : doubtful;
        doubtful[k] = true;
      }
    }
    if (doubtful == null) {
      return Finding.TRUSTED;
    }
    boolean usual = exact.compute(doubtful, src, mean, variance);
    return usual ? Finding.REPLACED : Finding.BEYOND_FLOAT;
  }
}
