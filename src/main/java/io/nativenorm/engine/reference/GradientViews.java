package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.FloatView;

/** What a gradient is computed from, and where it goes; y is null without an activation. */
record GradientViews(
    FloatView x,
    FloatView y,
    FloatView weight,
    FloatView means,
    FloatView variances,
    FloatView dy,
    FloatView dx,
    FloatView diffWeight,
    FloatView diffBias) {
  static GradientViews of(Problem problem, Operands operands) {
    boolean relu = problem.fusion().activation() == Activation.RELU;
    ProblemViews views = new ProblemViews(problem, operands);
    return new GradientViews(
        views.src(),
        relu ? views.dst() : null,
        views.weight(),
        operands.view(Slot.MEAN),
        operands.view(Slot.VARIANCE),
        views.diffDst(),
        views.diffSrc(),
        operands.view(Slot.DIFF_WEIGHT),
        operands.view(Slot.DIFF_BIAS));
  }

  /** dy where the output is positive or NaN, else 0; all of dy without an activation. */
  double cut(long at) {
    return y != null && y.get(at) <= 0 ? 0 : dy.get(at);
  }

  /** The same for some elements that lie one after the other; {@code scratch} is for y. */
  void readCut(long at, float[] into, int to, int count, float[] scratch) {
    dy.read(at, into, to, count);
    if (y != null) {
      y.read(at, scratch, to, count);
      Elementwise.cut(into, scratch, to, to + count);
    }
  }
}
