package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.memory.Longs;
import java.util.Map;

/**
 * Mean and variance over the batches seen in training. The layer's lock orders updates and reads.
 */
final class RunningStatistics {
  private final double newWeight;
  private final boolean cumulative;
  private final RunningVariance rule;
  private final Parameter mean;
  private final Parameter variance;
  private final Parameter batches = Parameter.count();

  RunningStatistics(long channels, double newWeight, boolean cumulative, RunningVariance rule) {
    this.newWeight = newWeight;
    this.cumulative = cumulative;
    this.rule = rule;
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

  /**
   * Takes the statistics of a batch in.
   *
   * @param means samples x channels means (one sample where it has been averaged over)
   * @param variances likewise, biased
   * @param values how many values each of them is of, more than 1
   */
  void update(Tensor means, Tensor variances, long values) {
    long count = batches() + 1;
    Longs.put(Parameter.memory(batches), 0, count);
    double share = cumulative ? 1.0 / count : newWeight;
    double correction = rule == RunningVariance.UNBIASED ? values / (values - 1.0) : 1;
    MemoryWork work = Engines.memoryWork();
    work.updateRunning(Parameter.memory(mean), means.memory(), share, 1);
    work.updateRunning(Parameter.memory(variance), variances.memory(), share, correction);
  }

  void putInto(Map<String, Parameter> state) {
    state.put("running_mean", mean);
    state.put("running_var", variance);
    state.put("num_batches_tracked", batches);
  }
}
