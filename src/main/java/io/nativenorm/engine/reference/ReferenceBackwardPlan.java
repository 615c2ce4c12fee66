package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.engine.Moments;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;

/**
 * With xhat = (x - mean) * r, r = 1 / sqrt(variance + eps), and g = dy * weight, over the n
 * elements of a unit:
 *
 * <pre>
 *   dweight = sum(dy * xhat)      dbias = sum(dy)
 *   dx = r * (g - sum(g) / n - xhat * sum(g * xhat) / n)
 * </pre>
 *
 * The mean is computed again: rounded to float, as it was handed out, it would cost dweight digits
 * at large means. So is a variance below the smallest normal float, of which rounding left few
 * digits or none. RMS has no mean, so the term with sum(g) falls away; given statistics are
 * constants, so both sums do. After a ReLU, dy counts only where the output is positive (or NaN).
 */
final class ReferenceBackwardPlan extends Plan {
  private final Problem problem;
  private final Units units;

  ReferenceBackwardPlan(Problem problem) {
    super("reference in doubles");
    this.problem = problem;
    this.units = Units.of(problem);
  }

  @Override
  protected void run(Operands operands) {
    new Execution(operands).run();
  }

  /** The operands as views, and the sums of one execution. */
  private final class Execution {
    private final FloatView src;
    private final FloatView dst;
    private final FloatView weight;
    private final FloatView means;
    private final FloatView variances;
    private final FloatView diffDst;
    private final FloatView diffSrc;
    private final FloatView diffWeight;
    private final FloatView diffBias;
    private final double[] weightSums;
    private final double[] biasSums;

    private double mean;
    private double inverseStd;
    private double sumG;
    private double sumGXhat;

    Execution(Operands operands) {
      ProblemViews views = new ProblemViews(problem, operands);
      src = views.src();
      dst = views.dst();
      weight = views.weight();
      means = operands.view(Slot.MEAN);
      variances = operands.view(Slot.VARIANCE);
      diffDst = views.diffDst();
      diffSrc = views.diffSrc();
      diffWeight = operands.view(Slot.DIFF_WEIGHT);
      diffBias = operands.view(Slot.DIFF_BIAS);
      int channels = Math.toIntExact(problem.shape().channels());
      weightSums = new double[channels];
      biasSums = new double[channels];
    }

    void run() {
      boolean rms = problem.norm().operation() == Operation.RMS;
      boolean given = problem.norm().statistics() == StatisticsSource.GIVEN;
      for (long k = 0; k < units.count(); k++) {
        mean = rms ? 0 : given ? means.get(k) : Moments.mean(src, units, k);
        inverseStd = inverseDeviation(k, given);
        if (!given || diffWeight != null || diffBias != null) {
          sum(k);
        }
        if (given) {
          sumG = 0;
          sumGXhat = 0;
        } else if (rms) {
          sumG = 0;
        }
        inputGradient(k);
      }
      store(weightSums, diffWeight);
      store(biasSums, diffBias);
    }

    private double inverseDeviation(long unit, boolean given) {
      double variance = variances.get(unit);
      if (given) {
        return 1 / Math.sqrt(variance + problem.norm().eps());
      }
      if (variance < Float.MIN_NORMAL) {
        variance = Moments.meanSquare(src, units, unit, mean);
      }
      return Moments.inverseDeviation(variance, problem.norm().eps());
    }

    /** A distance of 0 stays so if given statistics have neither variance nor eps. */
    private double xhat(long at) {
      double distance = src.get(at) - mean;
      return distance == 0 ? 0 : distance * inverseStd;
    }

    private void sum(long unit) {
      sumG = 0;
      sumGXhat = 0;
      long start = units.offset(unit);
      long first = units.channel(unit);
      for (long i = 0; i < units.outer(); i++) {
        long at = start + i * units.outerStride();
        int channel = (int) (first + i * units.outerChannels());
        for (long j = 0; j < units.inner(); j++) {
          double dy = gradientAt(at);
          double dyXhat = dy * xhat(at);
          weightSums[channel] += dyXhat;
          biasSums[channel] += dy;
          double scale = scale(channel);
          sumG += dy * scale;
          sumGXhat += dyXhat * scale;
          at += units.innerStride();
          channel += units.innerChannels();
        }
      }
    }

    private void inputGradient(long unit) {
      double meanG = sumG / units.size();
      double meanGXhat = sumGXhat / units.size();
      long start = units.offset(unit);
      long first = units.channel(unit);
      for (long i = 0; i < units.outer(); i++) {
        long at = start + i * units.outerStride();
        long channel = first + i * units.outerChannels();
        for (long j = 0; j < units.inner(); j++) {
          double g = gradientAt(at) * scale(channel);
          double rest = g - meanG - xhat(at) * meanGXhat;
          diffSrc.put(at, (float) (rest == 0 ? 0 : inverseStd * rest));
          at += units.innerStride();
          channel += units.innerChannels();
        }
      }
    }

    private double gradientAt(long at) {
      boolean masked = problem.fusion().activation() == Activation.RELU && dst.get(at) <= 0;
      return masked ? 0 : diffDst.get(at);
    }

    private double scale(long channel) {
      return weight == null ? 1 : weight.get(channel);
    }

    private void store(double[] sums, FloatView gradient) {
      if (gradient != null) {
        for (int c = 0; c < sums.length; c++) {
          gradient.put(c, (float) sums[c]);
        }
      }
    }
  }
}
