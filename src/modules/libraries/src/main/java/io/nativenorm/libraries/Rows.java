package io.nativenorm.libraries;

import io.nativenorm.LayerNorm;
import java.nio.FloatBuffer;
import java.util.Random;

/**
 * Rows to be normalized, around a mean of 1, and what a layer normalization with this weight and
 * bias makes of them, computed in double.
 */
record Rows(int rows, int length, float[] x, float[] weight, float[] bias, float[] expected) {
  static final double EPS = 1e-5;

  static Rows of(int rows, int length) {
    Random random = new Random(rows);
    float[] x = floats(random, rows * length, 1);
    float[] weight = floats(random, length, 1);
    float[] bias = floats(random, length, 0);
    return new Rows(rows, length, x, weight, bias, normalized(x, length, weight, bias));
  }

  static float[] floats(Random random, int count, float mean) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = mean + (float) random.nextGaussian();
    }
    return values;
  }

  private static float[] normalized(float[] x, int length, float[] weight, float[] bias) {
    float[] y = new float[x.length];
    for (int from = 0; from < x.length; from += length) {
      double mean = 0;
      for (int i = 0; i < length; i++) {
        mean += x[from + i] / (double) length;
      }
      double variance = 0;
      for (int i = 0; i < length; i++) {
        variance += (x[from + i] - mean) * (x[from + i] - mean) / length;
      }
      for (int i = 0; i < length; i++) {
        y[from + i] =
            (float) ((x[from + i] - mean) / Math.sqrt(variance + EPS) * weight[i] + bias[i]);
      }
    }
    return y;
  }

  long[] shape() {
    return new long[] {rows, length};
  }

  /** A layer of ours with this weight and bias, to be closed by the caller. */
  LayerNorm layerNorm() {
    LayerNorm norm = LayerNorm.builder(length).eps(EPS).build();
    norm.weight().copyFrom(weight);
    norm.bias().copyFrom(bias);
    return norm;
  }

  /** Throws if an output is not what is expected. */
  void requireRight(String who, float[] y) {
    Answers.requireRight(who, y, expected);
  }

  /** The same of a buffer. */
  void requireRight(String who, FloatBuffer y) {
    float[] values = new float[y.remaining()];
    y.duplicate().get(values);
    requireRight(who, values);
  }
}
