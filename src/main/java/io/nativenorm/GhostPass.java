package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Shape;
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
    for (long i = 0; i < batches.full(); i++) {
      plan.execute(part(whole, i));
    }
    if (rest != null) {
      Plan last = rest.forward();
      try {
        last.execute(part(whole, batches.full()));
      } finally {
        Engines.release(last);
      }
    }
  }

  /** The same of gradients: each ghost batch adds its own to the parameters'. */
  void backward(Plan plan, Operands whole) {
    for (long i = 0; i < batches.full(); i++) {
      plan.differentiate(part(whole, i));
    }
    if (rest != null) {
      Plan last = rest.backward(null, null);
      try {
        last.differentiate(part(whole, batches.full()));
      } finally {
        Engines.release(last);
      }
    }
  }

  private Operands part(Operands whole, long batch) {
    long sample = channels * spatial;
    return whole.ofSamples(
        batch * batches.each() * sample,
        batches.samplesOf(batch) * sample,
        batch * channels,
        channels,
        batch > 0 || whole.accumulates());
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
