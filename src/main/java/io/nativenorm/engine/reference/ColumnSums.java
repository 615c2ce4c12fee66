package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * sum(first), sum(first * second) and sum(second) of each column of a matrix, in the order of
 * docs/order-of-sums.md. A narrow matrix is folded: some rows that follow each other are read as
 * one, with as many times the columns. In a block of 48 folded rows four at a time are added up and
 * then added to a column's sum, all in floats; blocks are added to doubles, over pieces of rows.
 * The tail, a folded row that is not whole, is a block of its own.
 *
 * <p>The four rows are in arrays of their own, since the compiler vectorizes loops only where all
 * arrays have the same index (0.08 ns an element for two sums, else 0.4; Zen 3, JDK 17 and 25).
 * Missing rows, and the missing elements of the tail, are 0, which changes no sum.
 */
abstract class ColumnSums {
  private static final int MOST_PIECES = 32;
  private static final int LEAST_ROWS_OF_PIECE = 48;
  private static final int LEAST_ELEMENTS_OF_PIECE = 1 << 15;
  private static final int BLOCK_ROWS = 48;
  private static final int WIDEST_FOLDED = 512;
  private static final int LEAST_FOLDED = 16;

  /** Folded columns are a multiple of it, where that is not too wide. */
  private static final int MULTIPLE = 16;

  private static final int WIDEST_STRIP = 1024;
  static final int TOGETHER = 4;

  private final int columns;

  /** Folded rows, without the tail. */
  private final long rows;

  /** Elements of the tail: one more folded row, which is not whole. */
  private final int tail;

  private final boolean squares;
  final int folds;

  /** Folded columns. */
  private final int all;

  /** Columns of a strip of a wide matrix, or all that are folded. */
  final int width;

  private final int pieces;

  /** The operands of rows. */
  final float[][] first = new float[TOGETHER][];

  final float[][] second;

  private final float[] blockSums;
  private final float[] blockProducts;
  private final float[] blockResiduals;
  private final float[] productsOfRows;
  private final double[] foldedSums;
  private final double[] foldedProducts;
  private final double[] foldedResiduals;

  private final double[][] foldedTotals;

  final double[] sums;
  final double[] products;
  final double[] residuals;

  /**
   * Sums of one or two operands.
   *
   * @param rows of the matrix
   * @param columns of the matrix
   * @param squares whether the second operand is the first one, whose sum is not wanted twice
   */
  ColumnSums(long rows, int columns, boolean squares) {
    this.columns = columns;
    this.squares = squares;
    folds = folds(rows, columns);
    this.rows = rows / folds;
    tail = (int) (rows % folds) * columns;
    all = folds * columns;
    width = Math.min(WIDEST_STRIP, all);
    pieces = pieces(this.rows, all);
    second = squares ? first : new float[TOGETHER][];
    for (int r = 0; r < TOGETHER; r++) {
      first[r] = new float[width];
      second[r] = squares ? first[r] : new float[width];
    }
    int wanted = squares ? 0 : width;
    blockSums = new float[width];
    blockProducts = new float[width];
    blockResiduals = new float[wanted];
    productsOfRows = new float[wanted];
    foldedSums = new double[all];
    foldedProducts = new double[all];
    foldedResiduals = new double[squares ? 0 : all];
    foldedTotals = new double[squares ? 2 : 3][all];
    sums = new double[columns];
    products = new double[columns];
    residuals = new double[squares ? 0 : columns];
  }

  private static int folds(long rows, int columns) {
    int folds = 1;
    while (folds * columns % MULTIPLE != 0 && 2L * folds * columns <= WIDEST_FOLDED) {
      folds *= 2;
    }
    return rows < (long) LEAST_FOLDED * folds ? 1 : folds;
  }

  private static int pieces(long rows, int columns) {
    int pieces = 1;
    while (pieces < MOST_PIECES
        && 2 * pieces * LEAST_ROWS_OF_PIECE <= rows
        && 2L * pieces * LEAST_ELEMENTS_OF_PIECE <= rows * columns) {
      pieces *= 2;
    }
    return pieces;
  }

  /** Sets the operands of a row: elements of the matrix from a place in a column on. */
  abstract void fill(int row, long at, int column, int count);

  /** Called when the operands are set, from a column on; what is missing is 0. */
  void filled(int column, int count) {}

  /** Called at the end of a piece. */
  void endPiece() {}

  /** Called at the end of the matrix. */
  void endMatrix() {}

  /** Sums up the matrix that begins with element {@code start}. */
  final void sum(long start) {
    for (double[] totals : foldedTotals) {
      Arrays.fill(totals, 0);
    }
    long begin = 0;
    for (int piece = 0; piece < pieces; piece++) {
      long end = begin + rows / pieces + (piece < rows % pieces ? 1 : 0);
      addPiece(start, begin, end, piece + 1 == pieces);
      begin = end;
    }
    unfold(foldedTotals[0], sums);
    unfold(foldedTotals[1], products);
    if (!squares) {
      unfold(foldedTotals[2], residuals);
    }
    endMatrix();
  }

