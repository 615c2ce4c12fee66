package io.nativenorm;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Slot;

/** A backward of a pass with an exchange, from its first half to its second. */
final class SharedBackward implements AutoCloseable {
  private final SharedPass pass;
  private final LentArrays lent;
  private final Operands operands;
  private final GradientSums own;

  /** Does the first half; what the pass keeps and the targets are in use until this is closed. */
  SharedBackward(PassState state, GradientTargets targets, LayerParameters parameters) {
    pass = state.shared;
    lent =
        new LentArrays(
            null,
            1,
            state.problem.threads(),
            state.operands(parameters).accumulate(targets.adds()));
    try {
      targets.putInto(lent);
      state.input.putInto(lent, Slot.SRC);
      state.result.putInto(lent, Slot.DST);
      operands = lent.build();
      own = pass.sum(operands);
    } catch (RuntimeException | Error e) {
      lent.close();
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
  }
}
