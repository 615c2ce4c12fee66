package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.Arrays;

/** Layer and RMS normalization: each row by itself. */
final class ScalarRows extends HeapSession {
  private final int length;
  private final boolean centered;

  ScalarRows(Workload workload) {
    super(workload, workload.cell().batch());
    length = cell.channels();
    centered = cell.operation() == Operation.LAYER;
  }

  @Override
  void forward() {
    for (int row = 0; row < mean.length; row++) {
      measure(row);
      float center = (float) mean[row];
      float scale = (float) inverseDeviation[row];
      int at = row * length;
      for (int i = 0; i < length; i++) {
        float value = (x[at + i] - center) * scale * weight[i];
        output[at + i] = centered ? value + bias[i] : value;
      }
    }
  }

  private void measure(int row) {
    int at = row * length;
    double sum = 0;
    for (int i = 0; centered && i < length; i++) {
      sum += x[at + i];
    }
    double center = sum / length;
    double squares = 0;
    for (int i = 0; i < length; i++) {
      double distance = x[at + i] - center;
      squares += distance * distance;
    }
    setStatistic(row, center, squares, length);
  }

  @Override
  void backward() {
    Arrays.fill(weightGradient, 0);
    if (centered) {
      Arrays.fill(biasGradient, 0);
    }
    for (int row = 0; row < mean.length; row++) {
      backward(row);
    }
  }

  private void backward(int row) {
    int at = row * length;
    float center = (float) mean[row];
    float scale = (float) inverseDeviation[row];
    double sum = 0;
    double product = 0;
    for (int i = 0; i < length; i++) {
      float gradient = dy[at + i] * weight[i];
      sum += gradient;
      product += gradient * (x[at + i] - center) * scale;
    }
    float meanGradient = centered ? (float) (sum / length) : 0;
    float meanProduct = (float) (product / length);
    for (int i = 0; i < length; i++) {
      float xhat = (x[at + i] - center) * scale;
      weightGradient[i] += dy[at + i] * xhat;
      if (centered) {
        biasGradient[i] += dy[at + i];
      }
      output[at + i] = (dy[at + i] * weight[i] - meanGradient - xhat * meanProduct) * scale;
    }
  }
}
