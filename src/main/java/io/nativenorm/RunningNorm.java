package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A layer that can keep running statistics: training takes each batch into them, inference uses
 * them instead of the input's own.
 */
public abstract sealed class RunningNorm extends NormLayer permits BatchNorm, InstanceNorm {
  RunningNorm(Operation operation, RunningBuilder<?> options, long channels) {
    super(operation, options, options.runningStatistics(channels), channels);
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
}
