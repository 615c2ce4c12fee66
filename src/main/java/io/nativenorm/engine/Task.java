package io.nativenorm.engine;

/** Which of a layer's computations a problem is. */
public enum Task {
  /** Normalizes. */
  INFER,
  /** Normalizes and hands out the statistics. */
  TRAIN,
  /** Gradients of input, weight and bias. */
  BACKWARD
}
