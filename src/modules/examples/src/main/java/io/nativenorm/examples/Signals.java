package io.nativenorm.examples;

import java.util.Arrays;
import java.util.Random;

/**
 * Waves of five shapes, which a network is to tell apart: of any frequency and phase, some louder
 * than others, on some level, in noise.
 *
 * @param values wave after wave
 * @param labels the shape of each
 */
record Signals(float[] values, int[] labels) {
  static final int LENGTH = 24;
  static final int SHAPES = 5;

  /**
   * What an instrument makes of a wave.
   *
   * @param gain what it is multiplied by, with its noise
   * @param level what is added
   * @param drift what is added in the course of a signal
   */
  record Instrument(double gain, double level, double drift) {}

  private static final double NOISE = 0.3;

  /** Some signals, of all shapes in turn. */
  static Signals of(long seed, int count, Instrument instrument) {
    Random random = new Random(seed);
    float[] values = new float[count * LENGTH];
    int[] labels = new int[count];
    for (int i = 0; i < count; i++) {
      labels[i] = i % SHAPES;
      double periods = 1.5 + 1.5 * random.nextDouble();
      double phase = random.nextDouble();
      double loudness = StrictMath.exp(0.7 * random.nextGaussian());
      double level = instrument.level + 2 * random.nextGaussian();
      for (int t = 0; t < LENGTH; t++) {
        double turn = phase + periods * t / LENGTH;
        double wave = loudness * shape(labels[i], turn - Math.floor(turn));
        double heard = instrument.gain * (wave + NOISE * random.nextGaussian());
        values[i * LENGTH + t] = (float) (heard + level + instrument.drift * t / LENGTH);
      }
    }
    return new Signals(values, labels);
  }

  /** A shape, in the course of a period from 0 to 1. */
  private static double shape(int label, double turn) {
    return switch (label) {
      case 0 -> StrictMath.sin(2 * Math.PI * turn);
      case 1 -> turn < 0.5 ? 1 : -1;
      case 2 -> 2 * turn - 1;
      case 3 -> 1 - 2 * turn;
      default -> turn < 0.25 ? 1.7 : -0.57;
    };
  }

  int count() {
    return labels.length;
  }

  /** Some of them at random, the same again where they are few. */
  Signals draw(Random random, int some) {
    float[] drawn = new float[some * LENGTH];
    int[] shapes = new int[some];
    for (int i = 0; i < some; i++) {
      int which = random.nextInt(count());
      System.arraycopy(values, which * LENGTH, drawn, i * LENGTH, LENGTH);
      shapes[i] = labels[which];
    }
    return new Signals(drawn, shapes);
  }

  /** Those from one on. */
  Signals part(int from, int some) {
    return new Signals(
        Arrays.copyOfRange(values, from * LENGTH, (from + some) * LENGTH),
        Arrays.copyOfRange(labels, from, from + some));
  }
}
