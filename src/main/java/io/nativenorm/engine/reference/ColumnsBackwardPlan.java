package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.memory.FloatView;
import org.jspecify.annotations.Nullable;

/** The gradients of channels-last batch, group and instance normalization. */
final class ColumnsBackwardPlan extends Plan {
  private final Problem problem;
  private final Samples samples;
  private final ColumnChunks chunks;

  ColumnsBackwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    samples = Samples.of(problem);
    chunks = new ColumnChunks(samples);
  }

  @Override
  protected void run(Operands operands) {
    run(GradientViews.of(problem, operands), null);
  }

  /** With a mask, what counts; sums are of all positions. */
  void run(GradientViews views, @Nullable CountedRuns counted) {
    new Execution(views, counted).run();
  }

  private final class Execution {
    private final GradientViews views;
    private final @Nullable CountedRuns counted;
    private final boolean given = problem.norm().statistics() == StatisticsSource.GIVEN;
    private final float[] mean = new float[samples.unitsPerSample()];
    private final float[] variance = new float[samples.unitsPerSample()];
    private final ColumnGradients gradients;
    private final ColumnGradientSums sums;
    private final double[] weightSums = new double[samples.columns()];
    private final double[] biasSums = new double[samples.columns()];
    private final float[][] center = chunks.arrays();
    private final float[][] dyFactor = chunks.arrays();
    private final float[][] xFactor = chunks.arrays();
    private final float[][] constant = chunks.arrays();
    private final float[][] dyCenter = chunks.arrays();
    private final float[] x = new float[chunks.length(0)];
    private final float[] dy = new float[x.length];
    private final float[] cut;
    private final float[] scratch = new float[x.length];

    Execution(GradientViews views, @Nullable CountedRuns counted) {
      this.views = views;
      this.counted = counted;
      cut = counted == null ? null : new float[x.length];
      float[] weight = ColumnsForwardPlan.all(views.weight(), samples.columns());
      gradients = new ColumnGradients(samples, problem.norm().eps(), given, weight);
      sums = new ColumnGradientSums(views, samples, !given && someConstant());
    }

    /** Whether x of some unit may all be its mean. */
    private boolean someConstant() {
      long units = samples.count() * samples.unitsPerSample();
      for (long unit = 0; unit < units; unit++) {
        if (views.variances().get(unit) == 0) {
          return true;
        }
      }
      return false;
    }

    void run() {
      for (long sample = 0; sample < samples.count(); sample++) {
        views.means().read(sample * mean.length, mean, 0, mean.length);
        views.variances().read(sample * mean.length, variance, 0, mean.length);
        setCenters();
        sums.measure(samples.start(sample));
        if (counted != null) {
          measureResiduals(sample);
        }
        gradients.set(mean, variance, sums, n(sample));
        differentiate(sample);
        for (int unit = 0; gradients.someOutside && unit < samples.unitsPerSample(); unit++) {
          if (gradients.isOutside[unit * samples.members()]) {
            differentiateExactly(sample, unit);
          }
        }
        for (int j = 0; j < weightSums.length; j++) {
          weightSums[j] += sums.products[j];
          biasSums[j] += sums.sums[j];
        }
      }
      store(weightSums, views.diffWeight());
      store(biasSums, views.diffBias());
    }

    /** Values of a unit. */
    private double n(long sample) {
      return counted == null ? samples.values() : counted.values(sample * mean.length);
    }

    /** Those of what counts. */
    private void measureResiduals(long sample) {
      long rows = counted.positions(sample);
      if (rows > 0) {
        Samples packed = Samples.counted(problem, rows);
        ColumnMoments moments = new ColumnMoments(counted.ofSample(views.x(), sample), packed);
        moments.sumAround(0, sums.centers);
        System.arraycopy(moments.sums, 0, sums.residuals, 0, sums.residuals.length);
      }
    }

    /** The mean, or 0 for a variance beyond the largest float. */
    private void setCenters() {
      for (int j = 0; j < sums.centers.length; j++) {
        int unit = j / samples.members();
        boolean finite = variance[unit] + problem.norm().eps() <= Float.MAX_VALUE;
        sums.centers[j] = finite ? mean[unit] : 0;
      }
    }

    private void differentiate(long sample) {
      chunks.set(center, gradients.center);
      chunks.set(dyFactor, gradients.dyFactor);
      chunks.set(xFactor, gradients.xFactor);
      chunks.set(constant, gradients.constant);
      chunks.set(dyCenter, gradients.dyCenter);
      chunks.forAll(samples.start(sample), this::differentiate);
    }

    private void differentiate(long at, int part, int count) {
      views.x().read(at, x, 0, count);
      views.readCut(at, dy, 0, count, scratch);
      if (counted != null) {
        System.arraycopy(dy, 0, cut, 0, count);
      }
      Elementwise.differentiate(
          dy,
          x,
          count,
          center[part],
          dyFactor[part],
          xFactor[part],
          constant[part],
          dyCenter[part]);
      for (int i = 0; counted != null && i < count; i++) {
        if (!counted.isCounted(at + i)) {
          dy[i] = Math.fma(dyFactor[part][i], cut[i], 0f);
        }
      }
      if (gradients.someOutside) {
        // dx may be dy, of which the loops in doubles have need.
        views.dy().read(at, scratch, 0, count);
        chunks.keep(gradients.isOutside, part, count, scratch, dy);
      }
      views.dx().write(at, dy, 0, count);
    }

    private void differentiateExactly(long sample, int unit) {
      int begin = unit * samples.members();
      for (int j = begin; j < begin + samples.members(); j++) {
        sums.products[j] = 0;
        sums.sums[j] = 0;
      }
      double[] statistics = given ? new double[] {mean[unit], variance[unit]} : null;
      ExactUnit exact =
          counted == null
              ? samples.exact(sample, unit)
              : counted.exact(sample * mean.length + unit);
      exact.differentiate(
          views, statistics, true, problem.norm().eps(), sums.products, sums.sums, begin);
    }

    private static void store(double[] totals, FloatView gradient) {
      for (int c = 0; gradient != null && c < totals.length; c++) {
        gradient.put(c, (float) totals[c]);
      }
    }
  }
}
