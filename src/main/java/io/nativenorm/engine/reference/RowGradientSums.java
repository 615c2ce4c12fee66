package io.nativenorm.engine.reference;

import io.nativenorm.engine.memory.FloatView;
import java.util.Arrays;

/**
 * The gradients of weight and bias over rows, in the order of docs/order-of-sums.md: blocks of
 * rows, in each a chain of floats for each parameter, which are added to doubles over a piece of
 * blocks, and these in order. Floats are in chunks, as rows are computed.
 */
final class RowGradientSums {
  private static final int MOST_PIECES = 32;
  private static final int LEAST_ELEMENTS_OF_BLOCK = 20480;
  private static final long LEAST_ROWS = 8;
  private static final long MOST_ROWS = 64;

  /** Rows of a block. */
  final long blockRows;

  /** Rows of a piece. */
  final long pieceRows;

  private final RowShape shape;
  private final boolean wantsBias;

  /** Of a block, by parts of the parameters. */
  final float[][] weight;

  final float[][] bias;

  private final double[] weightOfPiece;
  private final double[] biasOfPiece;
  private final double[] weightTotals;
  private final double[] biasTotals;

  RowGradientSums(RowShape shape, boolean wantsBias) {
    this.shape = shape;
    this.wantsBias = wantsBias;
    blockRows = blockRows(shape.rows(), shape.length());
    long blocks = (shape.rows() + blockRows - 1) / blockRows;
    pieceRows = (blocks + MOST_PIECES - 1) / MOST_PIECES * blockRows;
    int parameters = Math.toIntExact(shape.length() * shape.period());
    weight = new float[Math.toIntExact(shape.chunks() * shape.period())][];
    bias = new float[weight.length][];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = new float[shape.chunk(i % shape.chunks())];
      bias[i] = new float[weight[i].length];
    }
    weightOfPiece = new double[parameters];
    biasOfPiece = new double[parameters];
    weightTotals = new double[parameters];
    biasTotals = new double[parameters];
  }

  private static long blockRows(long rows, long length) {
    long wanted = 1;
    while (wanted < MOST_PIECES / 2 && 2 * wanted * LEAST_ELEMENTS_OF_BLOCK <= rows * length) {
      wanted *= 2;
    }
    return Math.max(LEAST_ROWS, Math.min(MOST_ROWS, (rows + wanted - 1) / wanted));
  }

  /** Which part of the parameters a chunk of a row takes. */
  int part(long row, int chunk) {
    return (int) (row % shape.period()) * shape.chunks() + chunk;
  }

  /** Adds some of a row's dy to the bias's floats, from a parameter on. */
  void addToBias(long parameter, float[] dy, int count) {
    int chunk = shape.chunk(0);
    long row = parameter / shape.length();
    long from = parameter % shape.length();
    for (int i = 0; i < count; i++) {
      int part = part(row, (int) ((from + i) / chunk));
      bias[part][(int) ((from + i) % chunk)] += dy[i];
    }
  }

  /** Writes the gradient of a row that takes doubles, and adds it to the doubles. */
  void differentiateExactly(long row, GradientViews views, double eps) {
    int first = (int) shape.parameters(row);
    shape
        .exact(row)
        .differentiate(views, null, shape.centered(), eps, weightOfPiece, biasOfPiece, first);
  }

  /** Adds a block's floats to the doubles. */
  void endBlock() {
    addTo(weightOfPiece, weight);
    addTo(biasOfPiece, bias);
  }

  /** Whether the doubles of a piece are finite, of those that are wanted. */
  boolean isFinite() {
    return areFinite(weightOfPiece) && (!wantsBias || areFinite(biasOfPiece));
  }

  private static boolean areFinite(double[] sums) {
    boolean finite = true;
    for (double sum : sums) {
      finite &= Math.abs(sum) <= Double.MAX_VALUE;
    }
    return finite;
  }

  /** Ends a piece. */
  void endPiece() {
    addTo(weightTotals, weightOfPiece);
    addTo(biasTotals, biasOfPiece);
    clearPiece();
  }

  private void clearPiece() {
    Arrays.fill(weightOfPiece, 0);
    Arrays.fill(biasOfPiece, 0);
  }

  /**
   * Ends a piece that is not finite: its floats may have overflowed, which the sums of its rows do
   * not show. It is summed up again in doubles, from statistics measured again.
   */
  void endPieceExactly(long begin, long end, GradientViews views, double eps) {
    clearPiece();
    for (long row = begin; row < end; row++) {
      int first = (int) shape.parameters(row);
      shape.exact(row).addTo(weightOfPiece, biasOfPiece, first, views, shape.centered(), eps);
    }
    endPiece();
  }

  /** Adds floats to doubles, and sets them to 0. */
  private static void addTo(double[] totals, float[][] sums) {
    int at = 0;
    for (float[] part : sums) {
      for (int j = 0; j < part.length; j++) {
        totals[at + j] += part[j];
      }
      at += part.length;
      Arrays.fill(part, 0);
    }
  }

  private static void addTo(double[] totals, double[] sums) {
    for (int j = 0; j < totals.length; j++) {
      totals[j] += sums[j];
    }
  }

  /** Stores the sums that are wanted: the exact ones if others are not finite. */
  void store(FloatView diffWeight, FloatView diffBias) {
    store(weightTotals, diffWeight);
    store(biasTotals, diffBias);
  }

  private void store(double[] totals, FloatView gradient) {
    float[] chunk = weight[0];
    for (int at = 0; gradient != null && at < totals.length; at += chunk.length) {
      int count = Math.min(chunk.length, totals.length - at);
      for (int j = 0; j < count; j++) {
        chunk[j] = (float) totals[at + j];
      }
      gradient.write(at, chunk, 0, count);
    }
  }
}
