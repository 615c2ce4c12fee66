package io.nativenorm;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Slot;
import org.jspecify.annotations.Nullable;

/** A backward of a pass with an exchange, from its first half to its second. */
final class SharedBackward implements AutoCloseable {
  private final SharedPass pass;

  /** What the pass keeps, which may be on a pointer that its owner has freed by now. */
  private final @Nullable Tensor[] kept;

  private final LentArrays lent;
  private final Operands operands;
  private final GradientSums own;

  /** Does the first half; the targets are in use until this is closed. */
  SharedBackward(PassState state, GradientTargets targets, LayerParameters parameters) {
    pass = state.shared;
    kept = new Tensor[] {state.input.tensor(), state.result.tensor()};
    Operands.Builder others = state.operands(parameters).accumulate(targets.adds());
    lent = new LentArrays(null, 1, state.problem.threads(), others);
    Uses.begin(kept);
    try {
      targets.putInto(lent);
      state.input.putInto(lent, Slot.SRC);
      state.result.putInto(lent, Slot.DST);
      operands = lent.build();
      own = pass.sum(operands);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  LayerExchange.Message message() {
    return pass.message(own);
  }

  /** Does the second half. */
  void finish(double[][] sums) {
    pass.differentiate(operands, own, sums);
    lent.copyBack();
  }

  @Override
  public void close() {
    lent.close();
    Uses.end(kept);
  }
}
