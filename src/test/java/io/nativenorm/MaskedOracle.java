package io.nativenorm;

/**
 * What masked layers must compute, in double, from the batch of what counts alone: its statistics
 * are those of a list of values, and gradients are by the definition. Shares nothing with the
 * engines. Arrays are in logical order: sample, channel, position.
 */
final class MaskedOracle {
  final int n;
  final int c;
  final int s;

  /** 0 for batch normalization. */
  final int groups;

  private final boolean[][] counts;
  private final float[] weight;
  private final float[] bias;
  private final boolean relu;
  private final double eps;

  /** Of each unit. */
  final double[] mean;

  final double[] variance;
  final long[] values;

  MaskedOracle(
      int n,
      int c,
      int s,
      int groups,
      boolean[][] counts,
      float[] weight,
      float[] bias,
      boolean relu,
      double eps) {
    this.n = n;
    this.c = c;
    this.s = s;
    this.groups = groups;
    this.counts = counts;
    this.weight = weight;
    this.bias = bias;
    this.relu = relu;
    this.eps = eps;
    int units = groups == 0 ? c : n * groups;
    mean = new double[units];
    variance = new double[units];
    values = new long[units];
  }

  private int unit(int sample, int channel) {
    return groups == 0 ? channel : sample * groups + channel / (c / groups);
  }

  /** What is done at each element. */
  private interface Body {
    void accept(int element, int unit, int channel, boolean counts);
  }

  private void forAll(Body body) {
    for (int e = 0; e < n * c * s; e++) {
      int sample = e / (c * s);
      int channel = e / s % c;
      body.accept(e, unit(sample, channel), channel, counts[sample][e % s]);
    }
  }

  /** The statistics of the values that count, and y without the activation. */
  private double[] normalized(double[] x) {
    double[] sums = new double[mean.length];
    double[] squares = new double[mean.length];
    java.util.Arrays.fill(values, 0);
    forAll(
        (e, unit, channel, is) -> {
          if (is) {
            sums[unit] += x[e];
            values[unit]++;
          }
        });
    for (int unit = 0; unit < mean.length; unit++) {
      mean[unit] = values[unit] == 0 ? 0 : sums[unit] / values[unit];
    }
    forAll(
        (e, unit, channel, is) -> {
          if (is) {
            squares[unit] += Math.pow(x[e] - mean[unit], 2);
          }
        });
    double[] y = new double[x.length];
    for (int unit = 0; unit < mean.length; unit++) {
      variance[unit] = values[unit] == 0 ? 0 : squares[unit] / values[unit];
    }
    forAll((e, unit, channel, is) -> y[e] = xhat(x, e, unit) * weight(channel) + bias(channel));
    return y;
  }

  private double xhat(double[] x, int e, int unit) {
    return values[unit] == 0 ? 0 : (x[e] - mean[unit]) / Math.sqrt(variance[unit] + eps);
  }

  private double weight(int channel) {
    return weight == null ? 1 : weight[channel];
  }

  private double bias(int channel) {
    return bias == null ? 0 : bias[channel];
  }

  double[] forward(double[] x) {
    double[] y = normalized(x);
    for (int e = 0; relu && e < y.length; e++) {
      y[e] = y[e] < 0 ? 0 : y[e];
    }
    return y;
  }

  /** Where a ReLU is decided by less than rounding. */
  boolean[] undecided(double[] x) {
    double[] y = normalized(x);
    boolean[] near = new boolean[y.length];
    for (int e = 0; e < y.length; e++) {
      near[e] = relu && Math.abs(y[e]) < 1e-4;
    }
    return near;
  }

  /** What the terms of each gradient add up to without their signs: errors are in proportion. */
  double[][] sizes(double[] x, double[] dy) {
    double[] y = normalized(x);
    double[] dx = new double[x.length];
    double[] dWeight = new double[c];
    double[] dBias = new double[c];
    double[] sumG = new double[mean.length];
    double[] sumGx = new double[mean.length];
    forAll(
        (e, unit, channel, is) -> {
          double seen = relu && y[e] <= 0 ? 0 : Math.abs(dy[e]);
          if (seen != 0) {
            double g = seen * Math.abs(weight(channel));
            double distance = Math.abs(xhat(x, e, unit));
            dBias[channel] += seen;
            dWeight[channel] += seen * distance;
            sumG[unit] += g;
            sumGx[unit] += g * distance;
            dx[e] = g;
          }
        });
    forAll(
        (e, unit, channel, is) -> {
          if (is) {
            double distance = 0.1 + Math.abs(xhat(x, e, unit)); // where x is the mean: its rounding
            dx[e] += (sumG[unit] + distance * sumGx[unit]) / values[unit];
          }
          dx[e] /= Math.sqrt(variance[unit] + eps);
        });
    return new double[][] {dx, dWeight, dBias};
  }

  /** By input, weight and bias; x may be anything in the padding where dy is 0. */
  double[][] backward(double[] x, double[] dy) {
    double[] y = normalized(x);
    double[] dWeight = new double[c];
    double[] dBias = new double[c];
    double[] sumG = new double[mean.length];
    double[] sumGx = new double[mean.length];
    double[] g = new double[x.length];
    forAll(
        (e, unit, channel, is) -> {
          double seen = relu && y[e] <= 0 ? 0 : dy[e];
          g[e] = seen * weight(channel);
          if (seen != 0 || is) {
            dBias[channel] += seen;
            dWeight[channel] += seen * xhat(x, e, unit);
            sumG[unit] += g[e];
            sumGx[unit] += g[e] * xhat(x, e, unit);
          }
        });
    double[] dx = new double[x.length];
    forAll(
        (e, unit, channel, is) -> {
          double rest = g[e];
          if (is) {
            rest -= (sumG[unit] + xhat(x, e, unit) * sumGx[unit]) / values[unit];
          }
          dx[e] = values[unit] == 0 ? 0 : rest / Math.sqrt(variance[unit] + eps);
        });
    return new double[][] {dx, dWeight, dBias};
  }
}
