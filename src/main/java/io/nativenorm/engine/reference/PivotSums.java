package io.nativenorm.engine.reference;

import io.nativenorm.engine.memory.FloatView;

/** sum(x - pivot) and sum((x - pivot)^2) over runs of a unit. */
final class PivotSums extends FloatAccumulators implements UnitMoments.Sums {
  private final FloatView x;
  private float pivot;

  private long start;
  private long runs;
  private long length;
  private long stride;

  PivotSums(FloatView x) {
    super(true, false);
    this.x = x;
  }

  /** Sets the unit: runs of as many elements, the first of which is number {@code newStart}. */
  PivotSums over(long newStart, long newRuns, long newLength, long newStride) {
    start = newStart;
    runs = newRuns;
    length = newLength;
    stride = newStride;
    return this;
  }

  @Override
  public void around(float newPivot) {
    pivot = newPivot;
    clear();
    add(start, runs, length, stride);
  }

  /** Without a pivot there is nothing to subtract. */
  @Override
  void fill(long at, int count, int to) {
    x.read(at, first, to, count);
    if (pivot != 0) {
      Elementwise.subtract(first, to, to + count, pivot);
    }
  }

  @Override
  public double sum() {
    return sum;
  }

  @Override
  public double squares() {
    return product;
  }
}
