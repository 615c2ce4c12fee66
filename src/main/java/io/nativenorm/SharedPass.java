package io.nativenorm;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import org.jspecify.annotations.Nullable;

/**
 * What a pass does whose statistics are of all workers' inputs together: in halves, between which
 * the workers exchange. Each half locks the layer for itself, so that nobody waits for workers.
 */
final class SharedPass {
  private final PhasedNorm layer;
  private final LayerExchange exchange;
  private final PhaseCalls calls;
  private final Problem problem;
  private final boolean mergesParameterGradients;
  private String step = "";

  /** Of the last forward; of no value at first. */
  private ChannelMoments moments;

  SharedPass(
      PhasedNorm layer,
      LayerExchange exchange,
      PhaseCalls calls,
      boolean mergesParameterGradients,
      Problem problem) {
    this.layer = layer;
    this.exchange = exchange;
    this.calls = calls;
    this.mergesParameterGradients = mergesParameterGradients;
    this.problem = problem;
    moments = ChannelMoments.none((int) layer.channels);
  }

  /** How many values each channel has, on all workers. */
  double values() {
    return moments.count();
  }

  /** A forward. */
  void normalize(Memory src, Memory dst, Memory mean, Memory variance) {
    apply(LayerExchange.gather("forward", measure(src)), src, dst, mean, variance);
  }

  /** Its first half. */
  LayerExchange.Message measure(Memory src) {
    long stamp = layer.lock.read();
    try {
      double[] mine = calls.measure(problem, src).toArray();
      step = exchange.nextStep();
      return new LayerExchange.Message(exchange, step, mine);
    } finally {
      layer.lock.endRead(stamp);
    }
  }

  /** The second half, with what all have measured. */
  void apply(double[][] measured, Memory src, Memory dst, Memory mean, Memory variance) {
    ChannelMoments merged = ChannelMoments.merged(measured);
    if (merged.count() == 1 && !layer.passesOneValue()) {
      throw new IllegalArgumentException(
          layer
              + ": Expected more than 1 value per channel when training, got "
              + merged
              + " on all workers together");
    }
    moments = merged;
    moments.roundInto(mean, variance);
    runLocked(() -> calls.apply(problem, src, merged, dst));
  }

  /** Runs a second half, which the other workers count on. */
  private void runLocked(Runnable half) {
    try {
      long stamp = layer.lock.read();
      try {
        half.run();
      } finally {
        layer.lock.endRead(stamp);
      }
    } catch (RuntimeException | Error e) {
      exchange.close(); // else they go on, with other running statistics than this one
      throw e;
    }
  }

  /** The first half of a backward. */
  GradientSums sum(Operands operands) {
    long stamp = layer.lock.read();
    try {
      return calls.sum(
          problem,
          operands.get(Slot.SRC),
          moments,
          operands.get(Slot.DST),
          operands.get(Slot.DIFF_DST));
    } finally {
      layer.lock.endRead(stamp);
    }
  }

  LayerExchange.Message message(GradientSums sums) {
    return new LayerExchange.Message(exchange, step, sums.toArray());
  }

  /** The second half, with this worker's sums and those of all. */
  void differentiate(Operands operands, GradientSums own, double[][] summed) {
    GradientSums all = GradientSums.merged(summed);
    runLocked(() -> write(operands, mergesParameterGradients ? all : own, all));
  }

  private void write(Operands operands, GradientSums parameters, GradientSums all) {
    Memory dx = operands.get(Slot.DIFF_SRC);
    if (dx != null) {
      calls.applyGradients(
          problem,
          operands.get(Slot.SRC),
          moments,
          operands.get(Slot.DST),
          operands.get(Slot.DIFF_DST),
          all,
          dx);
    }
    boolean adds = operands.accumulates();
    put(operands.get(Slot.DIFF_WEIGHT), parameters.weightGradient(moments, layer.eps()), adds);
    put(operands.get(Slot.DIFF_BIAS), parameters.biasGradient(), adds);
  }

  private static void put(@Nullable Memory gradient, float[] values, boolean adds) {
    if (gradient != null) {
      FloatView view = gradient.view();
      for (int c = 0; c < values.length; c++) {
        view.put(c, adds ? view.get(c) + values[c] : values[c]);
      }
    }
  }
}
