package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Units;
import java.util.Arrays;

/**
 * Channels-last samples: matrices of rows (positions) and columns (channels), for batch
 * normalization the whole tensor.
 *
 * @param count how many
 * @param rows of each
 * @param columns of each
 * @param members columns of a unit
 * @param unitsPerSample units of each
 * @param units all of them
 */
record Samples(long count, long rows, int columns, int members, int unitsPerSample, Units units) {
  static Samples of(Problem problem) {
    boolean batch = problem.norm().operation() == Operation.BATCH;
    int columns = Math.toIntExact(problem.shape().channels());
    int unitsPerSample = batch ? columns : Math.toIntExact(problem.shape().groups());
    return new Samples(
        batch ? 1 : problem.shape().batch(),
        batch ? problem.shape().batch() * problem.shape().spatial() : problem.shape().spatial(),
        columns,
        columns / unitsPerSample,
        unitsPerSample,
        Units.of(problem));
  }

  /** One sample, of which as many rows follow each other as count. */
  static Samples counted(Problem problem, long rows) {
    Samples all = of(problem);
    Units packed = Units.of(problem.withShape(problem.shape().withSamples(1, rows)));
    return new Samples(1, rows, all.columns, all.members, all.unitsPerSample, packed);
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
    return new ExactUnit(Unit.of(units, sample * unitsPerSample + unit));
  }

  ExactUnit exactColumn(long sample, int column) {
    return new ExactUnit(new Unit(start(sample) + column, rows, 1, columns, 1, column, 0, 0));
  }

  /** Where some units take doubles, those whose factors are NaN do so too. */
  void joinNotNumbers(float[] factors, boolean[] isOutside) {
    for (int unit = 0; unit < unitsPerSample; unit++) {
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
