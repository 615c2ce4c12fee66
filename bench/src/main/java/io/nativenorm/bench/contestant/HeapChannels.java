package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.Arrays;

/** Batch, group and instance normalization over heap arrays: some channels of some samples. */
abstract class HeapChannels extends HeapSession {
  private final boolean batch;

  /** That share a statistic, as many channels of each. */
  final int samples;

  final int channels;
  final int spatial;

  HeapChannels(Workload workload) {
    super(
        workload,
        workload.cell().operation() == Operation.BATCH
            ? workload.cell().channels()
            : workload.cell().batch() * workload.cell().groups());
    batch = cell.operation() == Operation.BATCH;
    samples = batch ? cell.batch() : 1;
    channels = batch ? 1 : cell.channels() / cell.groups();
    spatial = cell.spatial();
  }

  final int firstSample(int statistic) {
    return batch ? 0 : statistic / cell.groups();
  }

  final int firstChannel(int statistic) {
    return batch ? statistic : statistic % cell.groups() * channels;
  }

  final int values() {
    return samples * channels * spatial;
  }

  abstract void measure(int statistic);

  abstract void normalize(int statistic);

  /** Writes the gradients of a statistic's values and adds to those of its channels. */
  abstract void gradient(int statistic);

  @Override
  final void forward() {
    for (int statistic = 0; statistic < mean.length; statistic++) {
      if (isGiven()) {
        takeRunning(statistic);
      } else {
        measure(statistic);
      }
      normalize(statistic);
    }
  }

  @Override
  final void backward() {
    Arrays.fill(weightGradient, 0);
    Arrays.fill(biasGradient, 0);
    for (int statistic = 0; statistic < mean.length; statistic++) {
      gradient(statistic);
    }
  }
}
