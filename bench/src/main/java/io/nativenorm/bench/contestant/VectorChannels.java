package io.nativenorm.bench.contestant;

import static io.nativenorm.bench.contestant.Lanes.SPECIES;

import io.nativenorm.bench.Workload;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Channels first: runs of one channel of one sample, a vector at a time. */
final class VectorChannels extends HeapChannels {
  VectorChannels(Workload workload) {
    super(workload);
  }

  /** What is done with each run that a statistic is of. */
  private interface Runs {
    void run(int channel, int at);
  }

  private void eachRun(int statistic, Runs runs) {
    for (int n = firstSample(statistic); n < firstSample(statistic) + samples; n++) {
      for (int c = firstChannel(statistic); c < firstChannel(statistic) + channels; c++) {
        runs.run(c, cell.offset(n, c));
      }
    }
  }

  @Override
  void measure(int statistic) {
    double[] sums = new double[2];
    eachRun(statistic, (c, at) -> sums[0] += Lanes.sum(x, at, spatial));
    double center = sums[0] / values();
    eachRun(statistic, (c, at) -> sums[1] += Lanes.squares(x, at, spatial, (float) center));
    setStatistic(statistic, center, sums[1], values());
  }

  @Override
  void normalize(int statistic) {
    float center = (float) mean[statistic];
    double inverse = inverseDeviation[statistic];
    eachRun(statistic, (c, at) -> normalize(at, center, (float) (inverse * weight[c]), bias[c]));
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
  void gradient(int statistic) {
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
    float meanGradient = (float) (sums[0] / values());
    float slope = (float) (sums[1] / values()) * inverse;
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
