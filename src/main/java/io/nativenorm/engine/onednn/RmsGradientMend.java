package io.nativenorm.engine.onednn;

import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import java.util.Arrays;

/**
 * Adds what oneDNN's RMSNorm backward wrongly takes away. oneDNN 3.11 computes the input gradient
 * with LayerNorm's term for the mean, which RMSNorm does not have: with r = 1 / sqrt(variance +
 * eps) and g = dy * weight, each row is off by exactly r * mean(g), which was 4e-2 of the
 * gradient's norm on normal data and all of it where the gradients have one sign. Its reference
 * code has the term too, still in August 2026.
 */
final class RmsGradientMend {
  private static final int BLOCK = 64;

  private final Problem problem;

  RmsGradientMend(Problem problem) {
    this.problem = problem;
  }

  /** r * mean(g) of each row; to be called before the gradient is overwritten in place. */
  float[] missing(Operands operands) {
    int columns = Math.toIntExact(problem.channels());
    float[] variances = new float[Math.toIntExact(problem.batch())];
    operands.variance().read(0, variances, 0, variances.length);
    float[] weight = new float[columns];
    Arrays.fill(weight, 1);
    if (problem.weight()) {
      operands.weight().read(0, weight, 0, columns);
    }
    float[] dy = new float[columns];
    float[] missing = new float[variances.length];
    for (int row = 0; row < missing.length; row++) {
      operands.diffDst().read((long) row * columns, dy, 0, columns);
      double mean = dot(dy, weight) / columns;
      missing[row] = (float) (mean / Math.sqrt(variances[row] + problem.eps()));
    }
    return missing;
  }

  /**
   * Four sums at once, in float over blocks and in double over all of them. In double alone JDK 17
   * takes 9 ns an element, for the conversions; here it is 1.
   */
  private static double dot(float[] x, float[] y) {
    double sum = 0;
    for (int start = 0; start < x.length; start += BLOCK) {
      int end = Math.min(start + BLOCK, x.length);
      float a = 0;
      float b = 0;
      float c = 0;
      float d = 0;
      int i = start;
      for (; i + 4 <= end; i += 4) {
        a += x[i] * y[i];
        b += x[i + 1] * y[i + 1];
        c += x[i + 2] * y[i + 2];
        d += x[i + 3] * y[i + 3];
      }
      for (; i < end; i++) {
        a += x[i] * y[i];
      }
      sum += (double) a + b + c + d;
    }
    return sum;
  }

  /** Adds it to the row's gradients. */
  void add(float[] missing, NativeFloats diffSrc) {
    int columns = Math.toIntExact(problem.channels());
    float[] dx = new float[columns];
    for (int row = 0; row < missing.length; row++) {
      diffSrc.read((long) row * columns, dx, 0, columns);
      for (int column = 0; column < columns; column++) {
        dx[column] += missing[row];
      }
      diffSrc.write((long) row * columns, dx, 0, columns);
    }
  }
}
