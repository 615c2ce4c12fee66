package io.nativenorm.examples;

import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import java.util.List;

/** A convolution, a normalization with ReLU or ReLU alone, and the arrays of a training step. */
final class Block {
  private final Convolution convolution;

  /** Null for ReLU alone. */
  final NormLayer norm;

  /** What the normalization learns; null without one. */
  private final Parameter weight;

  private final Parameter bias;

  /** Of the last step: the input, and what the convolution and the whole block made of it. */
  private float[] x;

  private float[] z = {};
  private float[] y = {};
  private float[] dz = {};
  private float[] dx = {};

  /** Of as many samples as the last step had; null before the first. */
  private Pass pass;

  Block(Convolution convolution, NormLayer norm) {
    this.convolution = convolution;
    this.norm = norm;
    weight = norm == null ? null : new Parameter(norm.weight().toArray());
    bias = norm == null ? null : new Parameter(norm.bias().toArray());
  }

  private static long[] shape(int samples, int channels) {
    return new long[] {samples, channels, Signals.LENGTH};
  }

  float[] infer(float[] input, int samples) {
    float[] output = new float[samples * convolution.outputs * Signals.LENGTH];
    convolution.forward(input, output, samples);
    if (norm == null) {
      relu(output, output);
    } else {
      norm.forward(output, output, shape(samples, convolution.outputs));
    }
    return output;
  }

  private static void relu(float[] from, float[] to) {
    for (int i = 0; i < from.length; i++) {
      to[i] = Math.max(from[i], 0);
    }
  }

  float[] forward(float[] input, int samples) {
    x = input;
    fit(samples);
    convolution.forward(x, z, samples);
    if (norm == null) {
      relu(z, y);
    } else if (pass == null) {
      pass = norm.forwardTraining(z, y, shape(samples, convolution.outputs));
    } else {
      pass.forward(z, y);
    }
    return y;
  }

  private void fit(int samples) {
    int size = samples * convolution.outputs * Signals.LENGTH;
    if (z.length != size) {
      endPass();
      z = new float[size];
      y = new float[size];
      dz = new float[size];
      dx = new float[samples * convolution.inputs * Signals.LENGTH];
    }
  }

  /** Adds to the gradients of what is learned; returns that of the input if it is wanted. */
  float[] backward(float[] dy, int samples, boolean wanted) {
    if (norm == null) {
      for (int i = 0; i < dy.length; i++) {
        dz[i] = y[i] > 0 ? dy[i] : 0;
      }
    } else {
      pass.accumulate(dy, dz, weight.gradient, bias.gradient);
    }
    convolution.backward(x, dz, wanted ? dx : null, samples);
    return dx;
  }

  void addParameters(List<Parameter> to) {
    to.add(convolution.weight);
    to.add(norm == null ? convolution.bias : bias);
    if (norm != null) {
      to.add(weight);
    }
  }

  /** Gives the normalization what was learned. */
  void writeParameters() {
    if (norm != null) {
      norm.weight().copyFrom(weight.values);
      norm.bias().copyFrom(bias.values);
    }
  }

  void endPass() {
    if (pass != null) {
      pass.close();
      pass = null;
    }
  }

  void close() {
    endPass();
    if (norm != null) {
      norm.close();
    }
  }
}
