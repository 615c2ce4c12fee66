package io.nativenorm.engine;

/** Where mean and variance come from. */
public enum StatisticsSource {
  /** From the input itself. Their gradients are part of the input's gradient. */
  COMPUTED,
  /** From the caller: running statistics, constants to the gradient. */
  GIVEN
}
