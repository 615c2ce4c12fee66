package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * sum(first * second) in doubles, in which products of floats are exact, for gradients of units
 * that may be constant: accumulators of doubles over all of a piece, and at its end, with j below 8
 * and then 4:
 *
 * <pre>
 *   f[j] = (d[j] + d[16 + j]) + (d[8 + j] + d[24 + j])      t[j] = f[j] + f[4 + j]
 * </pre>
 */
abstract class DoubleAccumulators extends Accumulators {
  private final double[] accumulators = new double[COUNT];

  double sum;

  /** Whether all x so far were the center; {@link #fill} tells. */
  boolean same = true;

  /** Before another unit. */
  final void clear() {
    sum = 0;
    same = true;
  }

  @Override
  final void endBlock(int elements) {
    for (int row = 0; row < elements; row += COUNT) {
      for (int j = 0; j < COUNT; j++) {
        accumulators[j] += (double) first[row + j] * second[row + j];
      }
    }
  }

  @Override
  final void endPiece() {
    double[] t = new double[4];
    for (int j = 0; j < 4; j++) {
      t[j] = folded(j) + folded(4 + j);
    }
    sum += sumOf(t);
    Arrays.fill(accumulators, 0);
  }

  private double folded(int j) {
    return (accumulators[j] + accumulators[16 + j]) + (accumulators[8 + j] + accumulators[24 + j]);
  }
}
