package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.FloatView;

/** What inference and training read and write; null what there is not. */
record ForwardViews(
    FloatView x,
    FloatView y,
    FloatView weight,
    FloatView bias,
    FloatView means,
    FloatView variances) {
  static ForwardViews of(Problem problem, Operands operands) {
    ProblemViews views = new ProblemViews(problem, operands);
    return new ForwardViews(
        views.src(),
        views.dst(),
        views.weight(),
        operands.view(Slot.BIAS),
        operands.view(Slot.MEAN),
        operands.view(Slot.VARIANCE));
  }
}
