package io.nativenorm;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.indexer.FloatIndexer;

/** Changes the physical order of a tensor: one matrix transposition for each sample. */
final class Transposition {
  /** Two blocks of 32 x 32 floats are 8 KB: they stay in the first-level cache. */
  private static final int BLOCK = 32;

  private Transposition() {}

  /** to[n][column][row] = from[n][row][column]. */
  static void copy(FloatPointer from, FloatPointer to, long samples, long rows, long columns) {
    FloatIndexer source = FloatIndexer.create(from);
    FloatIndexer target = FloatIndexer.create(to);
    for (long n = 0; n < samples; n++) {
      long start = n * rows * columns;
      for (long row = 0; row < rows; row += BLOCK) {
        for (long column = 0; column < columns; column += BLOCK) {
          long rowEnd = Math.min(row + BLOCK, rows);
          long columnEnd = Math.min(column + BLOCK, columns);
          for (long r = row; r < rowEnd; r++) {
            for (long c = column; c < columnEnd; c++) {
              target.put(start + c * rows + r, source.get(start + r * columns + c));
            }
          }
        }
      }
    }
  }
}
