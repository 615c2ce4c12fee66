package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;

/**
 * What a pass is of, and what it keeps of its last forward for backward. Tensors are in the order
 * the engines take: channels first where the layer normalizes rows.
 */
final class PassState {
  final String layer;
  final PassKind kind;
  final PassPlans plans;

  /** What the plans are for: all samples, or a ghost batch of them. */
  final Problem problem;

  final DataType type;
  final Layout layout;
  final long[] extents;
  final long size;

  /** Whether input and output are reordered to rows. */
  final boolean reordered;

  /** Null for RMS. */
  final @Nullable Tensor mean;

  final Tensor variance;

  /** Null where statistics are this input's alone. */
  final @Nullable SharedPass shared;

  final Kept input = new Kept();

  /** The output, where backward reads it: with an activation. */
  final Kept result = new Kept();

  /** What a mask counts; null without one. */
  @Nullable CountedPositions counted;

  /** Forward overwrites what backward reads: it waits for running calls, and they for it. */
  private final StampedLock lock = new StampedLock();

  /** Null where all samples are normalized together. */
  private final @Nullable GhostPass ghosts;

  /** Another handle on the output, for the user; null if it is an array. */
  private @Nullable Tensor output;

  /** The caller's tensor that this is a handle on. */
  private @Nullable Tensor outputSource;

  /** The output, if it is an array. */
  private float @Nullable [] outputArray;

  /** Whether there is a forward that did not fail. */
  private volatile boolean complete;

  /** The forward that runs, if a recording may want it. */
  private @Nullable CallRecord record;

  PassState(
      String layer,
      PassKind kind,
      PassPlans plans,
      @Nullable GhostPass ghosts,
      DataType type,
      Layout layout,
      long[] extents,
      boolean reordered,
      @Nullable Tensor mean,
      Tensor variance,
      @Nullable SharedPass shared) {
    this.layer = layer;
    this.kind = kind;
    this.plans = plans;
    this.problem = plans.problem;
    this.ghosts = ghosts;
    this.type = type;
    this.layout = layout;
    this.extents = extents;
    this.size = Shapes.size(extents);
    this.reordered = reordered;
    this.mean = mean;
    this.variance = variance;
    this.shared = shared;
  }

  boolean isFrozen() {
    return problem.norm().statistics() == StatisticsSource.GIVEN;
  }

  /** Whether there is nothing to take statistics of. */
  boolean isOfNothing() {
    return shared == null ? size == 0 : shared.values() == 0;
  }

  boolean keepsResult() {
    return problem.fusion().activation() != Activation.NONE;
  }

  boolean isComplete() {
    return complete;
  }

  @Nullable Tensor output() {
    return output;
  }

  float @Nullable [] outputArray() {
    return outputArray;
  }

  long beginForward() {
    return lock.writeLock();
  }

  long beginBackward() {
    return lock.readLock();
  }

  void end(long stamp) {
    lock.unlock(stamp);
  }

  /** How often a plan is executed, one call after the other. */
  long calls() {
    return ghosts == null ? 1 : ghosts.count();
  }

  void normalize(Plan plan, Operands operands) {
    if (ghosts == null) {
      plan.execute(operands);
    } else {
      ghosts.forward(plan, operands);
    }
  }

  void differentiate(Plan plan, Operands operands) {
    if (ghosts == null) {
      plan.differentiate(operands);
    } else {
      ghosts.backward(plan, operands);
    }
  }

  /** Takes the statistics of the last forward into running ones. */
  void update(RunningStatistics running) {
    if (counted != null) {
      counted.update(running, this);
    } else if (ghosts == null) {
      double values = shared == null ? size / problem.unitCount() : shared.values();
      running.update(mean.memory(), variance.memory(), values);
    } else {
      ghosts.update(running, mean.memory(), variance.memory());
    }
  }

  /** Parameters and statistics, which forward and backward have in common. */
  Operands.Builder operands(LayerParameters parameters) {
    return Operands.builder()
        .put(Slot.WEIGHT, Parameter.memory(parameters.weight()))
        .put(Slot.BIAS, Parameter.memory(parameters.bias()))
        .put(Slot.MEAN, mean == null ? null : mean.memory())
        .put(Slot.VARIANCE, variance.memory())
        .put(Slot.MASK, counted == null ? null : counted.memory());
  }

  /** Begins another forward: there is nothing for backward until it is done. */
  void begin() {
    complete = false;
    record = Recordings.call();
  }

  private void complete() {
    complete = true;
    CallRecord begun = record;
    record = null;
    Plan used = plans.lastForward();
    if (begun != null && used != null) {
      begun.end(layer, used, input.isOwn());
    }
  }

  /** A forward into a caller's tensor, which is in use, is done. */
  void done(Tensor y) {
    if (outputSource != y || output.isClosed()) {
      setOutput(y.share());
      outputSource = y;
    }
    complete();
  }

  /** The same into a tensor that becomes this pass's. */
  void doneInto(Tensor own) {
    setOutput(own);
    complete();
  }

  void done(float[] y) {
    setOutput(null);
    outputArray = y;
    complete();
  }

  private void setOutput(@Nullable Tensor made) {
    if (output != null) {
      output.close();
    }
    output = made;
    outputSource = null;
    outputArray = null;
  }

  void free() {
    if (output != null) {
      output.close();
    }
    input.close();
    result.close();
    if (mean != null) {
      mean.close();
    }
    variance.close();
    if (counted != null) {
      counted.close();
    }
  }

  /** What an input is like. */
  String inputText() {
    return Tensor.text(type, layout, extents, plans.inputPieces);
  }

  /** What an output is like. */
  String outputText() {
    return Tensor.text(type, layout, extents, plans.outputPieces);
  }

  /** What they and their gradients are like, wherever they lie. */
  @Override
  public String toString() {
    return Tensor.text(type, layout, extents);
  }
}
