package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.Arrays;

/** Layer and RMS normalization over heap arrays: a row is a statistic. */
abstract class HeapRows extends HeapSession {
  final int length;

  /** Layer normalization, which has a mean and a bias. */
  final boolean centered;

  HeapRows(Workload workload) {
    super(workload, workload.cell().batch());
    length = cell.channels();
    centered = cell.operation() == Operation.LAYER;
  }

  /** Sets the row's statistic. */
  abstract void measure(int row);

  abstract void normalize(int at, float center, float scale);

  /** Writes the row's gradient and adds to those of the parameters. */
  abstract void gradient(int at, float center, float scale);

  @Override
  final void forward() {
    for (int row = 0; row < mean.length; row++) {
      measure(row);
      normalize(row * length, (float) mean[row], (float) inverseDeviation[row]);
    }
  }

  @Override
  final void backward() {
    Arrays.fill(weightGradient, 0);
    if (centered) {
      Arrays.fill(biasGradient, 0);
    }
    for (int row = 0; row < mean.length; row++) {
      gradient(row * length, (float) mean[row], (float) inverseDeviation[row]);
    }
  }
}
