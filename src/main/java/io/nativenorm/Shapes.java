package io.nativenorm;

import io.nativenorm.engine.Shape;
import java.util.Arrays;

/** Shapes as {@code long[]}: checked, multiplied, reduced, printed. */
final class Shapes {
  private Shapes() {}

  /** The number of elements; throws if an extent is negative or the number is beyond a long. */
  static long size(long... shape) {
    return sizeFrom(shape, 0);
  }

  /** The product of the extents from a position on. */
  static long sizeFrom(long[] shape, int position) {
    boolean empty = false;
    for (int i = position; i < shape.length; i++) {
      if (shape[i] < 0) {
        throw new IllegalArgumentException(
            "a shape's extents must not be negative, but got " + Arrays.toString(shape));
      }
      empty |= shape[i] == 0;
    }
    if (empty) {
      return 0;
    }
    long size = 1;
    try {
      for (int i = position; i < shape.length; i++) {
        size = Math.multiplyExact(size, shape[i]);
      }
      Math.addExact(Math.multiplyExact(size, Long.BYTES), 4096); // with room for alignment
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape " + Arrays.toString(shape) + " has too many elements");
    }
    return size;
  }

  /** Where an element lies in memory. */
  static long offset(long[] index, long[] shape, Layout layout) {
    boolean fits = index.length == shape.length;
    for (int i = 0; fits && i < index.length; i++) {
      fits = index[i] >= 0 && index[i] < shape[i];
    }
    if (!fits) {
      throw new IndexOutOfBoundsException(
          "index " + text(index) + " is out of bounds for shape " + text(shape));
    }
    boolean channelIsLast = layout == Layout.CHANNELS_LAST && shape.length > 2;
    long offset = 0;
    for (int i = 0; i < index.length; i++) {
      if (i != 1 || !channelIsLast) {
        offset = offset * shape[i] + index[i];
      }
    }
    return channelIsLast ? offset * shape[1] + index[1] : offset;
  }

  static void requireRange(long[] shape, int dimension, long from, long count) {
    if (dimension < 0 || dimension >= shape.length) {
      throw new IndexOutOfBoundsException(
          "dimension " + dimension + " is out of bounds for shape " + text(shape));
    }
    if (from < 0 || count < 0 || count > shape[dimension] - from) {
      throw new IndexOutOfBoundsException(
          count
              + " from "
              + from
              + " on are out of bounds for dimension "
              + dimension
              + " of shape "
              + text(shape));
    }
  }

  /** N, C and the product of the rest; 0 for an empty input, where that product may overflow. */
  static Shape ofChannels(long[] shape, Layout layout, long groups) {
    long spatial = size(shape) == 0 ? 0 : sizeFrom(shape, 2);
    return new Shape(layout, shape[0], shape[1], spatial, groups);
  }

  /** Rows, the product of the leading extents, and the elements of a row, that of the others. */
  static Shape ofRows(long[] shape, int leading) {
    return Shape.ofRows(size(Arrays.copyOf(shape, leading)), sizeFrom(shape, leading));
  }

  /** The extents that tell where elements lie. */
  static long[] withoutOnes(long[] shape) {
    return Arrays.stream(shape).filter(extent -> extent != 1).toArray();
  }

  static String text(long... shape) {
    return Arrays.toString(shape);
  }

  static long requirePositive(String layer, String what, long value) {
    if (value < 1) {
      throw new IllegalArgumentException(
          layer + ": " + what + " must be positive, but got " + value);
    }
    return value;
  }
}
