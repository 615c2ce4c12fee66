package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.PooledMemory;
import org.jspecify.annotations.Nullable;

/** The gradients of a layer's passes. */
final class Differentiation {
  private final Training training;
  private final LayerParameters parameters;
  private final LayerLock lock;

  Differentiation(Training training, LayerParameters parameters, LayerLock lock) {
    this.training = training;
    this.parameters = parameters;
    this.lock = lock;
  }

  /** The gradients of a pass, for which the layer must still be open. */
  Gradients run(PassState pass, Tensor dy) {
    Gradients gradients = unwritten(pass, dy);
    try {
      runChecked(pass, TensorTargets.of(dy, gradients));
      return gradients;
    } catch (RuntimeException | Error e) {
      gradients.close();
      throw e;
    }
  }

  /** Memory for them. */
  Gradients unwritten(PassState pass, Tensor dy) {
    new GradientCheck(training, pass, parameters).requireGradientOfOutput(dy);
    try (Closer made = new Closer()) {
      Tensor dx = made.add(Tensor.uninitialized(pass.type, pass.layout, pass.extents));
      Tensor dWeight = made.add(unwrittenLike(parameters.weight()));
      Tensor dBias = made.add(unwrittenLike(parameters.bias()));
      Gradients gradients = new Gradients(dx, dWeight, dBias);
      made.keep(dx, dWeight, dBias);
      return gradients;
    }
  }

  /** The same into memory that is there and in use. */
  void run(PassState pass, GradientTargets targets) {
    targets.requireFit(new GradientCheck(training, pass, parameters));
    runChecked(pass, targets);
  }

  /** The first half of a backward that exchanges its sums. */
  SharedBackward begin(PassState pass, GradientTargets targets) {
    requireComplete(pass);
    return new SharedBackward(pass, targets, parameters);
  }

  private void requireComplete(PassState pass) {
    if (!pass.isComplete()) {
      throw new IllegalStateException("the last forward of the pass of " + training + " failed");
    }
  }

  private void runChecked(PassState pass, GradientTargets targets) {
    requireComplete(pass);
    if (pass.shared != null) {
      try (SharedBackward backward = begin(pass, targets)) {
        backward.finish(LayerExchange.gather("backward", backward.message()));
      }
    } else if (targets.isAnyWanted()) {
      // What the pass keeps may be on a pointer that its owner has freed by now.
      @Nullable Tensor[] kept = {pass.input.tensor(), pass.result.tensor()};
      long stamp = lock.read();
      try {
        Uses.begin(kept);
        try {
          compute(pass, targets);
        } finally {
          Uses.end(kept);
        }
      } finally {
        lock.endRead(stamp);
      }
    }
  }

  private LentArrays operands(PassState pass, Plan plan, GradientTargets targets) {
    return new LentArrays(
        plan,
        pass.calls(),
        pass.problem.threads(),
        pass.operands(parameters).accumulate(targets.adds()));
  }

  private void compute(PassState pass, GradientTargets targets) {
    if (pass.size == 0) {
      targets.clear();
    } else if (pass.reordered) {
      computeReordered(pass, (TensorTargets) targets);
    } else {
      CallRecord record = Recordings.call();
      Plan plan = pass.plans.backward(targets.dyPieces(), targets.dxPieces());
      boolean copied;
      try (LentArrays operands = operands(pass, plan, targets)) {
        targets.putInto(operands);
        execute(pass, plan, operands);
        copied = operands.areCopied();
      } finally {
        Engines.release(plan);
      }
      if (record != null) {
        record.end(pass.layer, plan, copied);
      }
    }
  }

  private static void execute(PassState pass, Plan plan, LentArrays operands) {
    pass.input.putInto(operands, Slot.SRC);
    pass.result.putInto(operands, Slot.DST);
    pass.differentiate(plan, operands.build());
    operands.copyBack();
  }

  private void computeReordered(PassState pass, TensorTargets targets) {
    int threads = pass.problem.threads();
    CallRecord record = Recordings.call();
    Plan plan = pass.plans.backward(null, null);
    try (PooledMemory dyBlock = Training.takeLike(pass);
        PooledMemory dxBlock = targets.dx() == null ? null : Training.takeLike(pass);
        LentArrays operands = operands(pass, plan, targets)) {
      Memory dy = dyBlock.first(pass.type, pass.size);
      Memory dx = dxBlock == null ? null : dxBlock.first(pass.type, pass.size);
      Tensor.reorder(pass.extents, targets.dy().memory(), dy, Layout.CHANNELS_FIRST, threads);
      targets.putInto(operands, dy, dx);
      execute(pass, plan, operands);
      if (dx != null) {
        Tensor.reorder(pass.extents, dx, targets.dx().memory(), Layout.CHANNELS_LAST, threads);
      }
    } finally {
      Engines.release(plan);
    }
    if (record != null) {
      record.end(pass.layer, plan, true);
    }
  }

  private static @Nullable Tensor unwrittenLike(@Nullable Parameter parameter) {
    return parameter == null ? null : Training.unwritten(parameter.shape());
  }
}
