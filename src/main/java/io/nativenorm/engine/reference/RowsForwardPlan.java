package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Task;

/**
 * y = ((x - center) * scale + shift) * weight + bias of each row, where the center is the mean
 * rounded to float and the shift makes up for the rounding. RMS has no mean, and the mean square
 * for a variance.
 */
final class RowsForwardPlan extends Plan {
  private final Problem problem;
  private final RowShape shape;

  RowsForwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    this.shape = RowShape.of(problem);
  }

  @Override
  protected void run(Operands operands) {
    new Execution(operands).run();
  }

  private final class Execution {
    private final ForwardViews views;
    private final boolean relu = problem.fusion().activation() == Activation.RELU;
    private final boolean training = problem.task() == Task.TRAIN;
    private final PivotSums sums;
    private final UnitMoments moments = new UnitMoments();
    private final double share = shape.share();
    private final float[] chunk = new float[shape.chunk()];
    private final RowParameters weights;
    private final RowParameters biases;

    Execution(Operands operands) {
      views = ForwardViews.of(problem, operands);
      sums = new PivotSums(views.x());
      weights = new RowParameters(views.weight(), chunk.length, RowParameters.NO_WEIGHT);
      biases = new RowParameters(views.bias(), chunk.length, RowParameters.NO_BIAS);
    }

    void run() {
      for (long row = 0; row < shape.rows(); row++) {
        if (!measure(row)) {
          shape.exact(row).measure(views.x(), shape.centered(), moments);
        }
        if (moments.m2 * share + problem.norm().eps() < FloatRange.LEAST_VARIANCE) {
          shape.exact(row).measure(views.x(), shape.centered(), moments);
          double variance = moments.m2 / shape.length();
          store(row, (float) variance);
          double inverse = ExactUnit.inverseDeviation(variance, problem.norm().eps(), false);
          shape.exact(row).normalize(views, relu, moments.mean, inverse);
        } else {
          float variance = (float) (moments.m2 * share);
          store(row, variance);
          normalize(row, variance);
        }
      }
    }

    /** False if it takes doubles. */
    private boolean measure(long row) {
      sums.over(row * shape.length(), 1, shape.length(), 0);
      if (shape.centered()) {
        return moments.measure(sums, shape.length());
      }
      sums.around(0);
      return moments.judge(0, sums.squares(), share) == Trust.GOOD;
    }

    private void store(long row, float variance) {
      if (training) {
        if (shape.centered()) {
          views.means().put(row, (float) moments.mean);
        }
        views.variances().put(row, variance);
      }
    }

    private void normalize(long row, float variance) {
      Normal normal = Normal.of(moments.mean, variance, problem.norm().eps());
      float scale = (float) normal.inverse();
      float shift = (float) (-normal.roundedAway() * normal.inverse());
      long at = row * shape.length();
      long parameters = shape.parameters(row);
      for (int i = 0; i < shape.chunks(); i++) {
        int count = shape.chunk(i);
        views.x().read(at, chunk, 0, count);
        float[] w = weights.at(parameters, count);
        float[] b = biases.at(parameters, count);
        Elementwise.normalize(chunk, count, normal.center(), scale, shift, w, b);
        if (relu) {
          Elementwise.relu(chunk, count);
        }
        views.y().write(at, chunk, 0, count);
        at += count;
        parameters += count;
      }
    }
  }
}
