package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;

/**
 * The gradients of rows that are normalized each by itself. With d = x - center - offset and s = dy
 * / sqrt(variance + eps),
 *
 * <pre>
 *   dx = s * weight + xFactor * d + constant      dweight = sum(s * d)      dbias = sum(dy)
 *   xFactor = -inverse^3 * (sum(g * (x - center)) - offset * sum(g)) / n
 *   constant = -inverse * sum(g) / n
 * </pre>
 *
 * with g = dy * weight. The mean is center + offset, the mean rounded to float and the rounding
 * error. Of RMS both are 0, and so is the constant.
 */
final class RowsBackwardPlan extends Plan {
  /**
   * A mean nearer to 0, in standard deviations, is not corrected for its rounding, which is too
   * little to count: 4 * 2^-25 = 1e-7.
   */
  private static final double FAR_MEAN = 4;

  private final Problem problem;
  private final RowShape shape;

  RowsBackwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    this.shape = RowShape.of(problem);
  }

  @Override
  protected void run(Operands operands) {
    new Execution(operands).run();
  }

  private final class Execution {
    private final GradientViews views;
    private final boolean inPlace;
    private final RowSums near;

    /** Made for the first row that is far. */
    private RowSums far;

    private final ConstantRow constantRow;
    private final RowGradientSums sums;
    private final RowParameters weights;
    private final float[] x = new float[shape.chunk()];
    private final float[] dy = new float[x.length];
    private final float[] scratch;

    /** Of a row; of RMS the constant is -0, which changes nothing. */
    private float center;

    private float offset;
    private float scale;
    private float xFactor;
    private float constant;

    Execution(Operands operands) {
      views = GradientViews.of(problem, operands);
      inPlace = operands.address(Slot.DIFF_SRC) == operands.address(Slot.DIFF_DST);
      near = new RowSums(views, false);
      scratch = views.y() == null ? null : new float[x.length];
      constantRow = new ConstantRow(views, shape, problem.norm().eps());
      sums =
          views.diffWeight() == null && views.diffBias() == null
              ? null
              : new RowGradientSums(shape, views.diffBias() != null);
      weights = new RowParameters(views.weight(), x.length, RowParameters.NO_WEIGHT);
    }

    void run() {
      if (sums == null) {
        for (long row = 0; row < shape.rows(); row++) {
          if (!differentiate(row)) {
            exactly(row);
          }
        }
        return;
      }
      for (long row = 0; row < shape.rows(); row += sums.pieceRows) {
        piece(row, Math.min(shape.rows(), row + sums.pieceRows));
      }
      sums.store(views.diffWeight(), views.diffBias());
    }

    private void piece(long begin, long end) {
      for (long block = begin; block < end; block += sums.blockRows) {
        for (long row = block; row < Math.min(end, block + sums.blockRows); row++) {
          if (!differentiate(row)) {
            sums.differentiateExactly(row, views, problem.norm().eps());
          }
        }
        sums.endBlock();
      }
      if (inPlace || sums.isFinite()) {
        sums.endPiece();
        return;
      }
      sums.endPieceExactly(begin, end, views, problem.norm().eps());
      for (long row = begin; row < end; row++) {
        if (leavesRange(row)) {
          exactly(row);
        }
      }
    }

    private void exactly(long row) {
      shape
          .exact(row)
          .differentiate(views, null, shape.centered(), problem.norm().eps(), null, null, 0);
    }

    /**
     * Whether some dy / sqrt(variance + eps), which the gradient of the weight shows, is too large
     * for a float: a small weight brings it back.
     */
    private boolean leavesRange(long row) {
      float variance = views.variances().get(row);
      float factor = (float) (1 / Math.sqrt(variance + problem.norm().eps()));
      boolean leaves = false;
      for (long i = 0; i < shape.length() && variance != 0; i++) {
        leaves |= !Float.isFinite((float) views.cut(row * shape.length() + i) * factor);
      }
      return leaves;
    }

    /** False, and nothing is written, if a row takes doubles. */
    private boolean differentiate(long row) {
      float variance = views.variances().get(row);
      float mean = shape.centered() ? views.means().get(row) : 0;
      // Rows of zeros, of which RMS subtracts no sum, do not take doubles.
      boolean maybeConstant =
          variance == 0 && (shape.centered() || problem.norm().eps() < FloatRange.LEAST_VARIANCE);
      if (maybeConstant && constantRow.differentiate(row, mean, sums)) {
        return true;
      }
      if (!measure(row, mean, variance)) {
        return false;
      }
      write(row);
      return true;
    }

    private boolean measure(long row, float mean, float variance) {
      double n = shape.length();
      double share = shape.share();
      double inverse = 1 / Math.sqrt(variance + problem.norm().eps());
      center = inverse != 0 ? mean : 0;
      double wide = mean;
      boolean isFar = wide * wide > FAR_MEAN * FAR_MEAN * (variance + problem.norm().eps());
      if (isFar && far == null) {
        far = new RowSums(views, true);
      }
      RowSums found = isFar ? far : near;
      found.of(shape, row, center);
      double total = shape.centered() ? found.sum : 0;
      double product = found.product;
      double correction = found.residual * share;
      // Without a finite variance they may have overflowed.
      double factor =
          inverse == 0 ? 0 : -inverse * inverse * inverse * (product - correction * total) * share;
      offset = (float) correction;
      scale = (float) inverse;
      xFactor = (float) factor;
      constant = shape.centered() ? (float) (-inverse * total * share) : -0f;
      if (FloatRange.isPlain(variance + problem.norm().eps(), total, product)) {
        return true;
      }
      double uncorrected = inverse * inverse * inverse * product / n;
      return !FloatRange.isOutside(inverse, total, product, n, inverse, uncorrected)
          && !FloatRange.isConstant(variance, total);
    }

    private void write(long row) {
      long at = row * shape.length();
      long parameters = shape.parameters(row);
      for (int i = 0; i < shape.chunks(); i++) {
        int count = shape.chunk(i);
        views.x().read(at, x, 0, count);
        views.readCut(at, dy, 0, count, scratch);
        Elementwise.subtract(x, 0, count, center);
        Elementwise.subtract(x, 0, count, offset);
        if (sums != null) {
          int part = sums.part(row, i);
          addTo(sums.weight[part], sums.bias[part], count);
        }
        apply(weights.at(parameters, count), count);
        views.dx().write(at, dy, 0, count);
        at += count;
        parameters += count;
      }
    }

    private void addTo(float[] weightSums, float[] biasSums, int count) {
      addTo(weightSums, biasSums, dy, x, count, scale);
    }

    private static void addTo(float[] dw, float[] db, float[] dy, float[] d, int count, float s) {
      for (int i = 0; i < count; i++) {
        dw[i] = Math.fma(dy[i] * s, d[i], dw[i]);
        db[i] += dy[i];
      }
    }

    private void apply(float[] w, int count) {
      apply(dy, x, w, count, scale, xFactor, constant);
    }

    private static void apply(
        float[] dy, float[] d, float[] w, int count, float s, float xFactor, float constant) {
      for (int i = 0; i < count; i++) {
        dy[i] = Math.fma(dy[i] * s, w[i], Math.fma(xFactor, d[i], constant));
      }
    }
  }
}
