package io.nativenorm.bench.contestant;

import static io.nativenorm.bench.contestant.Lanes.SPECIES;

import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Batch, group and instance normalization, channels first: runs of one channel of one sample. */
final class VectorChannels extends HeapSession {
  private final boolean batch;
  private final int samples;
  private final int channels;
  private final int spatial;

  VectorChannels(Workload workload) {
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

  /** What is done with each run that a statistic is of. */
  private interface Runs {
    void run(int channel, int at);
  }

  private void eachRun(int statistic, Runs runs) {
    int firstSample = batch ? 0 : statistic / cell.groups();
    int firstChannel = batch ? statistic : statistic % cell.groups() * channels;
    for (int n = firstSample; n < firstSample + samples; n++) {
      for (int c = firstChannel; c < firstChannel + channels; c++) {
        runs.run(c, cell.offset(n, c));
      }
    }
  }

  @Override
  void forward() {
    for (int statistic = 0; statistic < mean.length; statistic++) {
      if (isGiven()) {
        takeRunning(statistic);
      } else {
        measure(statistic);
      }
      float center = (float) mean[statistic];
      double inverse = inverseDeviation[statistic];
      eachRun(statistic, (c, at) -> normalize(at, center, (float) (inverse * weight[c]), bias[c]));
    }
  }

  private void measure(int statistic) {
    int values = samples * channels * spatial;
    double[] sums = new double[2];
    eachRun(statistic, (c, at) -> sums[0] += Lanes.sum(x, at, spatial));
    double center = sums[0] / values;
    eachRun(statistic, (c, at) -> sums[1] += Lanes.squares(x, at, spatial, (float) center));
    setStatistic(statistic, center, sums[1], values);
  }

  private void normalize(int at, float center, float scale, float shift) {
    for (int i = 0; i < spatial; i += SPECIES.length()) {
      VectorMask<Float> inside = SPECIES.indexInRange(i, spatial);
      FloatVector.fromArray(SPECIES, x, at + i, inside)
          .sub(center)
          .mul(scale)
          .add(shift)
          .intoArray(output, at + i, inside);
    }
  }

  @Override
  void backward() {
    Arrays.fill(weightGradient, 0);
    Arrays.fill(biasGradient, 0);
    for (int statistic = 0; statistic < mean.length; statistic++) {
      backward(statistic);
    }
  }

  private void backward(int statistic) {
    float center = (float) mean[statistic];
    float inverse = (float) inverseDeviation[statistic];
    double[] sums = new double[2];
    eachRun(
        statistic,
        (c, at) -> {
          float sum = Lanes.sum(dy, at, spatial);
          float product = Lanes.products(dy, x, at, spatial, center) * inverse;
          biasGradient[c] += sum;
          weightGradient[c] += product;
          sums[0] += sum * weight[c];
          sums[1] += product * weight[c];
        });
    int values = samples * channels * spatial;
    float meanGradient = (float) (sums[0] / values);
    float slope = (float) (sums[1] / values) * inverse;
    eachRun(
        statistic,
        (c, at) -> {
          for (int i = 0; i < spatial; i += SPECIES.length()) {
            VectorMask<Float> inside = SPECIES.indexInRange(i, spatial);
            FloatVector distance = FloatVector.fromArray(SPECIES, x, at + i, inside).sub(center);
            FloatVector.fromArray(SPECIES, dy, at + i, inside)
                .mul(weight[c])
                .sub(meanGradient)
                .sub(distance.mul(slope))
                .mul(inverse)
                .intoArray(output, at + i, inside);
          }
        });
  }
}
