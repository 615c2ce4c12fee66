package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * docs/order-of-sums.md word for word, one element after the other: what the loops of the engines
 * are held against, with which it shares no code.
 */
public final class OrderOfSums {
  private OrderOfSums() {}

  /** sum(a) or sum(a * b) over `runs` runs of `length` elements, `stride` apart, along memory. */
  static double along(float[] a, float[] b, int start, int runs, int length, int stride) {
    double total = 0;
    if (length > 16384) {
      for (int run = 0; run < runs; run++) {
        for (int begin = 0; begin < length; begin += 16384) {
          int part = Math.min(16384, length - begin);
          total += piece(a, b, start + run * stride + begin, 1, part, stride, 1);
        }
      }
      return total;
    }
    int rounded = (length + 31) / 32;
    int together = rounded < 16 ? 16 / rounded : 1;
    int runsOfPiece = 16384 / length;
    for (int run = 0; run < runs; run += runsOfPiece) {
      int count = Math.min(runsOfPiece, runs - run);
      total += piece(a, b, start + run * stride, count, length, stride, together);
    }
    return total;
  }

  private static double piece(
      float[] a, float[] b, int start, int runs, int length, int stride, int together) {
    double[] t = new double[4];
    for (int run = 0; run < runs; run += together) {
      int count = Math.min(together, runs - run);
      for (int begin = 0; begin < length; begin += 512) {
        float[] accumulators = new float[32];
        int part = Math.min(512, length - begin);
        for (int r = run; r < run + count; r++) {
          for (int i = 0; i < part; i++) {
            int at = start + r * stride + begin + i;
            accumulators[i % 32] =
                b == null
                    ? accumulators[i % 32] + a[at]
                    : Math.fma(a[at], b[at], accumulators[i % 32]);
          }
        }
        float[] f = new float[8];
        for (int j = 0; j < 8; j++) {
          f[j] =
              (accumulators[j] + accumulators[16 + j])
                  + (accumulators[8 + j] + accumulators[24 + j]);
        }
        for (int j = 0; j < 4; j++) {
          t[j] += (double) f[j] + (double) f[4 + j];
        }
      }
    }
    return (t[0] + t[1]) + (t[2] + t[3]);
  }

  /** sum(a * b) of what may be constant: doubles over all of a piece. */
  static double alongInDoubles(float[] a, float[] b, int start, int runs, int length, int stride) {
    double total = 0;
    int runsOfPiece = Math.max(1, 16384 / length);
    for (int run = 0; run < runs; run += runsOfPiece) {
      for (int begin = 0; begin < length; begin += 16384) {
        double[] d = new double[32];
        for (int r = run; r < Math.min(runs, run + runsOfPiece); r++) {
          for (int i = 0; i < Math.min(16384, length - begin); i++) {
            int at = start + r * stride + begin + i;
            d[i % 32] += (double) a[at] * (double) b[at];
          }
        }
        double[] f = new double[8];
        for (int j = 0; j < 8; j++) {
          f[j] = (d[j] + d[16 + j]) + (d[8 + j] + d[24 + j]);
        }
        double[] t = new double[4];
        for (int j = 0; j < 4; j++) {
          t[j] = f[j] + f[4 + j];
        }
        total += (t[0] + t[1]) + (t[2] + t[3]);
      }
    }
    return total;
  }

  /** How many rows of a matrix are one. */
  public static int folds(int rows, int columns) {
    int folds = 1;
    while (folds * columns % 16 != 0 && 2 * folds * columns <= 512) {
      folds *= 2;
    }
    return rows < 16 * folds ? 1 : folds;
  }

  /** sum(a) or sum(a * b) of each column of a matrix. */
  static double[] ofColumns(float[] a, float[] b, int start, int rows, int columns) {
    int folds = folds(rows, columns);
    int folded = rows / folds;
    int wide = folds * columns;
    int pieces = 1;
    while (2 * pieces <= 32
        && 2L * pieces <= (long) folded * wide / 32768
        && 2 * pieces <= folded / 48) {
      pieces *= 2;
    }
    double[] totals = new double[wide];
    int row = 0;
    for (int piece = 0; piece < pieces; piece++) {
      double[] sums = new double[wide];
      int end = row + folded / pieces + (piece < folded % pieces ? 1 : 0);
      for (; row < end; row = Math.min(end, row + 48)) {
        addBlock(a, b, start, row, Math.min(end, row + 48), wide, wide, sums);
      }
      int cut = rows % folds * columns;
      if (piece + 1 == pieces && cut > 0) {
        addBlock(a, b, start, folded, folded + 1, wide, cut, sums);
      }
      for (int j = 0; j < wide; j++) {
        totals[j] += sums[j];
      }
    }
    for (int half = folds / 2; half >= 1; half /= 2) {
      for (int fold = 0; fold < half; fold++) {
        for (int j = 0; j < columns; j++) {
          totals[fold * columns + j] += totals[(half + fold) * columns + j];
        }
      }
    }
    return Arrays.copyOf(totals, columns);
  }

  private static void addBlock(
      float[] a, float[] b, int start, int first, int last, int wide, int width, double[] sums) {
    for (int j = 0; j < width; j++) {
      float sum = 0;
      int row = first;
      while (row < last) {
        int count = last - row >= 4 ? 4 : last - row >= 2 ? 2 : 1;
        float[] u = new float[4];
        float[] v = new float[4];
        for (int r = 0; r < count; r++) {
          u[r] = a[start + (row + r) * wide + j];
          v[r] = b == null ? 0 : b[start + (row + r) * wide + j];
        }
        float product = u[0] * v[0];
        for (int r = 1; r < count; r++) {
          product = Math.fma(u[r], v[r], product);
        }
        sum += b == null ? (u[0] + u[1]) + (u[2] + u[3]) : product;
        row += count;
      }
      sums[j] += sum;
    }
  }

  /** sum(dy) of each column of rows: the gradient of a bias. */
  static double[] ofRows(float[] dy, int rows, int length) {
    long w = 1;
    while (2 * w <= 16 && 2 * w <= (long) rows * length / 20480) {
      w *= 2;
    }
    int block = (int) Math.max(8, Math.min(64, (rows + w - 1) / w));
    int blocks = (rows + block - 1) / block;
    int piece = (blocks + 31) / 32 * block;
    double[] totals = new double[length];
    for (int begin = 0; begin < rows; begin += piece) {
      for (int j = 0; j < length; j++) {
        double sum = 0;
        for (int from = begin; from < Math.min(rows, begin + piece); from += block) {
          float chain = 0;
          for (int row = from; row < Math.min(Math.min(rows, begin + piece), from + block); row++) {
            chain += dy[row * length + j];
          }
          sum += chain;
        }
        totals[j] += sum;
      }
    }
    return totals;
  }
}
