package io.nativenorm;

import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;

/** Changes the physical order of a tensor: one matrix transposition for each sample. */
final class Transposition {
  /** Two blocks of 32 x 32 floats are 8 KB: they stay in the L1 cache. */
  private static final int BLOCK = 32;

  private Transposition() {}

  /** Copies into a tensor of the same shape and type, in its order; both are in use. */
  static void copy(Tensor from, Tensor to) {
    if (from.size() == 0) {
      return; // 2^40 samples without an element would be gone through one by one
    }
    if (from.layout() == to.layout() || from.rank() < 3) {
      from.memory().copyTo(to.memory());
    } else if (to.layout() == Layout.CHANNELS_LAST) {
      toChannelsLast(from.extents(), from.dataType(), from.memory(), to.memory());
    } else {
      toChannelsFirst(from.extents(), from.dataType(), from.memory(), to.memory());
    }
  }

  /** From channels-first memory of a shape, which is not empty, to channels-last. */
  static void toChannelsLast(long[] shape, DataType type, Memory from, Memory to) {
    copy(type, from, to, shape[0], shape[1], Shapes.sizeFrom(shape, 2));
  }

  /** From channels-last memory of a shape, which is not empty, to channels-first. */
  static void toChannelsFirst(long[] shape, DataType type, Memory from, Memory to) {
    copy(type, from, to, shape[0], Shapes.sizeFrom(shape, 2), shape[1]);
  }

  /** to[n][column][row] = from[n][row][column], of elements whose view has one float or two. */
  private static void copy(
      DataType type, Memory from, Memory to, long samples, long rows, long columns) {
    int width = type == DataType.I64 ? 2 : 1;
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
              target.put((start + c * rows + r) * width + part, source.get(at));
            }
          }
        }
      }
    }
  }
}
