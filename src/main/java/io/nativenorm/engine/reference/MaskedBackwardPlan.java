package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;

/** The gradients of masked batch, group and instance normalization, unit by unit in doubles. */
final class MaskedBackwardPlan extends Plan {
  private final Problem problem;
  private final Units units;

  MaskedBackwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    this.units = Units.of(problem);
  }

  @Override
  protected void run(Operands operands) {
    GradientViews views = GradientViews.of(problem, operands);
    CountedRuns counted = new CountedRuns(problem, operands);
    int channels = Math.toIntExact(problem.shape().channels());
    boolean batch = problem.norm().operation() == Operation.BATCH;
    int members = batch ? 1 : channels / Math.toIntExact(problem.shape().groups());
    double[] weightSums = new double[channels];
    double[] biasSums = new double[channels];
    for (long unit = 0; unit < units.count(); unit++) {
      double[] weight = new double[members];
      double[] bias = new double[members];
      counted.exact(unit).differentiate(views, null, true, problem.norm().eps(), weight, bias, 0);
      int first = (int) units.channel(unit);
      for (int k = 0; k < members; k++) {
        weightSums[first + k] += weight[k];
        biasSums[first + k] += bias[k];
      }
    }
    store(weightSums, views.diffWeight());
    store(biasSums, views.diffBias());
  }

  private static void store(double[] totals, FloatView gradient) {
    for (int c = 0; gradient != null && c < totals.length; c++) {
      gradient.put(c, (float) totals[c]);
    }
  }
}
