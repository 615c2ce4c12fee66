package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.memory.FloatView;

/** What inference and training read and write; null what there is not. */
record ForwardViews(
    FloatView x,
    FloatView y,
    FloatView weight,
    FloatView bias,
    FloatView means,
    FloatView variances) {
  static ForwardViews of(Operands operands) {
    return new ForwardViews(
        FloatView.of(operands.src()),
        FloatView.of(operands.dst()),
        FloatView.of(operands.weight()),
        FloatView.of(operands.bias()),
        FloatView.of(operands.mean()),
        FloatView.of(operands.variance()));
  }
}
