package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * sum(dy), sum(dy * (x - center)) and sum(x - center) of the columns of a sample, with dy masked by
 * the ReLU. Where columns may be constant also sum(dy) in doubles, a chain over a piece.
 */
final class ColumnGradientSums extends ColumnSums {
  private final GradientViews views;
  private final float[] strip = new float[width];
  private final float[] scratch = new float[width];
  private int stripOf;

  /** Of the columns. */
  final float[] centers;

  /**
   * sum(dy) in doubles, and whether x is the center everywhere; null where none may be constant.
   */
  final double[] exactDy;

  final boolean[] same;

  private final double[] dyOfPiece;
  private final double[] foldedDy;

  ColumnGradientSums(GradientViews views, Samples samples, boolean constants) {
    super(samples.rows(), samples.columns(), false);
    this.views = views;
    centers = new float[samples.columns()];
    exactDy = constants ? new double[samples.columns()] : null;
    same = constants ? new boolean[samples.columns()] : null;
    dyOfPiece = constants ? new double[folds * samples.columns()] : null;
    foldedDy = constants ? new double[folds * samples.columns()] : null;
  }

  /** Sums up a sample, the centers of whose columns are set. */
  void measure(long start) {
    stripOf = -1;
    if (exactDy != null) {
      Arrays.fill(foldedDy, 0);
      Arrays.fill(same, true);
    }
    sum(start);
  }

  @Override
  void fill(int row, long at, int column, int count) {
    if (stripOf != column) {
      repeat(centers, column, strip);
      stripOf = column;
    }
    views.readCut(at, first[row], 0, count, scratch);
    views.x().read(at, second[row], 0, count);
    Elementwise.subtract(second[row], strip, count);
  }

  @Override
  void filled(int column, int count) {
    for (int row = 0; exactDy != null && row < TOGETHER; row++) {
      for (int j = 0; j < count; j++) {
        dyOfPiece[column + j] += first[row][j];
        same[(column + j) % centers.length] &= second[row][j] == 0;
      }
    }
  }

  @Override
  void endPiece() {
    if (exactDy != null) {
      addPiece(dyOfPiece, foldedDy);
    }
  }

  @Override
  void endMatrix() {
    if (exactDy != null) {
      unfold(foldedDy, exactDy);
    }
  }
}
