package io.nativenorm.bench;

import io.nativenorm.DataType;
import java.util.Map;
import java.util.Set;

/**
 * How far a contestant's results are from the exact ones: forward the largest |error| over a scale
 * + |y|, for gradients the error's L2 norm over the result's, the largest of all results.
 */
public final class Agreement {
  /** Of a result that is 0, in every type. */
  private static final double ABSOLUTE = 1e-5;

  /** What is of the cell's type; statistics and gradients of parameters may be floats. */
  private static final Set<String> IN_TYPE = Set.of(Results.OUTPUT, Results.GRADIENT_INPUT);

  private Agreement() {}

  /**
   * NativeNorm's contract, forward and backward: in 16 bits what PyTorch's tests allow, relative to
   * a result and, together, {@link #ABSOLUTE}. Rivals beyond twice as much are marked.
   */
  public static double allowed(DataType type) {
    return switch (type) {
      case F32 -> 1e-5;
      case BF16 -> 1.6e-2;
      case F16 -> 1e-3;
      default -> throw new IllegalArgumentException(type + " is not raced");
    };
  }

  /** The error of one call of a contestant. */
  static double error(Contestant contestant, Workload workload, Map<String, double[]> expected) {
    try (Contestant.Session session = contestant.prepare(workload)) {
      session.call();
      return error(workload.cell().type(), expected, session.results());
    }
  }

  /**
   * The error of results; infinite where one is missing, of another length, or not a number, or of
   * more digits than the type has, which its memory then is not of.
   */
  static double error(DataType type, Map<String, double[]> expected, Results results) {
    double largest = 0;
    double scale = ABSOLUTE / allowed(type);
    for (Map.Entry<String, double[]> entry : expected.entrySet()) {
      float[] actual = results.values().get(entry.getKey());
      double error = Double.POSITIVE_INFINITY;
      if (actual != null
          && actual.length == entry.getValue().length
          && (!IN_TYPE.contains(entry.getKey()) || isOf(type, actual))) {
        error =
            entry.getKey().startsWith("gradient")
                ? relativeL2(entry.getValue(), actual)
                : largestMixed(entry.getValue(), actual, scale);
      }
      largest = Math.max(largest, Double.isNaN(error) ? Double.POSITIVE_INFINITY : error);
    }
    return largest;
  }

  private static boolean isOf(DataType type, float[] values) {
    for (float value : values) {
      if (value != Workload.rounded(type, value)) {
        return false;
      }
    }
    return true;
  }

  private static double largestMixed(double[] expected, float[] actual, double scale) {
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(expected[i] - actual[i]) / (scale + Math.abs(expected[i]));
      if (!(error <= largest)) { // also NaN, which stays
        largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
      }
    }
    return largest;
  }

  static double relativeL2(double[] expected, float[] actual) {
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
