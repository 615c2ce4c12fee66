package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * Sums over contiguous runs, in the order of docs/order-of-sums.md: element i of its part of a run
 * goes to accumulator i mod 32. Runs are cut in pieces of 16384 elements, or some whole runs make
 * one; pieces in blocks of 512, or again of some runs. What is summed up, and how, is told by
 * subclasses.
 *
 * <p>A block is laid out in rows of 32, one element for each accumulator; the tail of a run is
 * filled up with 0, which changes no sum. So each accumulator's sum is a chain over one array,
 * {@code s[k + 32] = s[k] + v[k]}, in a loop that the compiler vectorizes, as it does only where
 * all arrays have the same index but for a constant (0.16 ns an element for two sums, 0.9 with an
 * index of its own for the operand; Zen 3, JDK 17 and 25).
 */
abstract class Accumulators {
  static final int COUNT = 32;
  static final int PIECE = 16384;
  static final int BLOCK = 512;

  /** The operands of a block. */
  final float[] first = new float[BLOCK];

  final float[] second = new float[BLOCK];

  /** Sets the operands from some place of the block on to elements that follow each other. */
  abstract void fill(long at, int count, int to);

  /** Adds the first elements of the operands, rows of 32, to the piece's sums. */
  abstract void endBlock(int elements);

  /** Adds the piece's sums to the totals. */
  abstract void endPiece();

  /** Adds to the totals some runs of as many elements, the first of which is number {@code at}. */
  final void add(long at, long runs, long length, long stride) {
    if (length > PIECE) {
      for (long run = 0; run < runs; run++) {
        for (long begin = 0; begin < length; begin += PIECE) {
          addPiece(at + run * stride + begin, 1, (int) Math.min(PIECE, length - begin), 0);
        }
      }
      return;
    }
    long together = PIECE / length;
    for (long run = 0; run < runs; run += together) {
      addPiece(at + run * stride, (int) Math.min(together, runs - run), (int) length, stride);
    }
  }

  private void addPiece(long at, int runs, int length, long stride) {
    int used = 0;
    for (int run = 0; run < runs; run++) {
      for (int begin = 0; begin < length; begin += BLOCK) {
        int count = Math.min(BLOCK, length - begin);
        int rows = (count + COUNT - 1) / COUNT * COUNT;
        if (used + rows > BLOCK) {
          endBlock(used);
          used = 0;
        }
        fill(at + run * stride + begin, count, used);
        Arrays.fill(first, used + count, used + rows, 0);
        Arrays.fill(second, used + count, used + rows, 0);
        used += rows;
      }
    }
    endBlock(used);
    endPiece();
  }

  /** f[j] = (s[j] + s[16 + j]) + (s[8 + j] + s[24 + j]), (t0 + t1) + (t2 + t3) in doubles. */
  static double sumOf(double[] t) {
    return (t[0] + t[1]) + (t[2] + t[3]);
  }
}
