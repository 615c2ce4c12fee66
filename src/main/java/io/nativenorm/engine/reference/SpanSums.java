package io.nativenorm.engine.reference;

/** sum(g), sum(g * (x - center)) and sum(x - center) over runs, with g = dy, cut by the ReLU. */
final class SpanSums extends FloatAccumulators {
  private final GradientViews views;
  private final float[] scratch = new float[BLOCK];
  private float center;

  SpanSums(GradientViews views) {
    super(false, true);
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
    Elementwise.subtract(second, to, to + count, center);
  }
}
