package io.nativenorm.engine;

/** The role of one operand. Gradients of a loss have a {@code DIFF_} before what they are of. */
public enum Slot {
  /** Input. */
  SRC,
  /** Output; backward reads it where the problem has an activation. */
  DST,
  /** Scale of each channel. */
  WEIGHT,
  /** Shift of each channel. */
  BIAS,
  /**
   * Read where statistics are given and in backward, written in training; of a phase in doubles,
   * written by {@link Task#MEASURE}.
   */
  MEAN,
  /**
   * Likewise; for RMS the mean square. {@link Task#MEASURE} writes the sum of squared distances
   * from the mean.
   */
  VARIANCE,
  /** Gradient of the output. */
  DIFF_DST,
  /** Gradient of the input; may be the same memory as that of the output. */
  DIFF_SRC,
  /** Gradient of the weight. */
  DIFF_WEIGHT,
  /** Gradient of the bias. */
  DIFF_BIAS,
  /** Of a phase, in doubles: each channel's sum of the output's gradient. */
  SUM_DY,
  /** Likewise, of the gradient times the input's distance from the mean. */
  SUM_DY_CENTERED,
  /** Of a masked norm: a byte for each position of each sample, which counts if it is not 0. */
  MASK
}
