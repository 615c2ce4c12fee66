package io.nativenorm.engine.onednn;

import io.nativenorm.DataType;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.NativeMemory;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;

/**
 * Finds out whether OpenMP gives the teams it promises. Under {@code OMP_THREAD_LIMIT} it does not,
 * and oneDNN then adds up what absent threads never wrote. A LayerNorm backward with a known answer
 * shows it: its scratchpad starts as NaN.
 */
final class TeamCheck {
  private static final int ROWS = 1024;
  private static final int COLUMNS = 16;

  private TeamCheck() {}

  /** Whether sums over all of a team of a size, or of the default size, are whole. */
  static boolean isWhole(Team team, int threads) {
    boolean[] whole = new boolean[1];
    team.run(threads, nothing -> whole[0] = biasGradientIsWhole(threads), null);
    return whole[0];
  }

  private static boolean biasGradientIsWhole(int threads) {
    Problem problem =
        new Problem(
            new Norm(Operation.LAYER, StatisticsSource.COMPUTED, 1e-5),
            Shape.ofRows(ROWS, COLUMNS),
            Storage.of(DataType.F32),
            new Affine(true, true),
            Fusion.NONE,
            Task.BACKWARD,
            threads);
    long elements = (long) ROWS * COLUMNS;
    NativeMemory data = new NativeMemory(2 * elements);
    NativeMemory rest = new NativeMemory(2 * ROWS + 3 * COLUMNS);
    try (Primitive backward = new Primitive(PrimitiveDescription.backward(problem))) {
      data.zero();
      rest.zero();
      NativeFloats src = data.floats().slice(0, elements);
      NativeFloats gradient = data.floats().slice(elements, elements);
      NativeFloats mean = rest.floats().slice(0, ROWS);
      NativeFloats variance = rest.floats().slice(ROWS, ROWS);
      NativeFloats weight = rest.floats().slice(2 * ROWS, COLUMNS);
      NativeFloats diffWeight = rest.floats().slice(2 * ROWS + COLUMNS, COLUMNS);
      NativeFloats diffBias = rest.floats().slice(2 * ROWS + 2 * COLUMNS, COLUMNS);
      for (long i = 0; i < elements; i++) {
        gradient.put(i, 1);
      }
      backward.run(
          new Operands(
              src, null, weight, null, mean, variance, gradient, gradient, diffWeight, diffBias));
      for (int c = 0; c < COLUMNS; c++) {
        if (diffBias.get(c) != ROWS) {
          return false;
        }
      }
      return true;
    } finally {
      data.free();
      rest.free();
    }
  }
}
