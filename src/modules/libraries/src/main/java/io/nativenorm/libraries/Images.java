package io.nativenorm.libraries;

import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.GroupNorm;
import io.nativenorm.InstanceNorm;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import java.util.Random;

/**
 * Images to be normalized, channels first, and what normalizations make of them, computed in
 * double.
 */
record Images(
    int batch,
    int channels,
    int height,
    int width,
    float[] x,
    float[] weight,
    float[] bias,
    float[] mean,
    float[] variance) {
  static final double EPS = 1e-5;

  static Images of(int batch, int channels, int height, int width) {
    Random random = new Random(channels);
    float[] x = Rows.floats(random, batch * channels * height * width, 1);
    float[] weight = Rows.floats(random, channels, 1);
    float[] bias = Rows.floats(random, channels, 0);
    float[] mean = Rows.floats(random, channels, 1);
    float[] variance = Rows.floats(random, channels, 0);
    for (int c = 0; c < channels; c++) {
      variance[c] = 0.5f + variance[c] * variance[c];
    }
    return new Images(batch, channels, height, width, x, weight, bias, mean, variance);
  }

  long[] shape() {
    return new long[] {batch, channels, height, width};
  }

  private int spatial() {
    return height * width;
  }

  /** The elements of an order, of those in channels-first order. */
  float[] in(Layout layout, float[] values) {
    if (layout == Layout.CHANNELS_FIRST) {
      return values;
    }
    float[] last = new float[values.length];
    for (int n = 0; n < batch; n++) {
      for (int c = 0; c < channels; c++) {
        for (int s = 0; s < spatial(); s++) {
          last[(n * spatial() + s) * channels + c] = values[(n * channels + c) * spatial() + s];
        }
      }
    }
    return last;
  }

  /** A tensor of ours, to be closed by the caller. */
  Tensor tensor(Layout layout) {
    Tensor tensor = Tensor.allocate(DataType.F32, layout, shape());
    tensor.copyFrom(in(layout, x));
    return tensor;
  }

  BatchNorm batchNorm() {
    BatchNorm norm = BatchNorm.builder(channels).eps(EPS).build();
    norm.weight().copyFrom(weight);
    norm.bias().copyFrom(bias);
    norm.runningMean().copyFrom(mean);
    norm.runningVar().copyFrom(variance);
    return norm;
  }

  GroupNorm groupNorm(int groups) {
    GroupNorm norm = GroupNorm.builder(groups, channels).eps(EPS).build();
    norm.weight().copyFrom(weight);
    norm.bias().copyFrom(bias);
    return norm;
  }

  /** Without weight, bias and eps. */
  InstanceNorm instanceNorm() {
    return InstanceNorm.builder(channels).affine(false).eps(0).build();
  }

  /** Of the running statistics. */
  float[] batchNormalized() {
    float[] y = new float[x.length];
    for (int i = 0; i < y.length; i++) {
      int c = i / spatial() % channels;
      y[i] =
          (float) ((x[i] - mean[c]) / Math.sqrt(variance[c] + EPS) * (double) weight[c] + bias[c]);
    }
    return y;
  }

  float[] groupNormalized(int groups) {
    float[] y = normalized(channels / groups * spatial(), EPS);
    for (int i = 0; i < y.length; i++) {
      int c = i / spatial() % channels;
      y[i] = (float) ((double) y[i] * weight[c] + bias[c]);
    }
    return y;
  }

  float[] instanceNormalized() {
    return normalized(spatial(), 0);
  }

  private float[] normalized(int length, double eps) {
    float[] y = new float[x.length];
    for (int from = 0; from < x.length; from += length) {
      double sum = 0;
      for (int i = from; i < from + length; i++) {
        sum += x[i];
      }
      double squares = 0;
      for (int i = from; i < from + length; i++) {
        squares += (x[i] - sum / length) * (x[i] - sum / length);
      }
      for (int i = from; i < from + length; i++) {
        y[i] = (float) ((x[i] - sum / length) / Math.sqrt(squares / length + eps));
      }
    }
    return y;
  }
}
