package io.nativenorm.examples;

import io.nativenorm.BatchNorm;
import io.nativenorm.NormLayer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;

/**
 * Four convolutions, each with a normalization and ReLU behind it, the average over time, and a
 * score for each shape.
 */
final class Network implements AutoCloseable {
  private static final int BLOCKS = 6;
  private static final int CHANNELS = 16;
  private static final int LENGTH = Signals.LENGTH;
  private static final int SHAPES = Signals.SHAPES;

  private final List<Block> blocks = new ArrayList<>();
  private final Parameter weight;
  private final Parameter bias = new Parameter(new float[SHAPES]);

  /**
   * A new network.
   *
   * @param norm makes a normalization with ReLU for so many channels; null for ReLU alone
   */
  Network(long seed, IntFunction<NormLayer> norm) {
    Random random = new Random(seed);
    for (int i = 0; i < BLOCKS; i++) {
      NormLayer made = norm == null ? null : norm.apply(CHANNELS);
      int inputs = i == 0 ? 1 : CHANNELS;
      blocks.add(new Block(new Convolution(random, inputs, CHANNELS, made == null), made));
    }
    weight = Parameter.random(random, SHAPES * CHANNELS, Math.sqrt(1.0 / CHANNELS));
  }

  /** Adds to all gradients those of the losses of some signals of a batch; returns their sum. */
  double learn(Signals signals, int batch) {
    int samples = signals.count();
    float[] y = signals.values();
    for (Block block : blocks) {
      y = block.forward(y, samples);
    }
    float[] features = averages(y);
    float[] scores = scores(features, samples);
    double loss = 0;
    float[] dFeatures = new float[features.length];
    for (int n = 0; n < samples; n++) {
      int label = signals.labels()[n];
      double[] p = softmax(scores, n);
      loss -= StrictMath.log(Math.max(p[label], Float.MIN_NORMAL));
      for (int k = 0; k < SHAPES; k++) {
        float d = (float) ((p[k] - (k == label ? 1 : 0)) / batch);
        bias.gradient[k] += d;
        for (int c = 0; c < CHANNELS; c++) {
          weight.gradient[k * CHANNELS + c] += d * features[n * CHANNELS + c];
          dFeatures[n * CHANNELS + c] += d * weight.values[k * CHANNELS + c];
        }
      }
    }
    float[] dy = new float[y.length];
    for (int i = 0; i < dy.length; i++) {
      dy[i] = dFeatures[i / LENGTH] / LENGTH;
    }
    for (int i = BLOCKS - 1; i >= 0; i--) {
      dy = blocks.get(i).backward(dy, samples, i > 0);
    }
    return loss;
  }

  private static float[] averages(float[] y) {
    float[] averages = new float[y.length / LENGTH];
    for (int i = 0; i < averages.length; i++) {
      float sum = 0;
      for (int t = 0; t < LENGTH; t++) {
        sum += y[i * LENGTH + t];
      }
      averages[i] = sum / LENGTH;
    }
    return averages;
  }

  private float[] scores(float[] features, int samples) {
    float[] scores = new float[samples * SHAPES];
    for (int n = 0; n < samples; n++) {
      for (int k = 0; k < SHAPES; k++) {
        float sum = bias.values[k];
        for (int c = 0; c < CHANNELS; c++) {
          sum += weight.values[k * CHANNELS + c] * features[n * CHANNELS + c];
        }
        scores[n * SHAPES + k] = sum;
      }
    }
    return scores;
  }

  private static double[] softmax(float[] scores, int sample) {
    double[] p = new double[SHAPES];
    double most = Double.NEGATIVE_INFINITY;
    for (int k = 0; k < SHAPES; k++) {
      most = Math.max(most, scores[sample * SHAPES + k]);
    }
    double sum = 0;
    for (int k = 0; k < SHAPES; k++) {
      p[k] = StrictMath.exp(scores[sample * SHAPES + k] - most);
      sum += p[k];
    }
    for (int k = 0; k < SHAPES; k++) {
      p[k] /= sum;
    }
    return p;
  }

  /** All that is learned, in one order. */
  List<Parameter> parameters() {
    List<Parameter> all = new ArrayList<>();
    blocks.forEach(block -> block.addParameters(all));
    all.add(weight);
    all.add(bias);
    return all;
  }

  /** A step down the gradients, which are 0 then. */
  void step(float rate) {
    parameters().forEach(parameter -> parameter.step(rate));
    blocks.forEach(Block::writeParameters);
  }

  /** The scores of signals, by inference. */
  float[] infer(float[] signals) {
    int samples = signals.length / LENGTH;
    float[] y = signals;
    for (Block block : blocks) {
      y = block.infer(y, samples);
    }
    return scores(averages(y), samples);
  }

  /** The share of signals whose shape is told. */
  double accuracy(Signals signals) {
    int samples = signals.count();
    float[] scores = infer(signals.values());
    int right = 0;
    for (int n = 0; n < samples; n++) {
      int best = 0;
      for (int k = 1; k < SHAPES; k++) {
        best = scores[n * SHAPES + k] > scores[n * SHAPES + best] ? k : best;
      }
      right += best == signals.labels()[n] ? 1 : 0;
    }
    return (double) right / samples;
  }

  /** Becomes what another network is, which has learned. */
  void copyFrom(Network other) {
    List<Parameter> theirs = other.parameters();
    List<Parameter> own = parameters();
    for (int i = 0; i < own.size(); i++) {
      own.get(i).copyFrom(theirs.get(i));
    }
    for (int i = 0; i < BLOCKS; i++) {
      blocks.get(i).norm.load(other.blocks.get(i).norm.state());
    }
  }

  /** Freezes the running statistics of all batch normalizations, or thaws them. */
  void freeze(boolean frozen) {
    for (Block block : blocks) {
      if (frozen) {
        ((BatchNorm) block.norm).freeze();
      } else {
        ((BatchNorm) block.norm).thaw();
      }
      block.endPass(); // which is of the statistics of before
    }
  }

  @Override
  public void close() {
    blocks.forEach(Block::close);
  }
}
