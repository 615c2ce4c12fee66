package io.nativenorm;

import io.nativenorm.engine.memory.Memory;

/**
 * Rows in heap arrays, from a place on: some of them together, the next ones {@code stride}
 * elements after the first of these.
 */
final class ArrayRows {
  private ArrayRows() {}

  /** Checks how many rows there are. */
  static void requireRows(Object who, int together, int rows) {
    if (rows < 0) {
      throw new IllegalArgumentException(who + ": rows must not be negative, but got " + rows);
    }
    if (together < 1) {
      throw new IllegalArgumentException(
          who + ": rowsTogether must be positive, but got " + together);
    }
  }

  /** Checks that an array has all of its rows. */
  static void requireIn(
      Object who,
      String name,
      float[] array,
      int from,
      int stride,
      int together,
      int rows,
      long length) {
    boolean apart = rows > together;
    if (apart && stride < together * length) {
      throw new IllegalArgumentException(
          who
              + ": expected a stride of "
              + name
              + " of "
              + together
              + " rows of "
              + length
              + " or more, but got "
              + stride);
    }
    long end = rows == 0 ? from : from + place(rows - 1, stride, together, length) + length;
    if (from < 0 || end > array.length) {
      String where = apart ? ", " + together + " together and the next ones " + stride + " on" : "";
      throw new IllegalArgumentException(
          who
              + ": expected "
              + name
              + " to have "
              + rows
              + (rows == 1 ? " row of " : " rows of ")
              + length
              + " from "
              + from
              + " on"
              + where
              + ", but got "
              + array.length
              + " elements");
    }
  }

  private static long place(int row, int stride, int together, long length) {
    return (long) (row / together) * stride + row % together * length;
  }

  /**
   * Checks that each row is written where it is read, or apart from all that is read. Arrays of
   * which both have all rows.
   */
  static void requireApart(
      Object who,
      float[] x,
      int xFrom,
      int xStride,
      float[] y,
      int yFrom,
      int yStride,
      int together,
      int rows,
      long length) {
    boolean inPlace = xFrom == yFrom && (xStride == yStride || rows <= together);
    if (x != y || inPlace || rows == 0) {
      return;
    }
    int groups = (rows - 1) / together + 1;
    for (int i = 0, j = 0; i < groups && j < groups; ) {
      long read = xFrom + (long) i * xStride;
      long readEnd = read + Math.min(together, rows - i * together) * length;
      long written = yFrom + (long) j * yStride;
      long writtenEnd = written + Math.min(together, rows - j * together) * length;
      boolean overlap = read < writtenEnd && written < readEnd;
      if (overlap && (i != j || read != written)) {
        throw new IllegalArgumentException(
            who
                + ": a row must be written where it is read or apart from all that is read, but y"
                + " at "
                + written
                + " overlaps x at "
                + read);
      }
      if (readEnd <= writtenEnd) {
        i++;
      } else {
        j++;
      }
    }
  }

  /** Checks that rows are written apart from a parameter. */
  static void requireApart(
      Object who,
      String name,
      float[] parameter,
      int parameterFrom,
      float[] y,
      int yFrom,
      int rows,
      int length) {
    if (parameter == y
        && parameterFrom < yFrom + (long) rows * length
        && yFrom < parameterFrom + (long) length) {
      throw new IllegalArgumentException(
          who
              + ": y must be apart from the "
              + name
              + ", but y at "
              + yFrom
              + " overlaps it at "
              + parameterFrom);
    }
  }

  /** Copies rows to memory, where they follow each other. */
  static void read(
      float[] x, int from, int stride, int together, int rows, long length, Memory to) {
    for (int row = 0; row < rows; row += together) {
      int count = (int) (Math.min(together, rows - row) * length);
      to.write(row * length, x, (int) (from + place(row, stride, together, length)), count);
    }
  }

  /** Copies them back to their places. */
  static void write(
      Memory from, float[] y, int to, int stride, int together, int rows, long length) {
    for (int row = 0; row < rows; row += together) {
      int count = (int) (Math.min(together, rows - row) * length);
      from.read(row * length, y, (int) (to + place(row, stride, together, length)), count);
    }
  }
}
