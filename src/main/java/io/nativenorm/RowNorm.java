package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Shape;

/** A layer that normalizes rows, each by itself: the trailing dimensions. */
abstract sealed class RowNorm extends NormLayer permits LayerNorm, RmsNorm {
  private final NormalizedShape rows;

  RowNorm(LayerBuilder<?> options, Operation operation, NormalizedShape rows) {
    super(operation, options, null, rows.extents());
    this.rows = rows;
  }

  @Override
  final Shape shapeOf(long[] shape, Layout layout) {
    return rows.rowsOf(shape);
  }

  @Override
  final long[] statisticsShape(long[] shape) {
    return rows.leading(shape);
  }

  @Override
  final long[] impliedShape(int length) {
    return rows.implied(length);
  }

  @Override
  final boolean normalizesRows() {
    return true;
  }
}
