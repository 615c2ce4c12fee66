package io.nativenorm.bench;

/** What a call computes. */
public enum Direction {
  /** The output; BatchNorm's from its running statistics. */
  INFERENCE,
  /**
   * The output and what backward needs; BatchNorm's from the batch, with its running statistics.
   */
  TRAINING,
  /** The gradients of input, weight and bias, after a training pass that is not timed. */
  BACKWARD
}
