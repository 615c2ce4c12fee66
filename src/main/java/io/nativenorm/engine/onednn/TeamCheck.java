package io.nativenorm.engine.onednn;

import io.nativenorm.DataType;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;

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
    try (PooledMemory data = MemoryPool.take(DataType.F32, 2 * elements);
        PooledMemory rest = MemoryPool.take(DataType.F32, 2 * ROWS + 3 * COLUMNS);
        Primitive backward = new Primitive(PrimitiveDescription.backward(problem))) {
      data.memory().setAll(0);
      rest.memory().setAll(0);
      Memory src = data.memory().slice(0, elements);
      Memory gradient = data.memory().slice(elements, elements);
      Memory mean = rest.memory().slice(0, ROWS);
      Memory variance = rest.memory().slice(ROWS, ROWS);
      Memory weight = rest.memory().slice(2 * ROWS, COLUMNS);
      Memory diffWeight = rest.memory().slice(2 * ROWS + COLUMNS, COLUMNS);
      Memory diffBias = rest.memory().slice(2 * ROWS + 2 * COLUMNS, COLUMNS);
      gradient.setAll(1);
      backward.run(
          Operands.NONE
              .with(Slot.SRC, src)
              .with(Slot.WEIGHT, weight)
              .with(Slot.MEAN, mean)
              .with(Slot.VARIANCE, variance)
              .with(Slot.DIFF_DST, gradient)
              .with(Slot.DIFF_SRC, gradient)
              .with(Slot.DIFF_WEIGHT, diffWeight)
              .with(Slot.DIFF_BIAS, diffBias));
      for (int c = 0; c < COLUMNS; c++) {
        if (diffBias.view().get(c) != ROWS) {
          return false;
        }
      }
      return true;
    }
  }
}
