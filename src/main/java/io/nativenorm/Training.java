package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import org.jspecify.annotations.Nullable;

/**
 * The training of a layer, beside its {@link Inference}: makes passes and runs them. Their
 * gradients are {@link Differentiation}'s.
 */
final class Training {
  private final NormLayer layer;
  private final LayerParameters parameters;
  private final LayerLock lock;
  private final PassCheck check;
  private final PassStates states;
  private final Differentiation differentiation;

  Training(NormLayer layer, Backend backend, LayerParameters parameters, LayerLock lock) {
    this.layer = layer;
    this.parameters = parameters;
    this.lock = lock;
    check = new PassCheck(layer);
    states = new PassStates(layer, backend, parameters);
    differentiation = new Differentiation(this, parameters, lock);
  }

  PassCheck check() {
    return check;
  }

  Differentiation differentiation() {
    return differentiation;
  }

  /** A pass with the input's own statistics, which go into the running ones. */
  Pass forward(Tensor x) {
    return pass(PassKind.TRAINING, x);
  }

  /** The same without that. */
  Pass forwardWithoutUpdate(Tensor x) {
    return pass(PassKind.WITHOUT_UPDATE, x);
  }

  /** A pass with frozen statistics: those that inference uses, as constants to the gradient. */
  Pass frozen(Tensor x) {
    if (parameters.running() == null) {
      throw new IllegalStateException(layer + " has no running statistics to freeze");
    }
    return pass(PassKind.FROZEN, x);
  }

  private Pass pass(PassKind kind, Tensor x) {
    x.acquire();
    try {
      layer.requireComputed(x);
      return ran(states.of(kind, states.problem(kind, x, null), x, null), x);
    } finally {
      x.release();
    }
  }

  /** With a problem of what a mask counts, which the pass takes over. */
  Pass forward(Tensor x, Problem problem, CountedPositions counted) {
    PassState state = states.of(PassKind.TRAINING, problem, x, null);
    state.counted = counted;
    return ran(state, x);
  }

  /** Training into memory that is there. */
  Pass forward(Tensor x, Tensor y) {
    Uses.begin(x, y);
    try {
      layer.requireComputed(x);
      Problem problem = states.problem(PassKind.TRAINING, x, y.pieces());
      check.requireOutput(x, y);
      PassState state = states.of(PassKind.TRAINING, problem, x, y.pieces());
      try {
        run(state, x, y);
        return new Pass(this, state);
      } catch (RuntimeException | Error e) {
        state.free();
        throw e;
      }
    } finally {
      Uses.end(x, y);
    }
  }

  /** The same on arrays; without a shape it is the one that their length implies. */
  Pass forward(float[] x, float[] y, long[] shape) {
    long[] extents = shape.length == 0 ? layer.impliedShape(x.length) : shape.clone();
    long size = Shapes.size(extents);
    check.requireArrays(x, y, extents, size);
    PassKind kind = PassKind.TRAINING;
    Problem problem = states.problem(kind, DataType.F32, Layout.CHANNELS_FIRST, extents);
    PassState state =
        states.of(kind, problem, DataType.F32, Layout.CHANNELS_FIRST, extents, null, null);
    try {
      run(state, x, y);
      return new Pass(this, state);
    } catch (RuntimeException | Error e) {
      state.free();
      throw e;
    }
  }

  /** Whether a pass of a kind takes the running statistics now. */
  boolean isFrozen(PassKind kind) {
    return states.isFrozen(kind);
  }

  /** A pass with an output of its own. */
  private Pass ran(PassState state, Tensor x) {
    Tensor y = null;
    try {
      y = Tensor.uninitialized(state.type, state.layout, state.extents);
      compute(state, x, y);
      state.doneInto(y);
      return new Pass(this, state);
    } catch (RuntimeException | Error e) {
      if (y != null) {
        y.close();
      }
      state.free();
      throw e;
    }
  }

  /** The first or another forward of a pass on tensors in use. */
  void run(PassState state, Tensor x, Tensor y) {
    compute(state, x, y);
    state.done(y);
  }

  void compute(PassState state, Tensor x, Tensor y) {
    state.begin();
    if (state.reordered && state.size > 0) {
      computeReordered(state, x, y);
    } else {
      keep(state, x, y);
      normalize(state, x.span(), y.span());
    }
    update(state);
  }

  private static void keep(PassState state, Tensor x, Tensor y) {
    state.input.keep(x);
    if (state.keepsResult()) {
      state.result.keep(y);
    }
  }

