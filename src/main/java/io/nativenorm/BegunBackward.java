package io.nativenorm;

import org.jspecify.annotations.Nullable;

/** The gradients of a pass between the halves of its backward. */
final class BegunBackward implements AutoCloseable {
  private final Pass pass;
  private final Tensor dy;
  private final @Nullable Tensor[] used;
  private final long stamp;

  /** Null where the statistics are constants. */
  private @Nullable SharedBackward shared;

  private @Nullable Gradients gradients;

  /** Does the first half; the pass and its tensors are in use until this is closed. */
  BegunBackward(Pass pass, Tensor dy) {
    this.pass = pass;
    this.dy = dy;
    used = pass.begin(dy);
    stamp = pass.state().beginBackward();
    try {
      begin();
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private void begin() {
    if (pass.state().shared != null) {
      Differentiation differentiation = pass.training().differentiation();
      gradients = differentiation.unwritten(pass.state(), dy);
      shared = differentiation.begin(pass.state(), TensorTargets.of(dy, gradients));
    }
  }

  LayerExchange.@Nullable Message message() {
    return shared == null ? null : shared.message();
  }

  /** Does the second half, with what all workers have summed up. */
  Gradients finish(double @Nullable [][] sums) {
    if (shared == null) {
      return pass.training().differentiation().run(pass.state(), dy);
    }
    shared.finish(sums);
    Gradients done = gradients;
    gradients = null;
    return done;
  }

  @Override
  public void close() {
    if (gradients != null) {
      gradients.close();
    }
    if (shared != null) {
      shared.close();
    }
    pass.state().end(stamp);
    pass.end(used);
  }
}
