package io.nativenorm.engine;

/** Which of a layer's three computations a problem is. */
public enum Direction {
  /** Normalizes. */
  INFERENCE,
  /** Normalizes and hands out the statistics. */
  TRAINING,
  /** Gradients of input, weight and bias. */
  BACKWARD
}
