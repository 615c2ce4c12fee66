package io.nativenorm;

/**
 * What the layers must compute, in double and in two passes over plain loops. Shares nothing with
 * the engines: every element is told its unit and its channel one by one.
 *
 * <p>Arrays are in logical order: sample, channel, position; for rows, row by row.
 */
final class Oracle {
  /** What is normalized together. */
  enum Kind {
    BATCH,
    LAYER,
    RMS,
    GROUP
  }

  final Kind kind;
  final int n;
  final int c;
  final int s;
  final int groups;
  final double eps;
  final float[] weight;
  final float[] bias;
  final boolean relu;

  /** Of each element; a division for each in every loop had taken half of the time. */
  private final int[] channels;

  private final int[] unitsOf;

  /** Of each unit; given, or computed by forward. */
  double[] mean;

  double[] variance;
  private boolean given;

  /** How many samples of a batch share a mean. */
  private int together;

  Oracle(
      Kind kind,
      int n,
      int c,
      int s,
      int groups,
      double eps,
      float[] weight,
      float[] bias,
      boolean relu) {
    this.kind = kind;
    this.n = n;
    this.c = c;
    this.s = s;
    this.groups = groups;
    this.eps = eps;
    this.weight = weight;
    this.bias = bias;
    this.relu = relu;
    together = Math.max(1, n);
    channels = new int[size()];
    unitsOf = new int[size()];
    for (int e = 0; e < size(); e++) {
      channels[e] = e / s % c;
      unitsOf[e] = findUnit(e);
    }
  }

  /** Lets only so many samples of a batch share a mean; the last ones may be fewer. */
  Oracle ghosts(int samples) {
    together = samples;
    for (int e = 0; e < size(); e++) {
      unitsOf[e] = findUnit(e);
    }
    return this;
  }

  /** Uses running statistics of each channel instead of computing them. */
  Oracle given(float[] runningMean, float[] runningVariance) {
    given = true;
    mean = new double[c];
    variance = new double[c];
    for (int i = 0; i < c; i++) {
      mean[i] = runningMean[i];
      variance[i] = runningVariance[i];
    }
    return this;
  }

  /** Whether mean and variance are not the values' own. */
  boolean isGiven() {
    return given;
  }

  private int size() {
    return n * c * s;
  }

  int channelOf(int element) {
    return channels[element];
  }

  int unitOf(int element) {
    return unitsOf[element];
  }

  private int findUnit(int element) {
    int sample = element / (s * c);
    return switch (kind) {
      case BATCH -> sample / together * c + channelOf(element);
      case LAYER, RMS -> sample;
      case GROUP -> sample * groups + channelOf(element) / (c / groups);
    };
  }

  int unitCount() {
    return switch (kind) {
      case BATCH -> (n + together - 1) / together * c;
      case LAYER, RMS -> n;
      case GROUP -> n * groups;
    };
  }

  private double[] averages(double[] values) {
    double[] sums = new double[unitCount()];
    long[] counts = new long[unitCount()];
    for (int e = 0; e < size(); e++) {
      sums[unitOf(e)] += values[e];
      counts[unitOf(e)]++;
    }
    for (int g = 0; g < sums.length; g++) {
      sums[g] /= counts[g];
    }
    return sums;
  }

  double[] xhat(double[] x) {
    if (!given) {
      mean = kind == Kind.RMS ? new double[unitCount()] : averages(x);
      double[] squares = new double[size()];
      for (int e = 0; e < size(); e++) {
        squares[e] = Math.pow(x[e] - mean[unitOf(e)], 2);
      }
      variance = averages(squares);
    }
    double[] xhat = new double[size()];
    for (int e = 0; e < size(); e++) {
      double distance = x[e] - mean[unitOf(e)];
      xhat[e] = distance == 0 ? 0 : distance / deviation(unitOf(e));
    }
    return xhat;
  }

  /**
   * What a unit is divided by. It is infinite, so that the unit becomes 0, where the variance is
   * beyond the largest float, and where there is neither spread nor an eps whose root's inverse is
   * a float.
   */
  double deviation(int unit) {
    double deviation = Math.sqrt(variance[unit] + eps);
    boolean none = !given && variance[unit] == 0 && deviation < 1 / (double) Float.MAX_VALUE;
    return none || variance[unit] > Float.MAX_VALUE ? Double.POSITIVE_INFINITY : deviation;
  }

  private double weightOf(int element) {
    return weight == null ? 1 : weight[channelOf(element)];
  }

  private double beforeActivation(double[] xhat, int element) {
    double shift = bias == null ? 0 : bias[channelOf(element)];
    return xhat[element] * weightOf(element) + shift;
  }

  double[] forward(double[] x) {
    double[] xhat = xhat(x);
    double[] y = new double[size()];
    for (int e = 0; e < size(); e++) {
      double value = beforeActivation(xhat, e);
      y[e] = relu && value < 0 ? 0 : value;
    }
    return y;
  }

  /** How many values a unit has, the one that has the fewest. */
  int valuesPerUnit() {
    return kind == Kind.BATCH && n % together > 0 ? n % together * s : size() / unitCount();
  }

  /** Whether a ReLU's gradient is decided by less than rounding: the value before it is near 0. */
  boolean[] undecided(double[] x) {
    double[] xhat = xhat(x);
    boolean[] near = new boolean[size()];
    for (int e = 0; e < size(); e++) {
      near[e] = relu && Math.abs(beforeActivation(xhat, e)) < 1e-4;
    }
    return near;
  }

  /** Gradients of sum(y * dy): by input, weight and bias. */
  double[][] backward(double[] x, double[] dy) {
    double[] xhat = xhat(x);
    double[] dWeight = new double[c];
    double[] dBias = new double[c];
    double[] g = new double[size()];
    double[] gXhat = new double[size()];
    for (int e = 0; e < size(); e++) {
      double seen = relu && beforeActivation(xhat, e) <= 0 ? 0 : dy[e];
      dWeight[channelOf(e)] += seen * xhat[e];
      dBias[channelOf(e)] += seen;
      g[e] = seen * weightOf(e);
      gXhat[e] = g[e] * xhat[e];
    }
    double[] averageG = averages(g);
    double[] averageGXhat = averages(gXhat);
    double[] dx = new double[size()];
    for (int e = 0; e < size(); e++) {
      int unit = unitOf(e);
      double throughMean = given || kind == Kind.RMS ? 0 : averageG[unit];
      double throughVariance = given ? 0 : xhat[e] * averageGXhat[unit];
      double rest = g[e] - throughMean - throughVariance;
      dx[e] = rest == 0 ? 0 : rest / deviation(unit);
    }
    return new double[][] {dx, dWeight, dBias};
  }
}
