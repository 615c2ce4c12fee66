package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.indexer.FloatIndexer;

/**
 * Adds what oneDNN's RMSNorm backward wrongly takes away. oneDNN 3.11 computes the input gradient
 * with LayerNorm's term for the mean, which RMSNorm does not have: with r = 1 / sqrt(variance +
 * eps) and g = dy * weight, each row is off by exactly r * mean(g), which was 4e-2 of the
 * gradient's norm on normal data and all of it where the gradients have one sign. Its reference
 * code has the term too, still in August 2026.
 */
final class RmsGradientMend {
  private final Problem problem;

  RmsGradientMend(Problem problem) {
    this.problem = problem;
  }

  /** r * mean(g) of each row; to be called before the gradient is overwritten in place. */
  double[] missing(Operands operands) {
    FloatIndexer dy = FloatIndexer.create((FloatPointer) operands.diffDst());
    FloatIndexer variances = FloatIndexer.create((FloatPointer) operands.variance());
    FloatIndexer weight =
        problem.weight() ? FloatIndexer.create((FloatPointer) operands.weight()) : null;
    double[] missing = new double[Math.toIntExact(problem.batch())];
    long at = 0;
    for (int row = 0; row < missing.length; row++) {
      double sum = 0;
      for (long column = 0; column < problem.channels(); column++, at++) {
        sum += weight == null ? dy.get(at) : (double) dy.get(at) * weight.get(column);
      }
      double r = 1 / Math.sqrt(variances.get(row) + problem.eps());
      missing[row] = r * sum / problem.channels();
    }
    return missing;
  }

  /** Adds it to the row's gradients. */
  void add(double[] missing, Pointer diffSrc) {
    FloatIndexer dx = FloatIndexer.create((FloatPointer) diffSrc);
    long at = 0;
    for (double rowMissing : missing) {
      for (long column = 0; column < problem.channels(); column++, at++) {
        dx.put(at, (float) (dx.get(at) + rowMissing));
      }
    }
  }
}
