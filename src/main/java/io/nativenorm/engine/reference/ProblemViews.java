package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.OffsetView;
import io.nativenorm.engine.memory.RowsView;

/**
 * The operands of a problem as its plans read them: as if all rows followed each other, and with
 * the weight that multiplies.
 */
record ProblemViews(Problem problem, Operands operands) {
  FloatView src() {
    return rows(Slot.SRC, problem.shape().strides().src());
  }

  FloatView dst() {
    return rows(Slot.DST, problem.shape().strides().dst());
  }

  FloatView diffDst() {
    return rows(Slot.DIFF_DST, problem.shape().strides().diffDst());
  }

  FloatView diffSrc() {
    return rows(Slot.DIFF_SRC, problem.shape().strides().diffSrc());
  }

  private FloatView rows(Slot slot, long stride) {
    FloatView view = operands.view(slot);
    long together = problem.shape().strides().together();
    long length = problem.shape().channels();
    return view == null || stride == 0 || stride == together * length
        ? view
        : new RowsView(view, length, together, stride);
  }

  FloatView weight() {
    FloatView view = operands.view(Slot.WEIGHT);
    float offset = (float) problem.affine().unitOffset();
    return view == null || offset == 0 ? view : new OffsetView(view, offset);
  }
}
