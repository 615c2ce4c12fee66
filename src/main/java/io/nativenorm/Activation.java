package io.nativenorm;

/** What is applied to the normalized values before they are stored. */
public enum Activation {
  /** Nothing. */
  NONE,
  /** {@code max(0, y)}; NaN stays NaN, as in PyTorch. */
  RELU
}
