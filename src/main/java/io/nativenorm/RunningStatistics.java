package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Longs;
import io.nativenorm.engine.memory.Memory;
import java.util.Map;

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
    if (frozen) {
      return;
    }
    if (skipsNonFinite && !(isFinite(means) && isFinite(variances))) {
      skipped++;
      return;
    }
    long count = batches() + 1;
    Longs.put(Parameter.memory(batches), 0, count);
    double share = cumulative ? 1.0 / count : newWeight;
    MemoryWork work = Engines.memoryWork();
    work.updateRunning(Parameter.memory(mean), means, share, 1);
    if (values != 1) {
      double correction = rule == RunningVariance.UNBIASED ? values / (values - 1.0) : 1;
      work.updateRunning(Parameter.memory(variance), variances, share, correction);
    }
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
