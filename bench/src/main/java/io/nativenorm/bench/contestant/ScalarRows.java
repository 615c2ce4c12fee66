package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Workload;

/** Layer and RMS normalization: each row by itself. */
final class ScalarRows extends HeapRows {
  ScalarRows(Workload workload) {
    super(workload);
  }

  @Override
  void measure(int row) {
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
  void normalize(int at, float center, float scale) {
    for (int i = 0; i < length; i++) {
      float value = (x[at + i] - center) * scale * weight[i];
      output[at + i] = centered ? value + bias[i] : value;
    }
  }

  @Override
  void gradient(int at, float center, float scale) {
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
