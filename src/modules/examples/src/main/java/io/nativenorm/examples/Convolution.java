package io.nativenorm.examples;

import java.util.Arrays;
import java.util.Random;

/** A convolution of five taps along signals that are padded with zeros. */
final class Convolution {
  private static final int TAPS = 5;
  private static final int LENGTH = Signals.LENGTH;
  private static final int PADDED = LENGTH + TAPS - 1;

  final int inputs;
  final int outputs;
  final Parameter weight;

  /** Null where a normalization behind it has one. */
  final Parameter bias;

  /** A sample with zeros around each channel. */
  private final float[] x;

  private final float[] dy;

  /** Weights at random, of a variance that leaves that of a signal behind ReLU as it is. */
  Convolution(Random random, int inputs, int outputs, boolean hasBias) {
    this.inputs = inputs;
    this.outputs = outputs;
    weight = Parameter.random(random, outputs * inputs * TAPS, Math.sqrt(2.0 / (inputs * TAPS)));
    bias = hasBias ? new Parameter(new float[outputs]) : null;
    x = new float[inputs * PADDED];
    dy = new float[outputs * PADDED];
  }

  private static void pad(float[] from, int sample, int channels, float[] to) {
    for (int c = 0; c < channels; c++) {
      int at = (sample * channels + c) * LENGTH;
      System.arraycopy(from, at, to, c * PADDED + TAPS / 2, LENGTH);
    }
  }

  /** From (samples, inputs, length) to (samples, outputs, length). */
  void forward(float[] from, float[] to, int samples) {
    for (int n = 0; n < samples; n++) {
      pad(from, n, inputs, x);
      for (int o = 0; o < outputs; o++) {
        int at = (n * outputs + o) * LENGTH;
        Arrays.fill(to, at, at + LENGTH, bias == null ? 0 : bias.values[o]);
        for (int i = 0; i < inputs; i++) {
          addTaps(weight.values, (o * inputs + i) * TAPS, 1, x, i * PADDED, to, at);
        }
      }
    }
  }

  /** Adds to the gradients of weight and bias; that of the input is written where it is wanted. */
  void backward(float[] from, float[] dTo, float[] dFrom, int samples) {
    for (int n = 0; n < samples; n++) {
      pad(from, n, inputs, x);
      pad(dTo, n, outputs, dy);
      for (int o = 0; o < outputs; o++) {
        for (int i = 0; i < inputs; i++) {
          addGradients((o * inputs + i) * TAPS, i * PADDED, o * PADDED + TAPS / 2);
        }
        for (int t = 0; bias != null && t < PADDED; t++) {
          bias.gradient[o] += dy[o * PADDED + t];
        }
      }
      for (int i = 0; dFrom != null && i < inputs; i++) {
        int at = (n * inputs + i) * LENGTH;
        Arrays.fill(dFrom, at, at + LENGTH, 0);
        for (int o = 0; o < outputs; o++) {
          int last = (o * inputs + i) * TAPS + TAPS - 1;
          addTaps(weight.values, last, -1, dy, o * PADDED, dFrom, at);
        }
      }
    }
  }

  /** The taps of one channel on another, in one direction or the other. */
  private static void addTaps(
      float[] w, int first, int step, float[] from, int begin, float[] to, int at) {
    float w0 = w[first];
    float w1 = w[first + step];
    float w2 = w[first + 2 * step];
    float w3 = w[first + 3 * step];
    float w4 = w[first + 4 * step];
    for (int t = 0; t < LENGTH; t++) {
      to[at + t] +=
          w0 * from[begin + t]
              + w1 * from[begin + t + 1]
              + w2 * from[begin + t + 2]
              + w3 * from[begin + t + 3]
              + w4 * from[begin + t + 4];
    }
  }

  private void addGradients(int tap, int begin, int at) {
    float sum0 = 0;
    float sum1 = 0;
    float sum2 = 0;
    float sum3 = 0;
    float sum4 = 0;
    for (int t = 0; t < LENGTH; t++) {
      float d = dy[at + t];
      sum0 += d * x[begin + t];
      sum1 += d * x[begin + t + 1];
      sum2 += d * x[begin + t + 2];
      sum3 += d * x[begin + t + 3];
      sum4 += d * x[begin + t + 4];
    }
    weight.gradient[tap] += sum0;
    weight.gradient[tap + 1] += sum1;
    weight.gradient[tap + 2] += sum2;
    weight.gradient[tap + 3] += sum3;
    weight.gradient[tap + 4] += sum4;
  }
}
