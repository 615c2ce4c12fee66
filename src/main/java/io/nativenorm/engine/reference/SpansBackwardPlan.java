package io.nativenorm.engine.reference;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of channels-first batch, group and instance normalization: see {@link
 * UnitGradient}. Sums are those of a channel of the batch or, as weights differ in a group, of each
 * of its rows.
 */
final class SpansBackwardPlan extends Plan {
  private final Problem problem;
  private final Units units;

  /** Of what is summed up by itself: how many there are in a unit, and the rows of each. */
  private final int entries;

  private final long rows;

  SpansBackwardPlan(Problem problem) {
    super("reference");
    this.problem = problem;
    this.units = Units.of(problem);
    boolean batch = problem.norm().operation() == Operation.BATCH;
    entries = batch ? 1 : Math.toIntExact(units.outer());
    rows = batch ? units.outer() : 1;
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
    private final SpanSums sums;
    private final ConstantSpanSums constantSums;
    private final float[] x = new float[(int) Math.min(SpansForwardPlan.CHUNK, units.inner())];
    private final float[] dy = new float[x.length];
    private final float[] scratch;
    private final float[] mask;

    /** A unit's entries; products become parts of the weight's gradient. */
    private final double[] dySums = new double[entries];

    private final double[] products = new double[entries];

    /** Of the channels. */
    private final double[] weightSums = new double[Math.toIntExact(problem.shape().channels())];

    private final double[] biasSums = new double[weightSums.length];

    Execution(GradientViews views, @Nullable CountedRuns counted) {
      this.views = views;
      this.counted = counted;
      sums = new SpanSums(views);
      constantSums = new ConstantSpanSums(views);
      scratch = views.y() == null ? null : new float[x.length];
      mask = counted == null ? null : new float[x.length];
    }

    void run() {
      for (long unit = 0; unit < units.count(); unit++) {
        differentiate(unit, views.means().get(unit), views.variances().get(unit));
        for (int k = 0; k < entries; k++) {
          int channel = (int) units.channel(unit) + k;
          weightSums[channel] += products[k];
          biasSums[channel] += dySums[k];
        }
      }
      store(weightSums, views.diffWeight());
      store(biasSums, views.diffBias());
    }

    private void differentiate(long unit, float mean, float variance) {
      Normal normal = Normal.of(mean, variance, problem.norm().eps());
      long n = counted == null ? units.size() : counted.values(unit);
      UnitGradient gradient = measure(unit, normal, variance, n);
      if (n == 0 || gradient.isOutside()) {
        for (int k = 0; k < entries; k++) {
          dySums[k] = 0;
          products[k] = 0;
        }
        ExactUnit exact =
            counted == null ? new ExactUnit(Unit.of(units, unit)) : counted.exact(unit);
        exact.differentiate(
            views,
            given ? new double[] {mean, variance} : null,
            true,
            problem.norm().eps(),
            products,
            dySums,
            0);
        return;
      }
      for (int k = 0; k < entries; k++) {
        products[k] = gradient.weightPart(dySums[k], products[k]);
      }
      for (long row = 0; row < units.outer(); row++) {
        long channel = units.channel(unit) + row * units.outerChannels();
        write(units.offset(unit) + row * units.outerStride(), gradient.with(weightOf(channel)));
      }
    }

    private UnitGradient measure(long unit, Normal normal, float variance, long n) {
      boolean maybeConstant = !given && variance == 0;
      double dyTotal = 0;
      double productTotal = 0;
      double residualTotal = 0;
      for (int k = 0; k < entries; k++) {
        long start = units.offset(unit) + k * units.outerStride();
        double residual = 0;
        if (maybeConstant) {
          constantSums.around(normal.center());
          constantSums.add(start, rows, units.inner(), units.outerStride());
          dySums[k] = constantSums.sum;
          products[k] = constantSums.same ? 0 : Double.NaN;
        } else {
          sums.around(normal.center());
          sums.add(start, rows, units.inner(), units.outerStride());
          dySums[k] = sums.sum;
          products[k] = sums.product;
          residual = sums.residual;
        }
        double w = weightOf(units.channel(unit) + k);
        dyTotal += w * dySums[k];
        productTotal += w * products[k];
        residualTotal += residual;
      }
      if (counted != null && variance != 0 && n > 0) {
        PivotSums packed = new PivotSums(counted.ofUnit(views.x(), unit)).over(0, 1, n, 0);
        packed.around(normal.center());
        residualTotal = packed.sum();
      }
      return new UnitGradient(
          normal, dyTotal, productTotal, residualTotal, n, variance, problem.norm().eps(), given);
    }

    private void write(long start, Gradient gradient) {
      for (long at = 0; at < units.inner(); at += x.length) {
        int count = (int) Math.min(x.length, units.inner() - at);
        views.x().read(start + at, x, 0, count);
        views.readCut(start + at, dy, 0, count, scratch);
        if (counted == null) {
          Elementwise.differentiate(dy, x, count, gradient);
        } else {
          counted.read(start + at, mask, count);
          Elementwise.differentiate(dy, x, mask, count, gradient);
        }
        views.dx().write(start + at, dy, 0, count);
      }
    }

    private double weightOf(long channel) {
      return views.weight() == null ? 1 : views.weight().get(channel);
    }

    private void store(double[] totals, FloatView gradient) {
      for (int c = 0; gradient != null && c < totals.length; c++) {
        gradient.put(c, (float) totals[c]);
      }
    }
  }
}