  /** A pass of an input in use, of which the first half is done. */
  BegunForward begin(Tensor x) {
    layer.requireComputed(x);
    PassKind kind = PassKind.TRAINING;
    return new BegunForward(this, states.of(kind, states.problem(kind, x, null), x, null), x);
  }

  LayerExchange.Message measure(PassState state, Tensor x, Tensor y) {
    state.begin();
    keep(state, x, y);
    return state.shared.measure(x.span());
  }

  void apply(PassState state, double[][] measured, Tensor x, Tensor y) {
    state.shared.apply(measured, x.span(), y.span(), state.mean.memory(), state.variance.memory());
    update(state);
  }

  private void computeReordered(PassState state, Tensor x, Tensor y) {
    Tensor rows = state.input.own(state.type, state.extents);
    Tensor.reorder(x, rows);
    try (PooledMemory block = state.keepsResult() ? null : takeLike(state)) {
      Memory results =
          block == null
              ? state.result.own(state.type, state.extents).memory()
              : block.first(state.type, state.size);
      normalize(state, rows.memory(), results);
      Tensor.reorder(
          state.extents, results, y.memory(), Layout.CHANNELS_LAST, state.problem.threads());
    }
  }

  static PooledMemory takeLike(PassState state) {
    return MemoryPool.take(state.type, state.size);
  }

  /** The first or another forward of a pass on arrays, which fit it. */
  void run(PassState state, float[] x, float[] y) {
    state.begin();
    boolean computes = state.size > 0 && state.shared == null;
    Plan plan = computes ? state.plans.forward() : null;
    try {
      if (plan == null ? state.shared == null : plan.holdsArrays(state.calls())) {
        state.input.keep(x);
        if (state.keepsResult()) {
          state.result.keep(y);
        }
        normalize(state, plan, state.operands(parameters).put(Slot.SRC, x).put(Slot.DST, y));
      } else {
        computeCopied(state, x, y);
      }
    } finally {
      if (plan != null) {
        Engines.release(plan);
      }
    }
    update(state);
    state.done(y);
  }

  private void computeCopied(PassState state, float[] x, float[] y) {
    Memory input = state.input.own(state.type, state.extents).memory();
    MemoryWork work = Engines.memoryWork();
    int threads = state.problem.threads();
    work.copyIn(x, input, threads);
    try (PooledMemory block = state.keepsResult() ? null : takeLike(state)) {
      Memory results =
          block == null
              ? state.result.own(state.type, state.extents).memory()
              : block.first(state.type, state.size);
      normalize(state, input, results);
      work.copyOut(results, y, threads);
    }
  }

  private void normalize(PassState state, Memory src, Memory dst) {
    if (state.shared != null) {
      state.shared.normalize(src, dst, state.mean.memory(), state.variance.memory());
      return;
    }
    Plan plan = state.size == 0 ? null : state.plans.forward();
    try {
      normalize(state, plan, state.operands(parameters).put(Slot.SRC, src).put(Slot.DST, dst));
    } finally {
      if (plan != null) {
        Engines.release(plan);
      }
    }
  }

  /** The result, and the statistics: the input's own, or a copy of the running ones. */
  private void normalize(PassState state, @Nullable Plan plan, Operands.Builder operands) {
    long stamp = lock.read();
    try {
      if (state.isFrozen()) {
        Parameter.memory(parameters.running().mean()).copyTo(state.mean.memory());
        Parameter.memory(parameters.running().variance()).copyTo(state.variance.memory());
      }
      if (plan != null) {
        state.normalize(plan, operands.build());
      }
    } finally {
      lock.endRead(stamp);
    }
  }

  private void update(PassState state) {
    boolean isTaken = state.kind == PassKind.TRAINING && !state.isFrozen() && !state.isOfNothing();
    if (!isTaken || parameters.running() == null) {
      return;
    }
    long stamp = lock.write();
    try {
      state.update(parameters.running());
    } finally {
      lock.endWrite(stamp);
    }
  }

  /** How many batches are in the running statistics; 0 where there are none. */
  long trackedBatches() {
    long stamp = lock.read();
    try {
      return parameters.running() == null ? 0 : parameters.running().batches();
    } finally {
      lock.endRead(stamp);
    }
  }

  /** A plan writes all that it is given: zeros before took 7 % of a step of one row of 64. */
  static Tensor unwritten(long[] shape) {
    return Tensor.uninitialized(DataType.F32, Layout.CHANNELS_FIRST, shape);
  }

  /** The layer's kind and size. */
  @Override
  public String toString() {
    return layer.toString();
  }
}
