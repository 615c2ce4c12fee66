package io.nativenorm;

import java.util.Arrays;
import java.util.Map;

/**
 * Results of random calls against the oracle, within the numerical contract: forward 1e-5 of the
 * terms that are added, where a unit's mean is at most ten standard deviations from 0; gradients
 * 1e-5 in the L2 norm; in 16 bits a rounding more. What a unit with a NaN, or with another one's,
 * has no bound for, its neighbours have.
 */
final class CallNumbers {
  private static final double BOUND = 1e-5;

  /** Fewer values are ill-conditioned backwards: a unit of two has a gradient of rounding. */
  private static final int FEW = 8;

  /** Below it a gradient has not all digits of a float. */
  private static final double SMALLEST = 1e-30;

  /** Above it a sum of gradients may be beyond floats. */
  private static final double LARGEST = 1e30;

  private CallNumbers() {}

  static float[] valuesOf(Tensor parameter) {
    return parameter == null ? null : parameter.toArray();
  }

  /** What inference with running statistics uses, or null without. */
  static float[][] runningOf(NormLayer layer) {
    Map<String, Tensor> state = layer.state();
    return state.containsKey("running_mean")
        ? new float[][] {state.get("running_mean").toArray(), state.get("running_var").toArray()}
        : null;
  }

  /** What rounding to a type may add to the error of a number; infinite beyond what it has. */
  private static double rounding(DataType type, double number) {
    return switch (type) {
      case BF16 -> Math.abs(number) * 0x1p-8;
      case F16 ->
          Math.abs(number) > 65000
              ? Double.POSITIVE_INFINITY
              : Math.abs(number) * 0x1p-11 + 0x1p-24;
      default -> 0;
    };
  }

  /** The forward result of an input, both in the shape's order, as it was stored in a type. */
  static void checkForward(LayerSpec spec, Oracle oracle, float[] x, float[] y, DataType type) {
    double[] expected = oracle.forward(TestData.widen(x));
    boolean[] constant = constantUnits(oracle, x);
    for (int e = 0; e < y.length; e++) {
      int unit = oracle.unitOf(e);
      double shift = oracle.bias == null ? 0 : oracle.bias[oracle.channelOf(e)];
      double wanted = constant[unit] ? (oracle.relu ? Math.max(shift, 0) : shift) : expected[e];
      double weight = oracle.weight == null ? 1 : Math.abs(oracle.weight[oracle.channelOf(e)]);
      double scale = 1 + weight + 2 * Math.abs(wanted) + Math.abs(shift);
      boolean bounded = constant[unit] ? scale < 1e30 : isBounded(oracle, unit) && scale < 1e30;
      double error = Math.abs(wanted - y[e]);
      double rounded = rounding(type, Math.abs(wanted) + BOUND * scale);
      if (bounded && !(error <= BOUND * scale + rounded) && Double.isFinite(rounded)) {
        throw new AssertionError(
            "expected " + wanted + ", but got " + y[e] + " at " + e + " of " + spec);
      }
    }
  }

  /** Units whose values are all the same, which the oracle's mean may miss by a rounding. */
  private static boolean[] constantUnits(Oracle oracle, float[] x) {
    boolean[] constant = new boolean[oracle.unitCount()];
    if (oracle.isGiven() || oracle.kind == Oracle.Kind.RMS) {
      return constant;
    }
    float[] first = new float[constant.length];
    Arrays.fill(first, Float.NaN);
    Arrays.fill(constant, true);
    for (int e = 0; e < x.length; e++) {
      int unit = oracle.unitOf(e);
      first[unit] = Float.isNaN(first[unit]) ? x[e] : first[unit];
      constant[unit] &= Float.isFinite(x[e]) && first[unit] == x[e];
    }
    return constant;
  }

  /** Whether the contract has a bound for a unit of these statistics. */
  private static boolean isBounded(Oracle oracle, int unit) {
    double std = Math.sqrt(oracle.variance[unit]);
    return std < 1e17
        && Math.abs(oracle.mean[unit]) < 1e17
        && (oracle.isGiven() || Math.abs(oracle.mean[unit]) <= 10 * std);
  }

  /** The gradients of a pass, all in the shape's order. */
  static void checkBackward(
      LayerSpec spec, Oracle oracle, float[] x, float[] dy, Gradients actual) {
    double[] wide = TestData.widen(x);
    double[][] expected = oracle.backward(wide, TestData.widen(dy));
    boolean[] constant = constantUnits(oracle, x);
    boolean[] undecided = oracle.undecided(wide);
    for (int e = 0; e < x.length; e++) {
      boolean ordinary =
          Float.isFinite(x[e])
              && isBounded(oracle, oracle.unitOf(e))
              && !constant[oracle.unitOf(e)]
              && oracle.valuesPerUnit() >= FEW
              && !undecided[e];
      if (!ordinary || Double.isNaN(expected[0][e]) || Math.abs(expected[0][e]) > 1e30) {
        return; // sums over units have no bound then, and what is bounded alone is tested elsewhere
      }
    }
    double roundings = 0;
    for (double gradient : expected[0]) {
      double rounding = rounding(actual.input().dataType(), gradient);
      roundings += rounding * rounding;
    }
    if (Double.isFinite(roundings)) {
      requireClose(
          spec + " dx",
          expected[0],
          CallSubjects.inOrder(actual.input()),
          terms(oracle, dy),
          Math.sqrt(roundings));
    }
    double count = Math.sqrt(x.length);
    if (actual.weight() != null) {
      requireClose(spec + " dweight", expected[1], actual.weight().toArray(), count, 0);
    }
    if (actual.bias() != null) {
      requireClose(spec + " dbias", expected[2], actual.bias().toArray(), count, 0);
    }
  }

  /** The norm of what dx is a difference of: dy * weight / std. */
  private static double terms(Oracle oracle, float[] dy) {
    double squares = 0;
    for (int e = 0; e < dy.length; e++) {
      double weight = oracle.weight == null ? 1 : oracle.weight[oracle.channelOf(e)];
      double std = Math.sqrt(oracle.variance[oracle.unitOf(e)] + oracle.eps);
      squares += Math.pow(dy[e] * weight / std, 2);
    }
    return Math.sqrt(squares);
  }

  private static void requireClose(
      String what, double[] expected, float[] actual, double least, double rounding) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += Math.pow(expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    double scale = Math.max(Math.sqrt(norm), least);
    double relative = (Math.sqrt(error) - rounding) / scale;
    if (scale > SMALLEST && scale < LARGEST && !(relative <= BOUND)) {
      throw new AssertionError(what + ": relative error " + relative);
    }
  }
}
