package io.nativenorm.engine.reference;

import io.nativenorm.engine.memory.FloatView;
import java.util.Arrays;

/**
 * The weights or biases of a row, read chunk by chunk. If the layer has none they are numbers that
 * change nothing: weights 1, biases -0.
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

  /** Those from one on; from the same one always as many. */
  float[] at(long start, int count) {
    if (view != null && start != loaded) {
      view.read(start, values, 0, count);
      loaded = start;
    }
    return values;
  }
}
