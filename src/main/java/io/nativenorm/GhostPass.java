package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import org.jspecify.annotations.Nullable;

/** Runs a pass's plans on one ghost batch after the other. */
final class GhostPass {
  private final GhostBatches batches;
  private final long channels;
  private final long spatial;

  /** For the last one if it has fewer samples; else null. */
  private final @Nullable PassPlans rest;

  /** Takes the plans of those that have all samples. */
  GhostPass(GhostBatches batches, PassPlans plans) {
    this.batches = batches;
    Shape shape = plans.problem.shape();
    channels = shape.channels();
    spatial = shape.spatial();
    rest = batches.rest() == 0 ? null : plans.ofSamples(batches.rest());
  }

  long count() {
    return batches.count();
  }

  /** With the plan of those that have all samples, and the operands of all of them together. */
  void forward(Plan plan, Operands whole) {
    Plan last = rest == null ? plan : rest.forward(); // or nothing is written
    try {
      for (long i = 0; i < batches.count(); i++) {
        (i < batches.full() ? plan : last).execute(part(whole, i, null, null));
      }
    } finally {
      release(last, plan);
    }
  }

  /** The same of gradients, of which the parameters' are summed up. */
  void backward(Plan plan, Operands whole) {
    Plan last = rest == null ? plan : rest.backward(null, null);
    try (GhostSum weight = GhostSum.of(whole, Slot.DIFF_WEIGHT, channels);
        GhostSum bias = GhostSum.of(whole, Slot.DIFF_BIAS, channels)) {
      Memory diffWeight = GhostSum.memory(weight);
      Memory diffBias = GhostSum.memory(bias);
      for (long i = 0; i < batches.count(); i++) {
        (i < batches.full() ? plan : last).differentiate(part(whole, i, diffWeight, diffBias));
        GhostSum.add(weight);
        GhostSum.add(bias);
      }
      GhostSum.finish(weight);
      GhostSum.finish(bias);
    } finally {
      release(last, plan);
    }
  }

  private static void release(Plan last, Plan plan) {
    if (last != plan) {
      Engines.release(last);
    }
  }

  private Operands part(
      Operands whole, long batch, @Nullable Memory diffWeight, @Nullable Memory diffBias) {
    long sample = channels * spatial;
    return whole.ofSamples(
        batch * batches.each() * sample,
        batches.samplesOf(batch) * sample,
        batch * channels,
        channels,
        diffWeight,
        diffBias);
  }

  /** Takes one after the other into running statistics. */
  void update(RunningStatistics running, Memory means, Memory variances) {
    for (long i = 0; i < batches.count(); i++) {
      running.update(
          means.slice(i * channels, channels),
          variances.slice(i * channels, channels),
          batches.samplesOf(i) * spatial);
    }
  }
}
