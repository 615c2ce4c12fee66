package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A layer that can keep running statistics: training takes each batch into them, inference uses
 * them instead of the input's own.
 */
public abstract sealed class RunningNorm extends MaskedNorm permits PhasedNorm, InstanceNorm {
  private final boolean passesOneValue;

  RunningNorm(Operation operation, RunningBuilder<?> options, long channels) {
    super(operation, options, options.runningStatistics(channels), channels);
    passesOneValue = options.passesOneValue();
  }

  final boolean passesOneValue() {
    return passesOneValue;
  }

  /**
   * Evaluation with gradients: normalizes with the running statistics, leaves them alone, and
   * treats them as constants in backward. PyTorch's {@code eval()} in a model that is trained.
   *
   * @param x input
   * @return what backward needs, to be closed by the caller
   * @throws IllegalStateException if the layer tracks no running statistics
   */
  public Pass forwardFrozen(Tensor x) {
    Objects.requireNonNull(x, "x");
    return TensorScope.made(training.frozen(x));
  }

  /**
   * The running mean, live.
   *
   * @return a tensor of C elements, or null without running statistics
   */
  public @Nullable Tensor runningMean() {
    return running() == null ? null : Parameter.handle(running().mean());
  }

  /**
   * The running variance, live.
   *
   * @return a tensor of C elements, or null without running statistics
   */
  public @Nullable Tensor runningVar() {
    return running() == null ? null : Parameter.handle(running().variance());
  }

  /**
   * How many batches are in the running statistics.
   *
   * @return a count, 0 without running statistics
   */
  public long numBatchesTracked() {
    return trackedBatches();
  }

  /**
   * Training with the input's own statistics that leaves the running ones alone, as a second look
   * at a batch does (a gradient penalty, a discriminator's other half). {@link Pass#forward} of
   * this pass leaves them alone too. A frozen layer's is no other.
   *
   * @param x input, not to be changed until the last backward
   * @return what backward needs, to be closed by the caller
   */
  public Pass forwardTrainingWithoutUpdate(Tensor x) {
    Objects.requireNonNull(x, "x");
    return TensorScope.made(training.forwardWithoutUpdate(x));
  }

  /**
   * Freezes the running statistics until {@link #thaw}: {@code forwardTraining} is then {@link
   * #forwardFrozen} in all its forms, whoever calls it. Gradients of weight and bias are computed
   * as they are asked for; a backbone that is frozen as a whole passes null for them. No batch that
   * is on its way is taken in once this returns. A pass that was made before refuses its next
   * forward: {@code forwardTraining} makes a new one.
   *
   * @throws IllegalStateException if the layer tracks no running statistics, or is closed
   */
  public void freeze() {
    write(() -> requireRunning().freeze(true));
  }

  /**
   * Ends {@link #freeze}: training goes on from the running statistics as they are. Nothing to do
   * for a layer that is not frozen.
   */
  public void thaw() {
    write(
        () -> {
          if (running() != null && running().isFrozen()) {
            running().freeze(false);
            thawed();
          }
        });
  }

  /**
   * Whether the running statistics are frozen.
   *
   * @return true between {@link #freeze} and {@link #thaw}
   */
  public boolean isFrozen() {
    return read(() -> training.isFrozen(PassKind.TRAINING));
  }

  /**
   * Makes the running means 0 and variances 1 and the counts of batches, taken in and skipped, 0;
   * PyTorch's {@code reset_running_stats}. Nothing to do without running statistics. Frozen ones
   * are reset too, and stay frozen.
   */
  public void resetRunningStats() {
    write(
        () -> {
          if (running() != null) {
            running().reset();
          }
        });
  }

  /**
   * The weight of the new statistics in the running ones from the next batch on, as {@link
   * RunningBuilder#momentum} has it; after {@link RunningBuilder#cumulative} too. Without running
   * statistics it has no effect.
   *
   * @param weightOfNew any finite number
   * @throws IllegalArgumentException if it is not finite
   */
  public void momentum(double weightOfNew) {
    RunningBuilder.requireMomentum(name, weightOfNew);
    write(
        () -> {
          if (running() != null) {
            running().setNewWeight(weightOfNew);
          }
        });
  }

  /**
   * How many batches {@link RunningBuilder#skipNonFinite} has left out since the layer was made or
   * reset.
   *
   * @return a count, 0 without it
   */
  public long batchesSkipped() {
    return read(() -> running() == null ? 0L : running().skipped());
  }

  private RunningStatistics requireRunning() {
    if (running() == null) {
      throw new IllegalStateException(this + " has no running statistics to freeze");
    }
    return running();
  }

  private void write(Runnable change) {
    long stamp = lock.write();
    try {
      change.run();
    } finally {
      lock.endWrite(stamp);
    }
  }

  private <T> T read(Supplier<T> question) {
    long stamp = lock.read();
    try {
      return question.get();
    } finally {
      lock.endRead(stamp);
    }
  }
}
