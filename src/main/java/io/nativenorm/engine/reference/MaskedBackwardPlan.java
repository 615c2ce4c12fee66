package io.nativenorm.engine.reference;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import io.nativenorm.engine.memory.RunsView;

/**
 * The gradients of masked batch, group and instance normalization. Where dy is 0 in all of the
 * padding they are those of a batch of what counts, else sums are of all positions. Without fma
 * units are loops in doubles.
 */
final class MaskedBackwardPlan extends Plan {
  private final Problem problem;
  private final Units units;
  private final boolean batch;
  private final boolean channelsFirst;
  private final int channels;
  private final int members;

  MaskedBackwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    units = Units.of(problem);
    batch = problem.norm().operation() == Operation.BATCH;
    channelsFirst = problem.shape().layout() == Layout.CHANNELS_FIRST;
    channels = Math.toIntExact(problem.shape().channels());
    members = batch ? 1 : channels / Math.toIntExact(problem.shape().groups());
  }

  @Override
  protected void run(Operands operands) {
    GradientViews views = GradientViews.of(problem, operands);
    CountedRuns counted = new CountedRuns(problem, operands);
    if (FusedMultiplyAdd.IS_INSTRUCTION && !counted.isZeroInPadding(views.dy())) {
      if (channelsFirst) {
        new SpansBackwardPlan(problem).run(views, counted);
      } else {
        new ColumnsBackwardPlan(problem).run(views, counted);
      }
      return;
    }
    try (PooledMemory block = MemoryPool.take(DataType.F32, 2L * channels)) {
      new Execution(views, counted, block.first(DataType.F32, 2L * channels)).run();
    }
  }

  private final class Execution {
    private final GradientViews views;
    private final CountedRuns counted;

    /** Of a unit or a sample, and the totals. */
    private final Memory parts;

    private final double[] weightSums = new double[channels];
    private final double[] biasSums = new double[channels];

    Execution(GradientViews views, CountedRuns counted, Memory parts) {
      this.views = views;
      this.counted = counted;
      this.parts = parts;
    }

    void run() {
      boolean packs = FusedMultiplyAdd.IS_INSTRUCTION;
      if (packs) {
        counted.clearPadding(views.dx());
      }
      if (channelsFirst || !packs) {
        for (long unit = 0; unit < units.count(); unit++) {
          long rows = counted.positionsOfUnit(unit);
          if (packs && rows > 1) { // of one value in a row units are rows
            Shape shape = new Shape(Layout.CHANNELS_FIRST, 1, members, rows, 1);
            new SpansBackwardPlan(packed(shape)).run(ofUnit(unit), null);
            add((int) units.channel(unit), members);
          } else {
            differentiateExactly(unit);
          }
        }
      } else {
        for (long sample = 0; sample < units.count() / units.perSample(); sample++) {
          differentiateSample(sample);
        }
      }
      store(weightSums, views.diffWeight());
      store(biasSums, views.diffBias());
    }

    private void differentiateSample(long sample) {
      long rows = counted.positions(sample);
      if (rows == 0) {
        for (long k = 0; k < units.perSample(); k++) {
          differentiateExactly(sample * units.perSample() + k);
        }
        return;
      }
      new ColumnsBackwardPlan(packed(problem.shape().withSamples(1, rows)))
          .run(ofSample(sample), null);
      add(0, channels);
    }

    private void differentiateExactly(long unit) {
      double[] weight = new double[members];
      double[] bias = new double[members];
      counted.exact(unit).differentiate(views, null, true, problem.norm().eps(), weight, bias, 0);
      int first = (int) units.channel(unit);
      for (int k = 0; k < members; k++) {
        weightSums[first + k] += (float) weight[k];
        biasSums[first + k] += (float) bias[k];
      }
    }

    private Problem packed(Shape shape) {
      Norm norm = problem.norm();
      return problem
          .withShape(shape)
          .withNorm(new Norm(norm.operation(), norm.statistics(), norm.eps()));
    }

    private GradientViews ofUnit(long unit) {
      return new GradientViews(
          counted.ofUnit(views.x(), unit),
          views.y() == null ? null : counted.ofUnit(views.y(), unit),
          part(views.weight(), units.channel(unit), members),
          part(views.means(), unit, 1),
          part(views.variances(), unit, 1),
          counted.ofUnit(views.dy(), unit),
          counted.ofUnit(views.dx(), unit),
          part(parts.view(), 0, channels),
          part(parts.view(), channels, channels));
    }

    private GradientViews ofSample(long sample) {
      long first = sample * units.perSample();
      return new GradientViews(
          counted.ofSample(views.x(), sample),
          views.y() == null ? null : counted.ofSample(views.y(), sample),
          views.weight(),
          part(views.means(), first, units.perSample()),
          part(views.variances(), first, units.perSample()),
          counted.ofSample(views.dy(), sample),
          counted.ofSample(views.dx(), sample),
          part(parts.view(), 0, channels),
          part(parts.view(), channels, channels));
    }

    /** Adds what was found for some channels. */
    private void add(int first, int count) {
      for (int k = 0; k < count; k++) {
        weightSums[first + k] += parts.view().get(k);
        biasSums[first + k] += parts.view().get(channels + k);
      }
    }
  }

  private static FloatView part(FloatView whole, long first, long count) {
    return whole == null ? null : new RunsView(whole, new long[1], new long[] {count}, 1, first);
  }

  private static void store(double[] totals, FloatView gradient) {
    for (int c = 0; gradient != null && c < totals.length; c++) {
      gradient.put(c, (float) totals[c]);
    }
  }
}
