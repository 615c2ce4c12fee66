package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.memory.MemoryPool;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a layer keeps from call to call: its parameters, live and copied in, for as long as it is
 * open.
 */
abstract sealed class LayerState implements AutoCloseable permits NormLayer {
  final String name;
  final double eps;
  final LayerParameters parameters;
  final LayerLock lock;

  LayerState(LayerBuilder<?> options, @Nullable RunningStatistics running, long... parameterShape) {
    Engines.all(); // fails here where a required engine is missing,
    NativeNorm.threads(); // here where the number of threads is none,
    MemoryPool.bound(); // and here where what the pool may keep is none
    name = options.name();
    eps = options.eps();
    parameters = LayerParameters.of(options, running, parameterShape);
    lock = new LayerLock(name, parameters.check());
  }

  final double eps() {
    return eps;
  }

  /**
   * The weight of each channel or element, live: what is written to it is used by the next call.
   *
   * @return an F32 tensor, or null if the layer has none
   */
  public @Nullable Tensor weight() {
    return Parameter.handle(parameters.weight());
  }

  /**
   * The bias of each channel or element, live.
   *
   * @return an F32 tensor, or null if the layer has none
   */
  public @Nullable Tensor bias() {
    return Parameter.handle(parameters.bias());
  }

  /** The ghost batches of so many samples in training; null if all are normalized together. */
  @Nullable GhostBatches ghosts(long samples) {
    return null;
  }

  /** Whether training exchanges its statistics with other workers. */
  boolean isShared() {
    return false;
  }

  /** What exchanges the statistics of a pass with other workers; null if they are its own. */
  @Nullable SharedPass shared(Problem problem) {
    return null;
  }

  /** Called when frozen statistics are no more. */
  void thawed() {}

  @Nullable RunningStatistics running() {
    return parameters.running();
  }

  /**
   * All that training changes, under the names of PyTorch's {@code state_dict}: {@code weight},
   * {@code bias}, and with running statistics {@code running_mean}, {@code running_var} and the
   * scalar {@code num_batches_tracked}, an {@link DataType#I64}.
   *
   * @return live tensors, which stay the layer's
   */
  public Map<String, Tensor> state() {
    return parameters.handles();
  }

  /**
   * Copies a state in, all of it or, if anything does not fit, nothing.
   *
   * @param state tensors under the names that {@link #state} gives, F32 or, to be widened, BF16 or
   *     F16, of this layer's shapes or of such with more or fewer extents of 1, as (1, C, 1, 1);
   *     {@code num_batches_tracked} may be absent, as in old files, or an F32 scalar
   * @throws IllegalArgumentException if a name is missing or unknown, a shape or type differs, a
   *     running variance is NaN or so far below 0 that nothing positive is left under the root
   *     (from -eps to 0 is allowed, and so is infinity, with which a channel gives its bias), or
   *     the count is negative or no whole number; the message lists all of them
   */
  public void load(Map<String, Tensor> state) {
    load(state, true);
  }

  /**
   * Copies a state in, as {@link #load(Map)} does, or the part of it that has this layer's names.
   *
   * @param state tensors under the names that {@link #state} gives
   * @param strict PyTorch's: whether a name that is missing or unknown is an error, as a shape, a
   *     type or a value that does not fit always is
   * @return the names that were missing or unknown, none if strict; {@code num_batches_tracked},
   *     which old files do not have, is never missing
   * @throws IllegalArgumentException if anything else does not fit, or strict and anything at all
   */
  public IncompatibleKeys load(Map<String, Tensor> state, boolean strict) {
    Objects.requireNonNull(state, "state");
    try (StateCopy copy = new StateCopy(name, eps, parameters.named(), state, strict)) {
      long stamp = lock.write();
      try {
        copy.load();
      } finally {
        lock.endWrite(stamp);
      }
      return copy.incompatible();
    }
  }

  /** Waits for running calls to end, then frees the parameters. Closing again does nothing. */
  @Override
  public void close() {
    lock.close(parameters::close);
  }

  /** The layer's kind and size. */
  @Override
  public String toString() {
    return name;
  }
}
