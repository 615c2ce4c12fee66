package io.nativenorm;

import io.nativenorm.engine.Operation;

/** A layer that normalizes rows, each by itself: the trailing dimensions. */
abstract sealed class RowNorm extends NormLayer permits LayerNorm, RmsNorm {
  private final Operation operation;
  private final NormalizedShape rows;

  RowNorm(LayerBuilder<?> options, Operation operation, NormalizedShape rows) {
    super(options, null, rows.extents());
    this.operation = operation;
    this.rows = rows;
  }

  @Override
  final Shape shapeOf(long[] shape) {
    return rows.rowsOf(operation, shape);
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
