package io.nativenorm.bench;

import java.util.Map;

/**
 * How far a contestant's results are from the exact ones: forward the largest |error| / (1 + |y|),
 * for gradients the error's L2 norm over the result's, the largest of all results.
 */
public final class Agreement {
  /** NativeNorm's contract, forward and backward; rivals beyond it are marked. */
  public static final double ALLOWED = 1e-5;

  private Agreement() {}

  /** The error of one call of a contestant. */
  static double error(Contestant contestant, Workload workload, Map<String, double[]> expected) {
    try (Contestant.Session session = contestant.prepare(workload)) {
      session.call();
      return error(expected, session.results());
    }
  }

  /** The error of results; infinite where one is missing, of another length, or not a number. */
  static double error(Map<String, double[]> expected, Results results) {
    double largest = 0;
    for (Map.Entry<String, double[]> entry : expected.entrySet()) {
      float[] actual = results.values().get(entry.getKey());
      double error = Double.POSITIVE_INFINITY;
      if (actual != null && actual.length == entry.getValue().length) {
        error =
            entry.getKey().startsWith("gradient")
                ? relativeL2(entry.getValue(), actual)
                : largestMixed(entry.getValue(), actual);
      }
      largest = Math.max(largest, Double.isNaN(error) ? Double.POSITIVE_INFINITY : error);
    }
    return largest;
  }

  private static double largestMixed(double[] expected, float[] actual) {
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(expected[i] - actual[i]) / (1 + Math.abs(expected[i]));
      if (!(error <= largest)) { // also NaN, which stays
        largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
      }
    }
    return largest;
  }

  private static double relativeL2(double[] expected, float[] actual) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      double distance = expected[i] - actual[i];
      error += distance * distance;
      norm += expected[i] * expected[i];
    }
    return Math.sqrt(error / norm);
  }
}
