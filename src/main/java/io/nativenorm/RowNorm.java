package io.nativenorm;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import java.util.Objects;

/** A layer that normalizes rows, each by itself: the trailing dimensions. */
abstract sealed class RowNorm extends NormLayer permits LayerNorm, RmsNorm {
  private final NormalizedShape rows;
  private final HeapRows heapRows;

  RowNorm(RowBuilder<?> options, Operation operation, NormalizedShape rows) {
    super(operation, options.complete(), null, rows.extents());
    this.rows = rows;
    Operands constants =
        Operands.NONE
            .with(Slot.WEIGHT, Parameter.memory(parameters.weight()))
            .with(Slot.BIAS, Parameter.memory(parameters.bias()));
    heapRows = new HeapRows(this, options.backend(), constants, Shapes.size(rows.extents()));
  }

  /**
   * Inference of rows that follow each other inside heap arrays, from a place in each on. {@code y}
   * may be {@code x}: then each row is written where it is read or apart from all that is read.
   * While calls are alike nothing is allocated; on JDK 17 many rows are taken some at a time, so
   * that the collector does not wait.
   *
   * <pre>{@code
   * norm.forward(x, 0, y, 0, 1);                       // the first row of a larger array
   * norm.forward(x, 3 * dim, y, 0, tokens);            // some rows from a place on
   * }</pre>
   *
   * @param x input
   * @param xOffset index of its first element that is read
   * @param y output; other elements stay. Untouched if this throws
   * @param yOffset index of its first element that is written
   * @param rows how many; 0 does nothing
   * @throws IllegalArgumentException if an array does not have so many rows there, or a row would
   *     be written over another one that is read
   */
  public void forward(float[] x, int xOffset, float[] y, int yOffset, int rows) {
    forward(x, xOffset, 0, y, yOffset, 0, Math.max(1, rows), rows);
  }

  /**
   * Inference of rows inside the rows of a heap array, as queries and keys by head lie in packed
   * rows of queries, keys and values: {@code rowsTogether} of them follow each other, the next ones
   * begin a stride after the first of these. What is between them stays.
   *
   * <pre>{@code
   * int packed = (heads + 2 * keyHeads) * length;      // 64 tokens, 16 heads of 128, in place
   * queryNorm.forward(qkv, 0, packed, qkv, 0, packed, heads, tokens * heads);
   * keyNorm.forward(qkv, heads * length, packed, k, 0, keyHeads * length, keyHeads, tokens * keyHeads);
   * }</pre>
   *
   * @param x input
   * @param xOffset index of its first element that is read
   * @param xStride elements from the first of some rows together to the first of the next ones; at
   *     least as many as these rows have, and not looked at where there is but one group
   * @param y output, which may be the input: each row is written where it is read or apart from all
   *     that is read. Untouched if this throws
   * @param yOffset index of its first element that is written
   * @param yStride as xStride
   * @param rowsTogether how many rows follow each other, 1 or more
   * @param rows how many there are in all; the last group may have fewer than the others
   * @throws IllegalArgumentException if an array does not have so many rows there, a stride is too
   *     short, or a row would be written over another one that is read
   * @throws NativeNormException if the backend is ONEDNN, which has no rows that lie apart
   */
  public void forward(
      float[] x,
      int xOffset,
      int xStride,
      float[] y,
      int yOffset,
      int yStride,
      int rowsTogether,
      int rows) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    long stamp = lock.read();
    try {
      heapRows.run(x, xOffset, xStride, y, yOffset, yStride, rowsTogether, rows);
    } finally {
      lock.endRead(stamp);
    }
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
