package io.nativenorm;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The options of layers that can keep running statistics.
 *
 * @param <B> the builder itself, for chained calls
 */
public abstract sealed class RunningBuilder<B extends RunningBuilder<B>> extends LayerBuilder<B>
    permits BatchNorm.Builder, InstanceNorm.Builder {
  private boolean track;
  private double newWeight = 0.1;
  private boolean cumulative;
  private RunningVariance rule = RunningVariance.UNBIASED;
  private boolean skipsNonFinite;
  private OneValue oneValue = OneValue.REFUSE;

  RunningBuilder(String name, boolean affine, boolean track) {
    super(name, 1e-5, affine);
    this.track = track;
  }

  /**
   * Whether training updates running statistics and inference uses them; without, inference uses
   * the input's own. Default true for BatchNorm, false for InstanceNorm.
   *
   * @param value false for none
   * @return this
   */
  public B trackRunningStats(boolean value) {
    track = value;
    return self();
  }

  /**
   * The weight of the new statistics in the running ones, as PyTorch counts momentum: {@code
   * running = (1 - momentum) * running + momentum * new}. Default 0.1.
   *
   * @param weightOfNew any finite number
   * @return this
   * @throws IllegalArgumentException if it is not finite
   */
  public B momentum(double weightOfNew) {
    requireMomentum(name(), weightOfNew);
    newWeight = weightOfNew;
    cumulative = false;
    return self();
  }

  static void requireMomentum(String name, double weightOfNew) {
    if (!Double.isFinite(weightOfNew)) {
      throw new IllegalArgumentException(
          name + ": momentum must be finite, but got " + weightOfNew);
    }
  }

  /**
   * The weight of the old statistics in the running ones, as ONNX and Keras count momentum: {@code
   * running = decay * running + (1 - decay) * new}.
   *
   * @param weightOfOld any finite number
   * @return this
   * @throws IllegalArgumentException if it is not finite
   */
  public B decay(double weightOfOld) {
    if (!Double.isFinite(weightOfOld)) {
      throw new IllegalArgumentException(name() + ": decay must be finite, but got " + weightOfOld);
    }
    return momentum(1 - weightOfOld);
  }

  /**
   * Makes the running statistics the plain average over all batches, PyTorch's {@code
   * momentum=None}.
   *
   * @return this
   */
  public B cumulative() {
    cumulative = true;
    return self();
  }

  /**
   * Which variance goes into the running variance. Default UNBIASED.
   *
   * @param rule PyTorch's or ONNX's
   * @return this
   */
  public B runningVariance(RunningVariance rule) {
    this.rule = Objects.requireNonNull(rule, "rule");
    return self();
  }

  /**
   * Whether a batch that has a mean or a variance that is NaN or infinite in any channel is left
   * out of the running statistics, and of their count: {@link RunningNorm#batchesSkipped}. Its
   * output is as it would be. Default false, as in PyTorch, where one such batch leaves NaN in them
   * for good.
   *
   * @param value true to leave it out
   * @return this
   */
  public B skipNonFinite(boolean value) {
    skipsNonFinite = value;
    return self();
  }

  /**
   * What training does with a single value in each channel, for InstanceNorm in each channel of
   * each sample. Default REFUSE. PASS beside {@link #cumulative} is refused by {@link #build}: the
   * running variance would not be the average of the batches that have one.
   *
   * @param value REFUSE or PASS
   * @return this
   */
  public B oneValuePerChannel(OneValue value) {
    oneValue = Objects.requireNonNull(value, "value");
    return self();
  }

  boolean tracks() {
    return track;
  }

  boolean passesOneValue() {
    return oneValue == OneValue.PASS;
  }

  /** Running statistics as configured, or null. */
  @Nullable RunningStatistics runningStatistics(long channels) {
    if (!track) {
      return null;
    }
    if (cumulative && passesOneValue()) {
      throw new IllegalArgumentException(
          name()
              + ": oneValuePerChannel(PASS) has no average of variances to go with cumulative(),"
              + " but got both");
    }
    return new RunningStatistics(
        channels, new RunningStatistics.Rule(newWeight, cumulative, rule, skipsNonFinite));
  }
}
