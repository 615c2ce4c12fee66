package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/** Copies of matrices the other way round, bit by bit. */
public final class Transposition {
  /** Two blocks of 32 x 32 floats are 8 KB: they stay in the L1 cache. */
  private static final int BLOCK = 32;

  private Transposition() {}

  /**
   * {@code to[n][column][row] = from[n][row][column]}.
   *
   * @param from where the elements are, whose view has one float for each or, of longs, two
   * @param to as many of the same type, which do not overlap
   * @param samples how many matrices
   * @param rows of each
   * @param columns of each
   */
  public static void copy(Memory from, Memory to, long samples, long rows, long columns) {
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
