package io.nativenorm;

import io.nativenorm.engine.Affine;
import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.DirectFloats;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.lang.ref.Reference;
import java.nio.FloatBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Normalization of rows in heap arrays without a layer: all that one has comes with each call.
 * Plans are remembered for as many different calls as a program makes in turns; once it has made
 * them, nothing is allocated if the engine does not either.
 */
final class RowFunction {
  /** Different calls that are remembered; a decoder makes three to six. */
  private static final int REMEMBERED = 64;

  /** Places that one call may have. */
  private static final int PLACES = 4;

  private final String name;

  /** For messages; made once. */
  private final String weightName;

  private final Operation operation;
  private final Backend backend;

  /** Entries never change: a thread that sees an older one, or none, makes another. */
  private final Memo[] memos = new Memo[REMEMBERED];

  private int replaced;

  private record Memo(int rows, int length, double eps, double unitOffset, int threads, Plan plan) {
    boolean isOf(int r, int l, double e, double offset, int t) {
      return rows == r && length == l && eps == e && unitOffset == offset && threads == t;
    }
  }

  RowFunction(String name, Operation operation, Backend backend) {
    this.name = name;
    weightName = name + ": the weight";
    this.operation = operation;
    this.backend = backend;
  }

  /** With parameters in arrays, which are both there or, of RMS, without a bias. */
  void run(
      float[] x,
      int xFrom,
      float[] y,
      int yFrom,
      int rows,
      int length,
      float[] weight,
      int weightFrom,
      float @Nullable [] bias,
      int biasFrom,
      double eps,
      double unitOffset) {
    require(x, xFrom, y, yFrom, rows, length, eps, unitOffset);
    requireParameter("weight", weight, weightFrom, y, yFrom, rows, length);
    if (bias != null) {
      requireParameter("bias", bias, biasFrom, y, yFrom, rows, length);
    }
    if (rows == 0) {
      return;
    }
    CallRecord record = Recordings.call();
    Plan plan = acquire(rows, length, eps, unitOffset);
    boolean held;
    try {
      held = plan.infer(x, xFrom, y, yFrom, weight, weightFrom, bias, biasFrom);
      if (!held) {
        copy(plan, x, xFrom, y, yFrom, rows, length, weight, weightFrom, bias, biasFrom);
      }
    } finally {
      Engines.release(plan);
    }
    if (record != null) {
      record.end(name, plan, !held);
    }
  }

  /** With the weight in a direct buffer, and no bias. */
  void run(
      float[] x,
      int xFrom,
      float[] y,
      int yFrom,
      int rows,
      int length,
      FloatBuffer weight,
      int weightFrom,
      double eps,
      double unitOffset) {
    require(x, xFrom, y, yFrom, rows, length, eps, unitOffset);
    long address = DirectFloats.addressOf(weightName, weight, weightFrom, length);
    if (rows == 0) {
      return;
    }
    CallRecord record = Recordings.call();
    Plan plan = acquire(rows, length, eps, unitOffset);
    boolean held;
    try {
      held = address != 0 && plan.infer(x, xFrom, y, yFrom, address);
      if (!held) {
        copy(plan, x, xFrom, y, yFrom, rows, length, weight, weightFrom);
      }
    } finally {
      Engines.release(plan);
      Reference.reachabilityFence(weight);
    }
    if (record != null) {
      record.end(name, plan, !held);
    }
  }

  private void require(
      float[] x,
      int xFrom,
      float[] y,
      int yFrom,
      int rows,
      int length,
      double eps,
      double unitOffset) {
    ArrayRows.requireRows(name, 1, rows);
    Shapes.requirePositive(name, "length", length);
    LayerBuilder.requireEps(name, eps);
    RowBuilder.requireOffset(name, unitOffset);
    int all = Math.max(1, rows);
    ArrayRows.requireIn(name, "x", x, xFrom, 0, all, rows, length);
    ArrayRows.requireIn(name, "y", y, yFrom, 0, all, rows, length);
    ArrayRows.requireApart(name, x, xFrom, 0, y, yFrom, 0, all, rows, length);
  }

  private void requireParameter(
      String what, float[] parameter, int from, float[] y, int yFrom, int rows, int length) {
    if (from < 0 || (long) from + length > parameter.length) {
      throw new IllegalArgumentException(
          name
              + ": expected the "
              + what
              + " to have "
              + length
              + " elements from "
              + from
              + " on, but got "
              + parameter.length);
    }
    ArrayRows.requireApart(name, what, parameter, from, y, yFrom, rows, length);
  }

  /** A plan in use. */
  private Plan acquire(int rows, int length, double eps, double unitOffset) {
    int threads = NativeNorm.threads();
    int hash = (rows * 31 + length) * 31 + Double.hashCode(eps + unitOffset);
    int first = (hash * 0x9E3779B9) >>> 16;
    int free = -1;
    for (int i = 0; i < PLACES; i++) {
      int place = (first + i) % REMEMBERED;
      Memo memo = memos[place];
      if (memo == null) {
        free = place;
      } else if (memo.isOf(rows, length, eps, unitOffset, threads)) {
        if (Engines.reacquire(memo.plan)) {
          return memo.plan;
        }
        free = place;
        break;
      }
    }
    Plan plan = Engines.acquire(problem(rows, length, eps, unitOffset, threads), backend);
    int place = free >= 0 ? free : (first + Math.floorMod(replaced++, PLACES)) % REMEMBERED;
    memos[place] = new Memo(rows, length, eps, unitOffset, threads, plan);
    return plan;
  }

  private Problem problem(int rows, int length, double eps, double unitOffset, int threads) {
    return new Problem(
        new Norm(operation, StatisticsSource.COMPUTED, eps),
        Shape.ofRows(rows, length),
        Storage.of(DataType.F32),
        new Affine(true, operation == Operation.LAYER, unitOffset),
        Fusion.NONE,
        Task.INFER,
        threads);
  }

  private static void copy(
      Plan plan,
      float[] x,
      int xFrom,
      float[] y,
      int yFrom,
      int rows,
      int length,
      float[] weight,
      int weightFrom,
      float @Nullable [] bias,
      int biasFrom) {
    try (PooledMemory weights = MemoryPool.take(DataType.F32, length);
        PooledMemory biases = bias == null ? null : MemoryPool.take(DataType.F32, length)) {
      weights.memory().write(0, weight, weightFrom, length);
      if (bias != null) {
        biases.memory().write(0, bias, biasFrom, length);
      }
      Memory second = biases == null ? null : biases.memory();
      copy(plan, x, xFrom, y, yFrom, rows, length, weights.memory(), second);
    }
  }

  private static void copy(
      Plan plan,
      float[] x,
      int xFrom,
      float[] y,
      int yFrom,
      int rows,
      int length,
      FloatBuffer weight,
      int weightFrom) {
    try (PooledMemory weights = MemoryPool.take(DataType.F32, length)) {
      FloatView view = weights.memory().view();
      for (int i = 0; i < length; i++) {
        view.put(i, weight.get(weightFrom + i));
      }
      copy(plan, x, xFrom, y, yFrom, rows, length, weights.memory(), null);
    }
  }

  private static void copy(
      Plan plan,
      float[] x,
      int xFrom,
      float[] y,
      int yFrom,
      int rows,
      int length,
      Memory weight,
      @Nullable Memory bias) {
    int count = rows * length;
    try (PooledMemory buffer = MemoryPool.take(DataType.F32, count)) {
      Memory floats = buffer.memory();
      floats.write(0, x, xFrom, count);
      plan.infer(floats, floats, weight, bias);
      floats.read(0, y, yFrom, count);
    }
  }
}
