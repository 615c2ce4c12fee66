package io.nativenorm.engine.reference;

import java.util.Arrays;

/** sum(g) in doubles over runs of what may be its mean everywhere, with g = dy. */
final class ConstantSpanSums extends DoubleAccumulators {
  private final GradientViews views;
  private final float[] scratch = new float[BLOCK];
  private float center;

  ConstantSpanSums(GradientViews views) {
    this.views = views;
  }

  /** Begins with another unit. */
  void around(float newCenter) {
    center = newCenter;
    clear();
  }

  @Override
  void fill(long at, int count, int to) {
    views.readCut(at, first, to, count, scratch);
    views.x().read(at, second, to, count);
    for (int i = to; i < to + count; i++) {
      same &= second[i] - center == 0;
    }
    Arrays.fill(second, to, to + count, 1);
  }
}
