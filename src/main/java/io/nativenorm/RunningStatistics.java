package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Longs;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;
import java.util.Map;
import java.util.function.LongToDoubleFunction;

/**
 * Mean and variance over the batches seen in training. The layer's lock orders updates and reads.
 */
final class RunningStatistics {
  /** How batches are taken in, as a builder was told. */
  record Rule(
      double newWeight, boolean cumulative, RunningVariance variance, boolean skipsNonFinite) {}

  private final RunningVariance rule;
  private final boolean skipsNonFinite;
  private final Parameter mean;
  private final Parameter variance;
  private final Parameter batches = Parameter.count();
  private double newWeight;
  private boolean cumulative;

  /** Read without the lock where a pass is made; updates look at it under the lock. */
  private volatile boolean frozen;

  private long skipped;

  RunningStatistics(long channels, Rule rule) {
    this.rule = rule.variance;
    skipsNonFinite = rule.skipsNonFinite;
    newWeight = rule.newWeight;
    cumulative = rule.cumulative;
    mean = Parameter.filled(0, channels);
    variance = Parameter.filled(1, channels);
  }

  Parameter mean() {
    return mean;
  }

  Parameter variance() {
    return variance;
  }

  /** The count, or what a user has written over it. */
  long batches() {
    return Longs.get(Parameter.memory(batches), 0);
  }

  boolean isFrozen() {
    return frozen;
  }

  void freeze(boolean value) {
    frozen = value;
  }

  /** How many batches were not taken in, as they had something that is not finite. */
  long skipped() {
    return skipped;
  }

  void setNewWeight(double weight) {
    newWeight = weight;
    cumulative = false;
  }

  /** As they were at first. */
  void reset() {
    Parameter.memory(mean).setAll(0);
    Parameter.memory(variance).setAll(1);
    Parameter.memory(batches).setAll(0);
    skipped = 0;
  }

  /**
   * Takes the statistics of a batch in, unless they are frozen.
   *
   * @param means samples x channels means (one sample where it has been averaged over)
   * @param variances likewise, biased
   * @param values how many values each of them is of; one has no variance, and leaves it alone
   */
  void update(Memory means, Memory variances, double values) {
    if (!takesIn(means, variances)) {
      return;
    }
    double share = nextShare();
    MemoryWork work = Engines.memoryWork();
    work.updateRunning(Parameter.memory(mean), means, share, 1);
    if (values != 1) {
      double correction = rule == RunningVariance.UNBIASED ? values / (values - 1.0) : 1;
      work.updateRunning(Parameter.memory(variance), variances, share, correction);
    }
  }

  /**
   * The same of samples of which not as many values count each: those with none are left out, and
   * of one value the variance.
   */
  void update(Memory means, Memory variances, long[] values) {
    if (Arrays.stream(values).allMatch(n -> n == 0) || !takesIn(means, variances)) {
      return;
    }
    double share = nextShare();
    boolean unbiased = rule == RunningVariance.UNBIASED;
    takeAverage(mean, means, share, values, n -> n > 0 ? 1 : 0);
    takeAverage(variance, variances, share, values, n -> n < 2 ? 0 : unbiased ? n / (n - 1.0) : 1);
  }

  /** The average of those samples whose factor is not 0, times that. */
  private static void takeAverage(
      Parameter running, Memory batch, double share, long[] values, LongToDoubleFunction factor) {
    FloatView old = Parameter.memory(running).view();
    FloatView news = batch.view();
    double[] factors = Arrays.stream(values).mapToDouble(factor).toArray();
    long taken = Arrays.stream(factors).filter(f -> f != 0).count();
    long channels = batch.elements() / values.length;
    for (long c = 0; taken > 0 && c < channels; c++) {
      double sum = 0;
      for (int n = 0; n < factors.length; n++) {
        sum += factors[n] == 0 ? 0 : factors[n] * news.get(n * channels + c);
      }
      old.put(c, (float) ((1 - share) * old.get(c) + share * (sum / taken)));
    }
  }

  private boolean takesIn(Memory means, Memory variances) {
    if (frozen) {
      return false;
    }
    boolean good = !skipsNonFinite || (isFinite(means) && isFinite(variances));
    skipped += good ? 0 : 1;
    return good;
  }

  /** The weight of one more batch, which is counted. */
  private double nextShare() {
    long count = batches() + 1;
    Longs.put(Parameter.memory(batches), 0, count);
    return cumulative ? 1.0 / count : newWeight;
  }

  private static boolean isFinite(Memory values) {
    FloatView view = values.view();
    for (long i = 0; i < values.elements(); i++) {
      if (!Float.isFinite(view.get(i))) {
        return false;
      }
    }
    return true;
  }

  void putInto(Map<String, Parameter> state) {
    state.put("running_mean", mean);
    state.put("running_var", variance);
    state.put("num_batches_tracked", batches);
  }
}
