package io.nativenorm.engine.reference;

import io.nativenorm.Activation;
import io.nativenorm.Layout;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Doubles;
import io.nativenorm.engine.memory.FloatView;

/**
 * The phases of batch normalization, channel by channel in doubles. Their sums are closer than
 * FUSED's, and so have other last bits.
 */
final class PhasePlan extends Plan {
  private final Problem problem;
  private final Shape shape;

  PhasePlan(Problem problem) {
    super("reference phases");
    this.problem = problem;
    shape = problem.shape();
  }

  @Override
  protected void run(Operands operands) {
    Execution execution = new Execution(operands);
    switch (problem.task()) {
      case MEASURE -> execution.measure();
      case APPLY -> execution.apply();
      case SUM_GRADIENTS -> execution.sum();
      default -> execution.differentiate();
    }
  }

  /** What is done to an element, by its position and its channel. */
  private interface Step {
    void take(long at, int channel);
  }

  private final class Execution {
    private final Operands operands;
    private final GradientViews views;
    private final FloatView x;
    private final int channels = Math.toIntExact(shape.channels());

    Execution(Operands operands) {
      this.operands = operands;
      views = GradientViews.of(problem, operands);
      x = views.x();
    }

    void measure() {
      double[] mean = new double[channels];
      double[] m2 = new double[channels];
      forAll((at, c) -> mean[c] += x.get(at));
      double n = (double) shape.batch() * shape.spatial();
      for (int c = 0; c < channels; c++) {
        mean[c] /= n;
      }
      forAll(
          (at, c) -> {
            double distance = x.get(at) - mean[c];
            m2[c] += distance * distance;
          });
      Doubles.write(mean, operands.get(Slot.MEAN));
      Doubles.write(m2, operands.get(Slot.VARIANCE));
    }

    void apply() {
      double[] mean = Doubles.read(operands.get(Slot.MEAN));
      double[] inverse = inverseDeviations();
      ForwardViews out = ForwardViews.of(problem, operands);
      boolean relu = problem.fusion().activation() == Activation.RELU;
      forAll(
          (at, c) -> {
            double bias = out.bias() == null ? 0 : out.bias().get(c);
            double y = (x.get(at) - mean[c]) * inverse[c] * weight(c) + bias;
            out.y().put(at, relu && y < 0 ? 0 : (float) y);
          });
    }

    void sum() {
      double[] mean = Doubles.read(operands.get(Slot.MEAN));
      double[] sums = new double[channels];
      double[] centered = new double[channels];
      forAll(
          (at, c) -> {
            double dy = views.cut(at);
            sums[c] += dy;
            centered[c] += dy * (x.get(at) - mean[c]);
          });
      Doubles.write(sums, operands.get(Slot.SUM_DY));
      Doubles.write(centered, operands.get(Slot.SUM_DY_CENTERED));
    }

    /** {@code dx = inverse * w * (dy - sum / n - (x - mean) * inverse^2 * centered / n)}. */
    void differentiate() {
      double[] mean = Doubles.read(operands.get(Slot.MEAN));
      double[] inverse = inverseDeviations();
      double[] through = Doubles.read(operands.get(Slot.SUM_DY));
      double[] slope = Doubles.read(operands.get(Slot.SUM_DY_CENTERED));
      for (int c = 0; c < channels; c++) {
        through[c] /= operands.count();
        slope[c] *= inverse[c] * inverse[c] / operands.count();
      }
      forAll(
          (at, c) -> {
            double rest = views.cut(at) - through[c] - (x.get(at) - mean[c]) * slope[c];
            views.dx().put(at, (float) (rest * inverse[c] * weight(c)));
          });
    }

    private double[] inverseDeviations() {
      double[] inverse = Doubles.read(operands.get(Slot.VARIANCE));
      for (int c = 0; c < channels; c++) {
        inverse[c] = 1 / Math.sqrt(inverse[c] + problem.norm().eps());
      }
      return inverse;
    }

    private double weight(int channel) {
      return views.weight() == null ? 1 : views.weight().get(channel);
    }

    private void forAll(Step step) {
      boolean first = shape.layout() == Layout.CHANNELS_FIRST;
      long runs = shape.batch() * (first ? channels : shape.spatial());
      long length = first ? shape.spatial() : channels;
      for (long run = 0; run < runs; run++) {
        for (long i = 0; i < length; i++) {
          step.take(run * length + i, (int) (first ? run % channels : i));
        }
      }
    }
  }
}
