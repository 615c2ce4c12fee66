package io.nativenorm;

import io.nativenorm.engine.Operation;
import java.util.Arrays;

/** An input's shape as a layer sees it. */
record Extents(Operation operation, long batch, long channels, long spatial, long groups) {

  /** N, C and the product of the rest: nothing where all is nothing, however large a part is. */
  static Extents ofChannels(Operation operation, long[] shape, long groups) {
    long spatial = Shapes.size(shape) == 0 ? 0 : Shapes.sizeFrom(shape, 2);
    return new Extents(operation, shape[0], shape[1], spatial, groups);
  }

  /** Rows over the leading dimensions, and the elements of the trailing ones. */
  static Extents ofRows(Operation operation, long[] shape, int leading) {
    long rows = Shapes.size(Arrays.copyOf(shape, leading));
    return new Extents(operation, rows, Shapes.sizeFrom(shape, leading), 1, 1);
  }

  /** How many values each mean and variance is of. */
  long valuesPerStatistic() {
    return switch (operation) {
      case BATCH -> batch * spatial;
      case LAYER, RMS -> channels;
      case GROUP -> channels / groups * spatial;
    };
  }
}
