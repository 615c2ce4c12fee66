package io.nativenorm;

import java.util.Arrays;

/** Shapes as {@code long[]}: checked, multiplied, printed. */
final class Shapes {
  private Shapes() {}

  /** The number of elements; throws if an extent is negative or the number is beyond a long. */
  static long size(long... shape) {
    long size = 1;
    for (long extent : shape) {
      if (extent < 0) {
        throw new IllegalArgumentException(
            "a shape's extents must not be negative, but got " + Arrays.toString(shape));
      }
    }
    for (long extent : shape) {
      if (extent == 0) {
        return 0;
      }
    }
    try {
      for (long extent : shape) {
        size = Math.multiplyExact(size, extent);
      }
      Math.addExact(Math.multiplyExact(size, Float.BYTES), 4096); // with room for alignment
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape " + Arrays.toString(shape) + " has too many elements");
    }
    return size;
  }

  /** The product of the extents from a position on. */
  static long sizeFrom(long[] shape, int position) {
    return size(Arrays.copyOfRange(shape, Math.min(position, shape.length), shape.length));
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
