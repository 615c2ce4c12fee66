package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Arrays;

/** An input's extents reduced to those that a {@link io.nativenorm.engine.Problem} has. */
record Shape(Operation operation, long batch, long channels, long spatial, long groups) {

  /** N, C and the product of the rest; 0 for an empty input, where that product may overflow. */
  static Shape ofChannels(Operation operation, long[] shape, long groups) {
    long spatial = Shapes.size(shape) == 0 ? 0 : Shapes.sizeFrom(shape, 2);
    return new Shape(operation, shape[0], shape[1], spatial, groups);
  }

  /** Rows, the product of the leading extents, and the elements of a row, that of the others. */
  static Shape ofRows(Operation operation, long[] shape, int leading) {
    long rows = Shapes.size(Arrays.copyOf(shape, leading));
    return new Shape(operation, rows, Shapes.sizeFrom(shape, leading), 1, 1);
  }

  /** The elements of a unit. */
  long valuesPerUnit() {
    return switch (operation) {
      case BATCH -> batch * spatial;
      case LAYER, RMS -> channels;
      case GROUP -> channels / groups * spatial;
    };
  }
}
