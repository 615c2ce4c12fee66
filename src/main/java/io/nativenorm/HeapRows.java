package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.RowStrides;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import org.jspecify.annotations.Nullable;

/**
 * The inference of a layer on rows inside heap arrays, beside {@link Inference}. While the rows lie
 * as before it allocates nothing, if the engine does not either. The layer is locked and open while
 * this runs.
 */
final class HeapRows {
  private final RowNorm layer;
  private final Backend backend;
  private final Operands constants;
  private final long length;

  private volatile @Nullable Memo memo;

  /**
   * The last call and its plans, which may have been freed since.
   *
   * @param copied that of the rows where they follow each other, for arrays that are copied; null
   *     until one is
   */
  private record Memo(
      int rows,
      int together,
      int xStride,
      int yStride,
      int threads,
      Plan plan,
      @Nullable Plan copied) {
    boolean isOf(int r, int g, int xs, int ys, int t) {
      return rows == r && together == g && xStride == xs && yStride == ys && threads == t;
    }
  }

  HeapRows(RowNorm layer, Backend backend, Operands constants, long length) {
    this.layer = layer;
    this.backend = backend;
    this.constants = constants;
    this.length = length;
  }

  void run(
      float[] x,
      int xFrom,
      int xStride,
      float[] y,
      int yFrom,
      int yStride,
      int together,
      int rows) {
    ArrayRows.requireRows(layer, together, rows);
    ArrayRows.requireIn(layer, "x", x, xFrom, xStride, together, rows, length);
    ArrayRows.requireIn(layer, "y", y, yFrom, yStride, together, rows, length);
    ArrayRows.requireApart(layer, x, xFrom, xStride, y, yFrom, yStride, together, rows, length);
    if (rows == 0) {
      return;
    }
    CallRecord record = Recordings.call();
    Memo used = acquire(rows, together, xStride, yStride, layer.threads());
    boolean done;
    try {
      done = used.plan.infer(x, xFrom, y, yFrom, constants);
    } finally {
      Engines.release(used.plan);
    }
    if (!done) {
      copy(used, x, xFrom, y, yFrom);
    }
    if (record != null) {
      record.end(layer.name, used.plan, !done);
    }
  }

  private Memo acquire(int rows, int together, int xStride, int yStride, int threads) {
    Memo known = memo;
    if (known != null
        && known.isOf(rows, together, xStride, yStride, threads)
        && Engines.reacquire(known.plan)) {
      return known;
    }
    Problem close = closeProblem(rows, threads);
    Problem problem =
        close.withShape(close.shape().withStrides(RowStrides.of(together, xStride, yStride)));
    Plan plan = Engines.acquire(problem, backend);
    Memo made = new Memo(rows, together, xStride, yStride, threads, plan, null);
    memo = made;
    return made;
  }

  private Problem closeProblem(int rows, int threads) {
    return layer.inferenceProblem(Shape.ofRows(rows, length), threads);
  }

  private void copy(Memo used, float[] x, int xFrom, float[] y, int yFrom) {
    Plan plan = used.copied;
    if (plan == null || !Engines.reacquire(plan)) {
      plan = Engines.acquire(closeProblem(used.rows, used.threads), backend);
      memo =
          new Memo(
              used.rows, used.together, used.xStride, used.yStride, used.threads, used.plan, plan);
    }
    try (PooledMemory buffer = MemoryPool.take(DataType.F32, used.rows * length)) {
      Memory floats = buffer.memory();
      ArrayRows.read(x, xFrom, used.xStride, used.together, used.rows, length, floats);
      plan.infer(floats, floats, constants);
      ArrayRows.write(floats, y, yFrom, used.yStride, used.together, used.rows, length);
    } finally {
      Engines.release(plan);
    }
  }
}
