package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.Arrays;

/**
 * Batch, group and instance normalization in either layout: samples and channels that share a
 * statistic, then positions.
 */
final class ScalarChannels extends HeapSession {
  private final boolean batch;
  private final int samples;
  private final int channels;
  private final int spatial;
  private final int step;

  ScalarChannels(Workload workload) {
    super(
        workload,
        workload.cell().operation() == Operation.BATCH
            ? workload.cell().channels()
            : workload.cell().batch() * workload.cell().groups());
    batch = cell.operation() == Operation.BATCH;
    samples = batch ? cell.batch() : 1;
    channels = batch ? 1 : cell.channels() / cell.groups();
    spatial = cell.spatial();
    step = cell.step();
  }

  private int firstSample(int statistic) {
    return batch ? 0 : statistic / cell.groups();
  }

  private int firstChannel(int statistic) {
    return batch ? statistic : statistic % cell.groups() * channels;
  }

  @Override
  void forward() {
    for (int statistic = 0; statistic < mean.length; statistic++) {
      if (isGiven()) {
        takeRunning(statistic);
      } else {
        measure(statistic);
      }
      normalize(statistic);
    }
  }

  private void measure(int statistic) {
    int values = samples * channels * spatial;
    double center = sum(statistic, 0, 1) / values;
    setStatistic(statistic, center, sum(statistic, center, 2), values);
  }

  /** Of (x - center) to a power of 1 or 2. */
  private double sum(int statistic, double center, int power) {
    double sum = 0;
    for (int n = firstSample(statistic); n < firstSample(statistic) + samples; n++) {
      for (int c = firstChannel(statistic); c < firstChannel(statistic) + channels; c++) {
        int at = cell.offset(n, c);
        for (int s = 0; s < spatial; s++) {
          double distance = x[at + s * step] - center;
          sum += power == 1 ? distance : distance * distance;
        }
      }
    }
    return sum;
  }

  private void normalize(int statistic) {
    float center = (float) mean[statistic];
    for (int n = firstSample(statistic); n < firstSample(statistic) + samples; n++) {
      for (int c = firstChannel(statistic); c < firstChannel(statistic) + channels; c++) {
        float scale = (float) (inverseDeviation[statistic] * weight[c]);
        int at = cell.offset(n, c);
        for (int s = 0; s < spatial; s++) {
          output[at + s * step] = (x[at + s * step] - center) * scale + bias[c];
        }
      }
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
    double sum = 0;
    double product = 0;
    for (int n = firstSample(statistic); n < firstSample(statistic) + samples; n++) {
      for (int c = firstChannel(statistic); c < firstChannel(statistic) + channels; c++) {
        int at = cell.offset(n, c);
        double dySum = 0;
        double dyXhat = 0;
        for (int s = 0; s < spatial; s++) {
          dySum += dy[at + s * step];
          dyXhat += dy[at + s * step] * (x[at + s * step] - center) * inverse;
        }
        weightGradient[c] += dyXhat;
        biasGradient[c] += dySum;
        sum += dySum * weight[c];
        product += dyXhat * weight[c];
      }
    }
    int values = samples * channels * spatial;
    inputGradient(statistic, (float) (sum / values), (float) (product / values));
  }

  private void inputGradient(int statistic, float meanGradient, float meanProduct) {
    float center = (float) mean[statistic];
    float inverse = (float) inverseDeviation[statistic];
    for (int n = firstSample(statistic); n < firstSample(statistic) + samples; n++) {
      for (int c = firstChannel(statistic); c < firstChannel(statistic) + channels; c++) {
        int at = cell.offset(n, c);
        for (int s = 0; s < spatial; s++) {
          int i = at + s * step;
          float xhat = (x[i] - center) * inverse;
          output[i] = (dy[i] * weight[c] - meanGradient - xhat * meanProduct) * inverse;
        }
      }
    }
  }
}
