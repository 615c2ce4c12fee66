package io.nativenorm.engine.reference;

import java.util.Arrays;

/**
 * The gradient of a row where x is its mean everywhere, of RMS where it is 0, in doubles:
 *
 * <pre>
 *   dx = (g - sum(g) / n) / sqrt(eps)
 * </pre>
 *
 * is 0 for a g = dy * weight that is constant too; in floats it would be the sum's rounding over
 * sqrt(eps).
 */
final class ConstantRow extends DoubleAccumulators {
  private final GradientViews views;
  private final RowShape shape;
  private final double inverse;
  private final float[] scratch = new float[BLOCK];
  private long toWeight;
  private float center;

  ConstantRow(GradientViews views, RowShape shape, double eps) {
    this.views = views;
    this.shape = shape;
    inverse = Gradient.inverseOfConstant(eps);
  }

  @Override
  void fill(long at, int count, int to) {
    views.readCut(at, first, to, count, scratch);
    views.x().read(at, second, to, count);
    for (int i = to; i < to + count; i++) {
      same &= second[i] - center == 0;
    }
    readWeight(at, count, to);
  }

  private void readWeight(long at, int count, int to) {
    if (views.weight() == null) {
      Arrays.fill(second, to, to + count, RowParameters.NO_WEIGHT);
    } else {
      views.weight().read(at + toWeight, second, to, count);
    }
  }

  /**
   * Writes the gradient, and adds dy to the bias's. False, and nothing is written, if the row is
   * not constant or its sums leave the range of floats.
   */
  boolean differentiate(long row, float mean, RowGradientSums sums) {
    clear();
    center = mean;
    toWeight = shape.parameters(row) - row * shape.length();
    add(row * shape.length(), 1, shape.length(), 0);
    if (!same || !(Math.abs(sum) * (1 + inverse) <= FloatRange.MOST_FACTOR)) {
      return false;
    }
    double gradientMean = shape.centered() ? sum / shape.length() : 0;
    for (long i = 0; i < shape.length(); i += BLOCK) {
      long at = row * shape.length() + i;
      int count = (int) Math.min(BLOCK, shape.length() - i);
      views.readCut(at, first, 0, count, scratch);
      readWeight(at, count, 0);
      if (sums != null) {
        sums.addToBias(shape.parameters(row) + i, first, count);
      }
      for (int j = 0; j < count; j++) {
        first[j] = (float) (((double) first[j] * second[j] - gradientMean) * inverse);
      }
      views.dx().write(at, first, 0, count);
    }
    return true;
  }
}
