package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/**
 * Copies in another physical order, bit by bit: a matrix transposition for each sample, of a shape
 * with at least one spatial dimension and no element less than one.
 */
public final class Transposition {
  /** Two blocks of 32 x 32 floats are 8 KB: they stay in the L1 cache. */
  private static final int BLOCK = 32;

  private Transposition() {}

  /**
   * From channels first to channels last.
   *
   * @param shape the logical extents
   * @param from where the elements are
   * @param to as many of the same type, which do not overlap
   */
  public static void toChannelsLast(long[] shape, Memory from, Memory to) {
    copy(from, to, shape[0], shape[1], positions(shape, from));
  }

  /**
   * From channels last to channels first.
   *
   * @param shape the logical extents
   * @param from where the elements are
   * @param to as many of the same type, which do not overlap
   */
  public static void toChannelsFirst(long[] shape, Memory from, Memory to) {
    copy(from, to, shape[0], positions(shape, from), shape[1]);
  }

  private static long positions(long[] shape, Memory memory) {
    return memory.elements() / shape[0] / shape[1];
  }

  /** to[n][column][row] = from[n][row][column], of elements whose view has one float or two. */
  private static void copy(Memory from, Memory to, long samples, long rows, long columns) {
    int width = from.type() == DataType.I64 ? 2 : 1;
    for (int part = 0; part < width; part++) {
      copy(from.view(), to.view(), samples, rows, columns, width, part);
    }
  }

  private static void copy(
      FloatView source,
      FloatView target,
      long samples,
      long rows,
      long columns,
      int width,
      int part) {
    for (long n = 0; n < samples; n++) {
      long start = n * rows * columns;
      for (long row = 0; row < rows; row += BLOCK) {
        for (long column = 0; column < columns; column += BLOCK) {
          long rowEnd = Math.min(row + BLOCK, rows);
          long columnEnd = Math.min(column + BLOCK, columns);
          for (long r = row; r < rowEnd; r++) {
            for (long c = column; c < columnEnd; c++) {
              long at = (start + r * columns + c) * width + part;
              target.move((start + c * rows + r) * width + part, source, at);
            }
          }
        }
      }
    }
  }
}
