package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Workload;

/**
 * Batch, group and instance normalization in either layout: samples and channels that share a
 * statistic, then positions.
 */
final class ScalarChannels extends HeapChannels {
  private final int step;

  ScalarChannels(Workload workload) {
    super(workload);
    step = cell.step();
  }

  @Override
  void measure(int statistic) {
    double center = sum(statistic, 0, 1) / values();
    setStatistic(statistic, center, sum(statistic, center, 2), values());
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

  @Override
  void normalize(int statistic) {
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
  void gradient(int statistic) {
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
    inputGradient(statistic, (float) (sum / values()), (float) (product / values()));
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
