package io.nativenorm.examples;

import java.util.Arrays;
import java.util.Random;

/** Numbers that are learned by gradient descent with momentum. */
final class Parameter {
  private static final float MOMENTUM = 0.9f;

  final float[] values;
  final float[] gradient;
  private final float[] velocity;

  Parameter(float[] values) {
    this.values = values;
    gradient = new float[values.length];
    velocity = new float[values.length];
  }

  static Parameter random(Random random, int count, double deviation) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (deviation * random.nextGaussian());
    }
    return new Parameter(values);
  }

  /** A step down the gradient, which is 0 then. */
  void step(float rate) {
    for (int i = 0; i < values.length; i++) {
      velocity[i] = MOMENTUM * velocity[i] + gradient[i];
      values[i] -= rate * velocity[i];
    }
    Arrays.fill(gradient, 0);
  }

  void copyFrom(Parameter other) {
    System.arraycopy(other.values, 0, values, 0, values.length);
  }
}
