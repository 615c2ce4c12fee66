package io.nativenorm;

import org.jspecify.annotations.Nullable;

/** A training pass with an output of its own between the halves of its first forward. */
final class BegunForward implements AutoCloseable {
  private final Training training;
  private final PassState state;
  private final Tensor x;
  private final Tensor y;

  /** Null where the statistics are the running ones. */
  private final LayerExchange.@Nullable Message message;

  private boolean isDone;

  /** Does the first half; the input is in use until this is closed. */
  BegunForward(Training training, PassState state, Tensor x) {
    this.training = training;
    this.state = state;
    this.x = x;
    try (Closer made = new Closer()) {
      y = made.add(Tensor.uninitialized(state.type, state.layout, state.extents));
      message = state.shared == null ? null : training.measure(state, x, y);
      made.keep(y);
    } catch (RuntimeException | Error e) {
      state.free();
      throw e;
    }
  }

  LayerExchange.@Nullable Message message() {
    return message;
  }

  /** Does the second half, with what all workers have measured. */
  Pass finish(double @Nullable [][] measured) {
    if (measured == null) {
      training.compute(state, x, y);
    } else {
      training.apply(state, measured, x, y);
    }
    state.doneInto(y);
    isDone = true;
    return new Pass(training, state);
  }

  @Override
  public void close() {
    if (!isDone) {
      y.close();
      state.free();
    }
  }
}
