package io.nativenorm.engine.reference;

import io.nativenorm.engine.FloatView;
import java.util.Arrays;

/**
 * A weight or bias for each element of a row, as far as it is asked for. What is not there is a
 * number that changes nothing: weights are 1, biases -0.
 */
final class RowParameters {
  static final float NO_WEIGHT = 1;
  static final float NO_BIAS = -0f;

  private final FloatView view;
  private final float[] values;
  private long loaded = -1;

  RowParameters(FloatView view, int most, float absent) {
    this.view = view;
    values = new float[most];
    if (view == null) {
      Arrays.fill(values, absent);
    }
  }

  /** Those from some place on; the same place is always asked for as many. */
  float[] at(long start, int count) {
    if (view != null && start != loaded) {
      view.read(start, values, 0, count);
      loaded = start;
    }
    return values;
  }
}
