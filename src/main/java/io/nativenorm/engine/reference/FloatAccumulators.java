package io.nativenorm.engine.reference;

/**
 * sum(first), sum(first * second) and sum(second), in floats over a block and in doubles from
 * there. At the end of a block, with j below 8 and then 4:
 *
 * <pre>
 *   f[j] = (s[j] + s[16 + j]) + (s[8 + j] + s[24 + j])
 *   t[j] += (double) f[j] + (double) f[4 + j]
 * </pre>
 *
 * A float sum of 16 terms and 32 accumulators loses 2e-7 of its value; of a million terms it would
 * lose 1e-3.
 */
abstract class FloatAccumulators extends Accumulators {
  private final boolean squares;
  private final boolean residuals;

  /** Chains, one for each accumulator; the row before the first one stays 0. */
  private final float[] sums = new float[COUNT + BLOCK];

  private final float[] products = new float[COUNT + BLOCK];
  private final float[] residualSums;

  private final double[] sumOfPiece = new double[4];
  private final double[] productOfPiece = new double[4];
  private final double[] residualOfPiece = new double[4];

  double sum;
  double product;
  double residual;

  /**
   * Sums of one or two operands.
   *
   * @param squares whether the second operand is the first one
   * @param residuals whether sum(second) is wanted
   */
  FloatAccumulators(boolean squares, boolean residuals) {
    this.squares = squares;
    this.residuals = residuals;
    residualSums = residuals ? new float[COUNT + BLOCK] : null;
  }

  /** Sets the totals to 0. */
  final void clear() {
    sum = 0;
    product = 0;
    residual = 0;
  }

  @Override
  final void endBlock(int elements) {
    chain(first, squares ? first : second, sums, products, elements);
    addBlock(sums, elements, sumOfPiece);
    addBlock(products, elements, productOfPiece);
    if (residuals) {
      chain(second, residualSums, elements);
      addBlock(residualSums, elements, residualOfPiece);
    }
  }

  private static void chain(float[] a, float[] b, float[] sums, float[] products, int elements) {
    for (int k = 0; k < elements; k++) {
      sums[k + COUNT] = sums[k] + a[k];
      products[k + COUNT] = Math.fma(a[k], b[k], products[k]);
    }
  }

  private static void chain(float[] a, float[] sums, int elements) {
    for (int k = 0; k < elements; k++) {
      sums[k + COUNT] = sums[k] + a[k];
    }
  }

  /** Adds the accumulators, which are the last row of the chains. */
  private static void addBlock(float[] s, int end, double[] t) {
    for (int j = 0; j < 4; j++) {
      int lower = end + j;
      int upper = lower + 4;
      float f = (s[lower] + s[lower + 16]) + (s[lower + 8] + s[lower + 24]);
      float g = (s[upper] + s[upper + 16]) + (s[upper + 8] + s[upper + 24]);
      t[j] += (double) f + (double) g;
    }
  }

  @Override
  final void endPiece() {
    sum += taken(sumOfPiece);
    product += taken(productOfPiece);
    residual += taken(residualOfPiece);
  }

  private static double taken(double[] t) {
    double total = sumOf(t);
    t[0] = 0;
    t[1] = 0;
    t[2] = 0;
    t[3] = 0;
    return total;
  }
}
