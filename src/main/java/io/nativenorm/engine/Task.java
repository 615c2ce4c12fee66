package io.nativenorm.engine;

/**
 * Which of a layer's computations a problem is. The phases are the halves of {@link #TRAIN} and
 * {@link #BACKWARD} of {@link Operation#BATCH}, for statistics that are merged with those of other
 * workers between one half and the other.
 */
public enum Task {
  /** Normalizes. */
  INFER,
  /** Normalizes and hands out the statistics. */
  TRAIN,
  /** Gradients of input, weight and bias. */
  BACKWARD,
  /** Phase: each channel's mean and sum of squared distances from it. */
  MEASURE,
  /** Phase: normalizes with merged statistics. */
  APPLY,
  /** Phase: each channel's sums of the gradient, and of the gradient times the distance. */
  SUM_GRADIENTS,
  /** Phase: the gradient of the input, from merged sums. */
  APPLY_GRADIENTS;

  /**
   * Whether this is a half of a task.
   *
   * @return true from {@link #MEASURE} on
   */
  public boolean isPhase() {
    return compareTo(MEASURE) >= 0;
  }
}
