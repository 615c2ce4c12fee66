package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;

/**
 * Adds what oneDNN's RMSNorm backward wrongly takes away. oneDNN 3.11 computes the input gradient
 * with LayerNorm's term for the mean, which RMSNorm does not have: with r = 1 / sqrt(variance +
 * eps) and g = dy * weight, each row is off by exactly r * mean(g), which was 4e-2 of the
 * gradient's norm on normal data and all of it where the gradients have one sign. Its reference
 * code has the term too, still in August 2026.
 */
final class RmsGradientMend {
  /**
   * Floats that are copied to the heap at once: one by one, rows of 64 would cost more to copy than
   * to sum.
   */
  private static final int COPIED = 8192;

  /** Products that are summed in float. */
  private static final int SUMMED = 64;

  private final Problem problem;
  private final int rows;
  private final int columns;
  private final int rowsAtOnce;

  RmsGradientMend(Problem problem) {
    this.problem = problem;
    rows = Math.toIntExact(problem.shape().batch());
    columns = Math.toIntExact(problem.shape().channels());
    rowsAtOnce = Math.min(rows, Math.max(1, COPIED / columns));
  }

  /** r * mean(g) of each row; to be called before the gradient is overwritten in place. */
  float[] missing(Operands operands) {
    float[] variances = new float[rows];
    operands.get(Slot.VARIANCE).read(0, variances, 0, rows);
    float[] weight = new float[columns];
    Arrays.fill(weight, 1);
    if (problem.affine().weight()) {
      operands.get(Slot.WEIGHT).read(0, weight, 0, columns);
    }
    float[] dy = new float[rowsAtOnce * columns];
    float[] missing = new float[rows];
    for (int first = 0; first < rows; first += rowsAtOnce) {
      int count = Math.min(rowsAtOnce, rows - first);
      operands.get(Slot.DIFF_DST).read((long) first * columns, dy, 0, count * columns);
      for (int row = 0; row < count; row++) {
        double mean = dot(dy, row * columns, weight) / columns;
        double std = Math.sqrt(variances[first + row] + problem.norm().eps());
        missing[first + row] = (float) (mean / std);
      }
    }
    return missing;
  }

  /**
   * Four partial sums, in float over blocks and in double over all of them. In double alone JDK 17
   * takes 9 ns an element, for the conversions; this way it is 2, the copy included.
   */
  private static double dot(float[] x, int from, float[] y) {
    double sum = 0;
    for (int start = 0; start < y.length; start += SUMMED) {
      int end = Math.min(start + SUMMED, y.length);
      float a = 0;
      float b = 0;
      float c = 0;
      float d = 0;
      int i = start;
      for (; i + 4 <= end; i += 4) {
        a += x[from + i] * y[i];
        b += x[from + i + 1] * y[i + 1];
        c += x[from + i + 2] * y[i + 2];
        d += x[from + i + 3] * y[i + 3];
      }
      for (; i < end; i++) {
        a += x[from + i] * y[i];
      }
      sum += (double) a + b + c + d;
    }
    return sum;
  }

  /** Adds it to the row's gradients. */
  void add(float[] missing, Memory diffSrc) {
    float[] dx = new float[rowsAtOnce * columns];
    for (int first = 0; first < rows; first += rowsAtOnce) {
      int count = Math.min(rowsAtOnce, rows - first);
      diffSrc.read((long) first * columns, dx, 0, count * columns);
      for (int row = 0; row < count; row++) {
        float term = missing[first + row];
        for (int i = row * columns; i < (row + 1) * columns; i++) {
          dx[i] += term;
        }
      }
      diffSrc.write((long) first * columns, dx, 0, count * columns);
    }
  }
}
