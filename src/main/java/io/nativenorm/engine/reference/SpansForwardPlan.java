package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.Units;
import org.jspecify.annotations.Nullable;

/**
 * Channels-first batch, group and instance normalization: y = (x - center) * scale + shift, where
 * the center is the mean rounded to float and the shift makes up for the rounding. A unit has some
 * contiguous rows, each of one channel.
 */
final class SpansForwardPlan extends Plan {
  /** What is written at once, in floats: 16 KB. */
  static final int CHUNK = 4096;

  private final Problem problem;
  private final Units units;

  SpansForwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    this.units = Units.of(problem);
  }

  @Override
  protected void run(Operands operands) {
    new Execution(operands).run();
  }

  private final class Execution {
    private final ForwardViews views;
    private final boolean relu = problem.fusion().activation() == Activation.RELU;
    private final boolean given = problem.norm().statistics() == StatisticsSource.GIVEN;
    private final boolean batch = problem.norm().operation() == Operation.BATCH;
    private final PivotSums sums;
    private final UnitMoments moments = new UnitMoments();

    /** Null if all counts. */
    private final @Nullable CountedRuns counted;

    private final float[] chunk = new float[(int) Math.min(CHUNK, units.inner())];

    Execution(Operands operands) {
      views = ForwardViews.of(problem, operands);
      sums = new PivotSums(views.x());
      counted = problem.norm().masked() ? new CountedRuns(problem, operands) : null;
    }

    void run() {
      for (long unit = 0; unit < units.count(); unit++) {
        if (given) {
          normalize(unit, views.means().get(unit), views.variances().get(unit));
          continue;
        }
        if (counted != null) {
          measureCounted(unit, counted.values(unit));
          continue;
        }
        double share = 1 / (double) units.size();
        measure(unit, share);
        double variance = moments.m2 * share;
        store(unit, variance);
        normalize(unit, moments.mean, variance);
      }
    }

    private void store(long unit, double variance) {
      if (problem.task() == Task.TRAIN) {
        views.means().put(unit, (float) moments.mean);
        views.variances().put(unit, (float) variance);
      }
    }

    /** What counts is one run. */
    private void measureCounted(long unit, long values) {
      if (values == 0) {
        moments.set(0, 0);
        store(unit, 0);
        counted.exact(unit).writeBias(views, relu);
        return;
      }
      double n = values;
      PivotSums packed = new PivotSums(counted.ofUnit(views.x(), unit)).over(0, 1, values, 0);
      boolean good = moments.measure(packed, n);
      if (!good || moments.m2 / n + problem.norm().eps() < FloatRange.LEAST_VARIANCE) {
        counted.exact(unit).measure(views.x(), true, moments);
      }
      double variance = moments.m2 * (1 / n);
      store(unit, variance);
      normalize(unit, moments.mean, variance);
    }

    /** The rows of a unit within one sample lie one after the other: one run. */
    private void measure(long unit, double share) {
      long start = units.offset(unit);
      if (batch) {
        sums.over(start, units.outer(), units.inner(), units.outerStride());
      } else {
        sums.over(start, 1, units.size(), 0);
      }
      boolean good = moments.measure(sums, units.size());
      if (!good || moments.m2 * share + problem.norm().eps() < FloatRange.LEAST_VARIANCE) {
        new ExactUnit(Unit.of(units, unit)).measure(views.x(), true, moments);
      }
    }

    private void normalize(long unit, double mean, double variance) {
      Normal normal = Normal.of(mean, variance, problem.norm().eps());
      boolean outside = batch ? normal.isOutside(weightOf(unit), biasOf(unit)) : normal.isOutside();
      if (outside) {
        double inverse = ExactUnit.inverseDeviation(variance, problem.norm().eps(), given);
        new ExactUnit(Unit.of(units, unit)).normalize(views, relu, mean, inverse);
        return;
      }
      for (long row = 0; row < units.outer(); row++) {
        long channel = units.channel(unit) + row * units.outerChannels();
        float scale = (float) normal.scale(weightOf(channel));
        float shift = (float) normal.shift(weightOf(channel), biasOf(channel));
        long start = units.offset(unit) + row * units.outerStride();
        for (long at = 0; at < units.inner(); at += CHUNK) {
          int count = (int) Math.min(CHUNK, units.inner() - at);
          views.x().read(start + at, chunk, 0, count);
          Elementwise.normalize(chunk, count, normal.center(), scale, shift);
          if (relu) {
            Elementwise.relu(chunk, count);
          }
          views.y().write(start + at, chunk, 0, count);
        }
      }
    }

    private double weightOf(long channel) {
      return views.weight() == null ? 1 : views.weight().get(channel);
    }

    private double biasOf(long channel) {
      return views.bias() == null ? 0 : views.bias().get(channel);
    }
  }
}
