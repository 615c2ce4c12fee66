package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;

/**
 * Rows that are normalized each by itself, with parameters for each element: layer and RMS
 * normalization, group normalization without spatial extent. Row r takes them from (r mod period) *
 * length on.
 *
 * @param rows how many
 * @param length elements of each
 * @param period rows after which the parameters repeat
 * @param centered whether there is a mean: not for RMS
 */
record RowShape(long rows, long length, long period, boolean centered) {
  /** Elements that are computed at once: 16 KB. */
  private static final int CHUNK = 4096;

  static boolean fits(Problem problem) {
    return switch (problem.norm().operation()) {
      case LAYER, RMS -> true;
      case GROUP -> problem.shape().spatial() == 1 && !problem.norm().masked();
      case BATCH -> false;
    };
  }

  static RowShape of(Problem problem) {
    if (problem.norm().operation() == Operation.GROUP) {
      long groups = problem.shape().groups();
      return new RowShape(
          problem.shape().batch() * groups, problem.shape().channels() / groups, groups, true);
    }
    boolean rms = problem.norm().operation() == Operation.RMS;
    return new RowShape(problem.shape().batch(), problem.shape().channels(), 1, !rms);
  }

  int chunk() {
    return (int) Math.min(CHUNK, length);
  }

  int chunks() {
    return Math.toIntExact((length + CHUNK - 1) / CHUNK);
  }

  /** Elements of a chunk. */
  int chunk(int index) {
    return (int) Math.min(CHUNK, length - (long) index * CHUNK);
  }

  /** Where a row's parameters begin. */
  long parameters(long row) {
    return row % period * length;
  }

  double share() {
    return 1 / (double) length;
  }

  ExactUnit exact(long row) {
    return new ExactUnit(new Unit(row * length, 1, length, 0, 1, parameters(row), 0, 1));
  }
}
