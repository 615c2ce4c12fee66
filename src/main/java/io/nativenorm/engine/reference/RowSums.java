package io.nativenorm.engine.reference;

/** sum(g), sum(g * (x - center)) and, if wanted, sum(x - center) of a row, with g = dy * weight. */
final class RowSums extends FloatAccumulators {
  private final GradientViews views;
  private final float[] scratch = new float[BLOCK];

  /** From an element's place to that of its weight. */
  private long toWeight;

  private float center;

  RowSums(GradientViews views, boolean residuals) {
    super(false, residuals);
    this.views = views;
  }

  void of(RowShape shape, long row, float newCenter) {
    center = newCenter;
    toWeight = shape.parameters(row) - row * shape.length();
    clear();
    add(row * shape.length(), 1, shape.length(), 0);
  }

  @Override
  void fill(long at, int count, int to) {
    views.readCut(at, first, to, count, scratch);
    if (views.weight() != null) {
      views.weight().read(at + toWeight, scratch, to, count);
      Elementwise.multiply(first, scratch, to, to + count);
    }
    views.x().read(at, second, to, count);
    if (center != 0) {
      Elementwise.subtract(second, to, to + count, center);
    }
  }
}
