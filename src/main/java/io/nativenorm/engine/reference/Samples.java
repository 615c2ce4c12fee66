package io.nativenorm.engine.reference;

import io.nativenorm.engine.Groups;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import java.util.Arrays;

/**
 * Channels-last samples: matrices of rows (positions) and columns (channels), for batch
 * normalization the whole tensor.
 *
 * @param count how many
 * @param rows of each
 * @param columns of each
 * @param members columns of a unit
 * @param units of a sample
 * @param groups all units
 */
record Samples(long count, long rows, int columns, int members, int units, Groups groups) {
  static Samples of(Problem problem) {
    boolean batch = problem.operation() == Operation.BATCH;
    int columns = Math.toIntExact(problem.channels());
    int units = batch ? columns : Math.toIntExact(problem.groups());
    return new Samples(
        batch ? 1 : problem.batch(),
        batch ? problem.batch() * problem.spatial() : problem.spatial(),
        columns,
        columns / units,
        units,
        Groups.of(problem));
  }

  long elements() {
    return rows * columns;
  }

  /** Values of a unit. */
  double values() {
    return (double) rows * (double) members;
  }

  long start(long sample) {
    return sample * elements();
  }

  ExactUnit exact(long sample, int unit) {
    return new ExactUnit(Unit.of(groups, sample * units + unit));
  }

  ExactUnit exactColumn(long sample, int column) {
    return new ExactUnit(new Unit(start(sample) + column, rows, 1, columns, 1, column, 0, 0));
  }

  /**
   * Where some units are outside of what floats can do, those whose factors are NaN go with them.
   */
  void joinNotNumbers(float[] factors, boolean[] isOutside) {
    for (int unit = 0; unit < units; unit++) {
      int begin = unit * members;
      boolean notNumbers = false;
      for (int j = begin; j < begin + members; j++) {
        notNumbers |= Float.isNaN(factors[j]);
      }
      if (notNumbers) {
        Arrays.fill(isOutside, begin, begin + members, true);
      }
    }
  }
}