  private void addPiece(long start, long begin, long end, boolean last) {
    long step = (long) BLOCK_ROWS * all;
    for (int column = 0; column < all; column += width) {
      int count = Math.min(width, all - column);
      for (long at = begin * all; at < end * all; at += step) {
        addBlock(start, at + column, Math.min(end * all, at + step), column, count);
      }
      if (last && tail > 0) {
        addBlock(start, end * all, end * all + tail, column, count);
      }
    }
    addPiece(foldedSums, foldedTotals[0]);
    addPiece(foldedProducts, foldedTotals[1]);
    if (!squares) {
      addPiece(foldedResiduals, foldedTotals[2]);
    }
    endPiece();
  }

  /** Adds a piece's sums to totals, and sets them to 0. */
  static void addPiece(double[] piece, double[] totals) {
    for (int j = 0; j < totals.length; j++) {
      totals[j] += piece[j];
    }
    Arrays.fill(piece, 0);
  }

  /** Adds up the folds of each column, in place, by halves: s[f] += s[F / 2 + f]. */
  final void unfold(double[] folded, double[] unfolded) {
    for (int half = all / 2; half >= columns; half /= 2) {
      for (int j = 0; j < half; j++) {
        folded[j] += folded[half + j];
      }
    }
    System.arraycopy(folded, 0, unfolded, 0, columns);
  }

  private void addBlock(long start, long begin, long end, int column, int count) {
    Arrays.fill(blockSums, 0, count, 0);
    Arrays.fill(blockProducts, 0, count, 0);
    if (!squares) {
      Arrays.fill(blockResiduals, 0, count, 0);
    }
    int together;
    for (long at = begin; at < end; at += (long) together * all) {
      together = together((end - at + all - 1) / all);
      for (int row = 0; row < TOGETHER; row++) {
        long from = at + (long) row * all;
        int there = row < together ? (int) Math.min(count, end - from) : 0;
        if (there > 0) {
          fill(row, start + from, column, there);
        }
        if (there < count) {
          Arrays.fill(first[row], there, count, 0);
          Arrays.fill(second[row], there, count, 0);
        }
      }
      filled(column, count);
      addSums(first, blockSums, count);
      if (squares) {
        addSquares(first, blockProducts, count);
      } else {
        addProducts(first, second, blockProducts, count);
        addSums(second, blockResiduals, count);
      }
    }
    addBlock(blockSums, column, count, foldedSums);
    addBlock(blockProducts, column, count, foldedProducts);
    if (!squares) {
      addBlock(blockResiduals, column, count, foldedResiduals);
    }
  }

  /** How many of the rows left in a block are added up together: 4, else 2, else 1. */
  private static int together(long left) {
    return left >= TOGETHER ? TOGETHER : left >= 2 ? 2 : 1;
  }

  private static void addSums(float[][] rows, float[] sums, int count) {
    addSums(rows[0], rows[1], rows[2], rows[3], sums, count);
  }

  private static void addSums(float[] a, float[] b, float[] c, float[] d, float[] sums, int count) {
    for (int j = 0; j < count; j++) {
      sums[j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
  }

  private static void addSquares(float[][] x, float[] squares, int count) {
    addSquares(x[0], x[1], x[2], x[3], squares, count);
  }

  private static void addSquares(
      float[] a, float[] b, float[] c, float[] d, float[] squares, int count) {
    for (int j = 0; j < count; j++) {
      float sum = Math.fma(c[j], c[j], Math.fma(b[j], b[j], a[j] * a[j]));
      squares[j] += Math.fma(d[j], d[j], sum);
    }
  }

  private void addProducts(float[][] a, float[][] b, float[] products, int count) {
    startProducts(a[0], a[1], b[0], b[1], productsOfRows, count);
    endProducts(a[2], a[3], b[2], b[3], productsOfRows, products, count);
  }

  private static void startProducts(
      float[] a0, float[] a1, float[] b0, float[] b1, float[] sums, int count) {
    for (int j = 0; j < count; j++) {
      sums[j] = Math.fma(a1[j], b1[j], a0[j] * b0[j]);
    }
  }

  private static void endProducts(
      float[] a2, float[] a3, float[] b2, float[] b3, float[] sums, float[] products, int count) {
    for (int j = 0; j < count; j++) {
      products[j] += Math.fma(a3[j], b3[j], Math.fma(a2[j], b2[j], sums[j]));
    }
  }

  private static void addBlock(float[] sums, int column, int count, double[] totals) {
    for (int j = 0; j < count; j++) {
      totals[column + j] += sums[j];
    }
  }

  /** Parameters of columns as those of a strip, repeated where columns are folded. */
  final void repeat(float[] parameters, int column, float[] strip) {
    if (folds == 1) {
      System.arraycopy(parameters, column, strip, 0, Math.min(width, columns - column));
      return;
    }
    for (int to = 0; to < all; to += columns) {
      System.arraycopy(parameters, 0, strip, to, columns);
    }
  }
}
