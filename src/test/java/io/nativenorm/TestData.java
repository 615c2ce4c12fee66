package io.nativenorm;

import java.util.Random;

/** Values, orders and errors for tests. */
final class TestData {
  private TestData() {}

  private record Values(long seed, int count) {}

  /** Of mean 0 and deviation 1. A value takes 40 ns to make and 1 to scale. */
  private static final Recent<Values, double[]> MADE = new Recent<>();

  static float[] normal(long seed, int count, double mean, double std) {
    double[] normal = MADE.get(new Values(seed, count), TestData::make);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (mean + std * normal[i]);
    }
    return values;
  }

  private static double[] make(Values wanted) {
    Random random = new Random(wanted.seed);
    double[] normal = new double[wanted.count];
    for (int i = 0; i < normal.length; i++) {
      normal[i] = random.nextGaussian();
    }
    return normal;
  }

  static double[] widen(float[] values) {
    double[] wide = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      wide[i] = values[i];
    }
    return wide;
  }

  /** From sample, channel, position to sample, position, channel. */
  static float[] channelsLast(float[] values, int n, int c, int s) {
    float[] moved = new float[values.length];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < c; j++) {
        for (int k = 0; k < s; k++) {
          moved[(i * s + k) * c + j] = values[(i * c + j) * s + k];
        }
      }
    }
    return moved;
  }

  /** And back. */
  static float[] channelsFirst(float[] values, int n, int c, int s) {
    return channelsLast(values, n, s, c);
  }

  static double largestError(double[] expected, float[] actual) {
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(expected[i] - actual[i]);
      if (!(error <= largest)) { // NaN counts as the largest
        largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
      }
    }
    return largest;
  }

  /** The largest |error| / (1 + |expected|). */
  static double largestMixedError(double[] expected, float[] actual) {
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(expected[i] - actual[i]) / (1 + Math.abs(expected[i]));
      if (!(error <= largest)) {
        largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
      }
    }
    return largest;
  }

  /** |error| / |expected| as vectors. */
  static double relativeL2(double[] expected, float[] actual) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += Math.pow(expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    double relative = norm == 0 ? Math.sqrt(error) : Math.sqrt(error / norm);
    return Double.isNaN(relative) ? Double.POSITIVE_INFINITY : relative;
  }
}
