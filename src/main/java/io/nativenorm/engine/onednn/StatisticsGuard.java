package io.nativenorm.engine.onednn;

import io.nativenorm.engine.FloatView;
import io.nativenorm.engine.Groups;
import io.nativenorm.engine.Moments;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.Problem;

/**
 * Replaces oneDNN's statistics where they are not good enough. oneDNN sums in float. Its mean is
 * off by some rounding errors of the mean, and the output by as many over the standard deviation:
 * 2e-3 at mean 1000 and std 1 for channels-last BatchNorm, and a constant row comes out as anything
 * but the bias. Its variance loses digits with the number of values. Where that could pass 1e-5,
 * mean and variance are computed again, in double.
 *
 * <p>The bounds were found on normal data of std 1 with oneDNN 3.11 (largest error / (1 + |y|) over
 * all its implementations): 3136 values with mean 2 gave 4e-6, with mean 4 9e-6; 65536 with mean 1
 * 4e-6, with mean 2 8e-6; 100352 with mean 1 7e-6; 262144 with mean 0 3e-5. Its reference code adds
 * value to value: channels-last GroupNorm on arm64 was off by 1.5e-5 at 24766 values with mean 1.
 */
final class StatisticsGuard {
  /** The largest mean^2 / variance at which a group's statistics are taken. */
  private static final double TRUSTED_RATIO = 4;

  /** The largest number of values, and the largest mean^2 / variance times that number. */
  private static final long TRUSTED_VALUES = 1 << 17;

  /** The same for the reference code. */
  private static final long TRUSTED_BY_REFERENCE = 1 << 13;

  private final Groups groups;
  private final long trustedValues;

  /** For a problem on one of oneDNN's implementations. */
  StatisticsGuard(Problem problem, String implementation) {
    groups = Groups.of(problem);
    trustedValues = implementation.equals("ref:any") ? TRUSTED_BY_REFERENCE : TRUSTED_VALUES;
  }

  /** Checks the statistics of a forward pass, corrects them, and returns whether it had to. */
  boolean replace(NativeFloats src, NativeFloats mean, NativeFloats variance) {
    FloatView means = mean.view();
    FloatView variances = variance.view();
    double ratio = Math.min(TRUSTED_RATIO, (double) trustedValues / groups.size());
    boolean replaced = false;
    for (long k = 0; k < groups.count(); k++) {
      double m = means.get(k);
      // A float sum that overflowed is not trusted either.
      boolean trusted = Double.isFinite(m) && m * m <= ratio * variances.get(k);
      if (!trusted || groups.size() > trustedValues) {
        FloatView x = src.view();
        double exact = Moments.mean(x, groups, k);
        means.put(k, (float) exact);
        variances.put(k, (float) Moments.meanSquare(x, groups, k, exact));
        replaced = true;
      }
    }
    return replaced;
  }
}
