package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.engine.Moments;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;

/**
 * y = (x - mean) / sqrt(variance + eps) * weight + bias, in double, rounded once; RMS has no mean
 * and the mean square for a variance.
 */
final class ReferenceForwardPlan extends Plan {
  private final Problem problem;
  private final Units units;

  ReferenceForwardPlan(Problem problem) {
    super("reference in doubles");
    this.problem = problem;
    this.units = Units.of(problem);
  }

  @Override
  protected void run(Operands operands) {
    ProblemViews views = new ProblemViews(problem, operands);
    FloatView src = views.src();
    FloatView dst = views.dst();
    FloatView weight = views.weight();
    FloatView bias = operands.view(Slot.BIAS);
    FloatView means = operands.view(Slot.MEAN);
    FloatView variances = operands.view(Slot.VARIANCE);
    boolean given = problem.norm().statistics() == StatisticsSource.GIVEN;
    boolean rms = problem.norm().operation() == Operation.RMS;
    if (problem.norm().masked()) {
      runMasked(new CountedRuns(problem, operands), ForwardViews.of(problem, operands));
      return;
    }
    for (long k = 0; k < units.count(); k++) {
      double mean = given ? means.get(k) : rms ? 0 : Moments.mean(src, units, k);
      double variance = given ? variances.get(k) : representable(src, k, mean);
      if (problem.task() == Task.TRAIN) {
        if (!rms) {
          means.put(k, (float) mean);
        }
        variances.put(k, (float) variance);
      }
      double inverse =
          given
              ? 1 / Math.sqrt(variance + problem.norm().eps())
              : Moments.inverseDeviation(variance, problem.norm().eps());
      normalize(k, mean, inverse, src, dst, weight, bias);
    }
  }

  private void runMasked(CountedRuns counted, ForwardViews views) {
    boolean relu = problem.fusion().activation() == Activation.RELU;
    UnitMoments moments = new UnitMoments();
    long ofPosition =
        problem.norm().operation() == Operation.BATCH
            ? 1
            : units.size() / problem.shape().spatial();
    for (long unit = 0; unit < units.count(); unit++) {
      double n = counted.positionsOfUnit(unit) * (double) ofPosition;
      moments.set(0, 0);
      if (n > 0) {
        counted.exact(unit).measure(views.x(), true, moments);
      }
      double variance = n > 0 ? moments.m2 / n : 0;
      if (problem.task() == Task.TRAIN) {
        views.means().put(unit, (float) moments.mean);
        views.variances().put(unit, (float) variance);
      }
      double inverse = ExactUnit.inverseDeviation(variance, problem.norm().eps(), false);
      if (n > 0) {
        counted.exact(unit).normalize(views, relu, moments.mean, inverse);
      } else {
        counted.exact(unit).writeBias(views, relu);
      }
    }
  }

  /** A variance beyond the largest float is infinite, here as on every engine and in PyTorch. */
  private double representable(FloatView src, long unit, double mean) {
    double variance = Moments.meanSquare(src, units, unit, mean);
    return variance > Float.MAX_VALUE ? Double.POSITIVE_INFINITY : variance;
  }

  private void normalize(
      long unit,
      double mean,
      double inverseStd,
      FloatView src,
      FloatView dst,
      FloatView weight,
      FloatView bias) {
    long start = units.offset(unit);
    long first = units.channel(unit);
    boolean relu = problem.fusion().activation() == Activation.RELU;
    for (long i = 0; i < units.outer(); i++) {
      long at = start + i * units.outerStride();
      long channel = first + i * units.outerChannels();
      for (long j = 0; j < units.inner(); j++) {
        double scale = weight == null ? 1 : weight.get(channel);
        double shift = bias == null ? 0 : bias.get(channel);
        double distance = src.get(at) - mean;
        // Given neither variance nor eps, what is equal to the mean is the bias.
        double y = (distance == 0 ? 0 : distance * inverseStd) * scale + shift;
        dst.put(at, (float) (relu ? Math.max(y, 0) : y));
        at += units.innerStride();
        channel += units.innerChannels();
      }
    }
  }
}
