package io.nativenorm.libraries;

/** Holds what a library computed against what is exact. */
final class Answers {
  /** As the benchmarks allow: of some libraries the sums are in float, and eps is another. */
  private static final double TOLERANCE = 2e-5;

  private Answers() {}

  /** Throws if an output is not what is expected. */
  static void requireRight(String who, float[] y, float[] expected) {
    if (y.length != expected.length) {
      throw new IllegalStateException(who + ": " + y.length + " elements");
    }
    for (int i = 0; i < y.length; i++) {
      if (!(Math.abs(y[i] - expected[i]) <= TOLERANCE * (1 + Math.abs(expected[i])))) {
        throw new IllegalStateException(
            who + ": expected " + expected[i] + " at " + i + ", but got " + y[i]);
      }
    }
  }
}
