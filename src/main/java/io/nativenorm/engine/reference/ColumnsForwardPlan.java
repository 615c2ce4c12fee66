package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.FloatView;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Channels-last batch, group and instance normalization: see {@link ColumnAffines}. */
final class ColumnsForwardPlan extends Plan {
  private final Problem problem;
  private final Samples samples;
  private final ColumnChunks chunks;

  ColumnsForwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    samples = Samples.of(problem);
    chunks = new ColumnChunks(samples);
  }

  @Override
  protected void run(Operands operands) {
    new Execution(operands).run();
  }

  /** All of a view, or nothing of nothing. */
  static float[] all(FloatView view, int count) {
    if (view == null) {
      return null;
    }
    float[] values = new float[count];
    view.read(0, values, 0, count);
    return values;
  }

  private final class Execution {
    private final ForwardViews views;
    private final boolean relu = problem.fusion().activation() == Activation.RELU;
    private final boolean given = problem.norm().statistics() == StatisticsSource.GIVEN;
    private final double[] mean = new double[samples.unitsPerSample()];
    private final double[] variance = new double[samples.unitsPerSample()];
    private final ColumnAffines affines;
    private final float[][] center = chunks.arrays();
    private final float[][] scale = chunks.arrays();
    private final float[][] shift = chunks.arrays();
    private final float[] chunk = new float[chunks.length(0)];
    private final float[] old = new float[chunk.length];

    /** Null if all counts. */
    private final @Nullable CountedRuns counted;

    Execution(Operands operands) {
      views = ForwardViews.of(problem, operands);
      int columns = samples.columns();
      affines =
          new ColumnAffines(
              samples,
              problem.norm().eps(),
              all(views.weight(), columns),
              all(views.bias(), columns));
      counted = problem.norm().masked() ? new CountedRuns(problem, operands) : null;
    }

    void run() {
      boolean all = !given && counted == null;
      ColumnMoments moments = all ? new ColumnMoments(views.x(), samples) : null;
      for (long sample = 0; sample < samples.count(); sample++) {
        if (given) {
          take();
        } else if (counted == null) {
          moments.measure(sample, problem.norm().eps());
          store(sample, moments, samples);
        } else if (!measureCounted(sample)) {
          continue;
        }
        affines.set(mean, variance);
        normalize(sample);
        for (int unit = 0; affines.someOutside && unit < samples.unitsPerSample(); unit++) {
          if (affines.isOutside[unit * samples.members()]) {
            double inverse =
                ExactUnit.inverseDeviation(variance[unit], problem.norm().eps(), given);
            samples.exact(sample, unit).normalize(views, relu, mean[unit], inverse);
          }
        }
      }
    }

    private void take() {
      for (int unit = 0; unit < mean.length; unit++) {
        mean[unit] = views.means().get(unit);
        variance[unit] = views.variances().get(unit);
      }
    }

    /** The rows that count; false if there are none, and the bias is written. */
    private boolean measureCounted(long sample) {
      long rows = counted.positions(sample);
      Samples packed = Samples.counted(problem, rows);
      if (rows > 0) {
        ColumnMoments moments = new ColumnMoments(counted.ofSample(views.x(), sample), packed);
        moments.measure(0, problem.norm().eps());
        store(sample, moments, packed);
        return true;
      }
      Arrays.fill(mean, 0);
      Arrays.fill(variance, 0);
      put(sample);
      for (int unit = 0; unit < mean.length; unit++) {
        counted.exact(sample * mean.length + unit).writeBias(views, relu);
      }
      return false;
    }

    private void store(long sample, ColumnMoments moments, Samples of) {
      double share = 1 / of.values();
      for (int unit = 0; unit < mean.length; unit++) {
        mean[unit] = moments.mean(unit);
        variance[unit] = moments.m2(unit) * share;
      }
      put(sample);
    }

    private void put(long sample) {
      for (int unit = 0; unit < mean.length; unit++) {
        if (problem.task() == Task.TRAIN) {
          views.means().put(sample * mean.length + unit, (float) mean[unit]);
          views.variances().put(sample * mean.length + unit, (float) variance[unit]);
        }
      }
    }

    private void normalize(long sample) {
      chunks.set(center, affines.center);
      chunks.set(scale, affines.scale);
      chunks.set(shift, affines.shift);
      chunks.forAll(samples.start(sample), this::normalize);
    }

    private void normalize(long at, int part, int count) {
      views.x().read(at, chunk, 0, count);
      if (affines.someOutside) {
        System.arraycopy(chunk, 0, old, 0, count);
      }
      Elementwise.normalize(chunk, count, center[part], scale[part], shift[part]);
      if (relu) {
        Elementwise.relu(chunk, count);
      }
      if (affines.someOutside) {
        chunks.keep(affines.isOutside, part, count, old, chunk);
      }
      views.y().write(at, chunk, 0, count);
    }
  }
}
