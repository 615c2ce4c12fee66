package io.nativenorm;

import io.nativenorm.engine.CallRecord;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Recordings;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The inference of a layer, on tensors and heap arrays. While the input's shape stays the same it
 * allocates nothing, if the engine does not either. The layer is locked and open while this runs.
 */
final class Inference {
  private static final DataType F32 = DataType.F32;

  private final NormLayer layer;
  private final Backend backend;

  /** Parameters and running statistics, whose memory is the layer's for life. */
  private final Operands constants;

  private final TensorRows inPieces;

  private volatile @Nullable PlanMemo memo;

  Inference(NormLayer layer, Backend backend, LayerParameters parameters) {
    this.layer = layer;
    this.backend = backend;
    RunningStatistics running = parameters.running();
    constants =
        Operands.NONE
            .with(Slot.WEIGHT, Parameter.memory(parameters.weight()))
            .with(Slot.BIAS, Parameter.memory(parameters.bias()))
            .with(Slot.MEAN, running == null ? null : Parameter.memory(running.mean()))
            .with(Slot.VARIANCE, running == null ? null : Parameter.memory(running.variance()));
    inPieces = new TensorRows(layer, backend, constants);
  }

  /** All memory but input and output. */
  Operands constants() {
    return constants;
  }

  /** Inference on tensors in use. */
  void run(Tensor x, Tensor y) {
    int threads = layer.threads();
    layer.requireComputed(x);
    if (x.pieces() != null || y.pieces() != null) {
      runInPieces(x, y, threads);
      return;
    }
    DataType type = x.dataType();
    DataType result = y.dataType();
    PlanMemo known = PlanMemo.matching(memo, x.extents(), type, result, x.layout(), threads);
    if (known == null) {
      layer.requireInferable(x.extents(), x.layout());
    }
    requireAlike(x, y);
    requireApart(x, y, x.memory().address() == y.memory().address());
    if (x.size() == 0) {
      return;
    }
    CallRecord record = Recordings.call();
    PlanMemo used = acquire(known, x.extents(), type, result, x.layout(), threads);
    try {
      if (used.reordered()) {
        runReordered(used.plan(), x, y, threads);
      } else {
        used.plan().infer(x.memory(), y.memory(), constants);
      }
    } finally {
      Engines.release(used.plan());
    }
    if (record != null) {
      record.end(layer.name, used.plan(), used.reordered());
    }
  }

  /** Checks an output, in one piece as the input is. */
  void requireOutput(Tensor x, Tensor y) {
    RowPlaces.requireRows(layer, y);
    requireAlike(x, y);
    requireApart(x, y, x.memory().address() == y.memory().address());
  }

  private void runInPieces(Tensor x, Tensor y, int threads) {
    RowPlaces.requireRows(layer, x);
    RowPlaces.requireRows(layer, y);
    if (!inPieces.know(x, y, threads)) {
      layer.requireInferable(x.extents(), x.layout());
    }
    requireAlike(x, y);
    requireApart(x, y, Overlap.isSame(x, y));
    inPieces.run(x, y, threads);
  }

  private void runReordered(Plan plan, Tensor x, Tensor y, int threads) {
    DataType type = x.dataType();
    DataType result = y.dataType();
    try (PooledMemory in = MemoryPool.take(type, x.size());
        PooledMemory out = type == result ? null : MemoryPool.take(result, x.size())) {
      Memory rows = in.first(type, x.size());
      Memory results = out == null ? rows : out.first(result, x.size());
      Tensor.reorder(x.extents(), x.memory(), rows, Layout.CHANNELS_FIRST, threads);
      plan.infer(rows, results, constants);
      Tensor.reorder(x.extents(), results, y.memory(), Layout.CHANNELS_LAST, threads);
    }
  }

  /**
   * Inference on heap arrays; without a shape it is the one that their length implies. The caller
   * may write to the shape meanwhile: from the first look at it on, only the memo's copy or one
   * made here is used.
   */
  void run(float[] x, float[] y, long[] shape) {
    int threads = layer.threads();
    boolean implied = shape.length == 0;
    PlanMemo known =
        !implied
            ? PlanMemo.matching(memo, shape, F32, F32, Layout.CHANNELS_FIRST, threads)
            : layer.normalizesRows() ? PlanMemo.matching(memo, x.length, threads) : null;
    long[] full =
        known != null ? known.shape() : implied ? layer.impliedShape(x.length) : shape.clone();
    layer.requireLengths(x, y, full, known != null ? known.size() : Shapes.size(full));
    if (known == null) {
      layer.requireInferable(full, Layout.CHANNELS_FIRST);
    }
    if (x.length == 0) {
      return;
    }
    CallRecord record = Recordings.call();
    PlanMemo used = acquire(known, full, F32, F32, Layout.CHANNELS_FIRST, threads);
    boolean held;
    try {
      held = used.plan().infer(x, 0, y, 0, constants);
      if (!held) {
        runCopied(used.plan(), x, y);
      }
    } finally {
      Engines.release(used.plan());
    }
    if (record != null) {
      record.end(layer.name, used.plan(), !held);
    }
  }

  private void runCopied(Plan plan, float[] x, float[] y) {
    try (PooledMemory buffer = MemoryPool.take(F32, x.length)) {
      Memory floats = buffer.memory();
      MemoryWork work = Engines.memoryWork();
      work.copyIn(x, floats, layer.threads());
      plan.infer(floats, floats, constants);
      work.copyOut(floats, y, layer.threads());
    }
  }

  /**
   * The plan for an input that was checked, in use: the known one if it is still there. The shape
   * is one that nobody writes to.
   */
  private PlanMemo acquire(
      @Nullable PlanMemo known,
      long[] shape,
      DataType type,
      DataType result,
      Layout layout,
      int threads) {
    if (known != null && Engines.reacquire(known.plan())) {
      return known;
    }
    Storage storage = new Storage(type, result, F32);
    Plan plan = Engines.acquire(layer.inferenceProblem(shape, storage, layout, threads), backend);
    boolean reordered = layer.needsReordering(shape, layout);
    PlanMemo made =
        new PlanMemo(shape, Shapes.size(shape), type, result, layout, reordered, threads, plan);
    memo = made;
    return made;
  }

  private void requireAlike(Tensor x, Tensor y) {
    boolean alike = x.layout() == y.layout() && Arrays.equals(x.extents(), y.extents());
    boolean sameType = x.dataType() == y.dataType();
    if (!alike) {
      throw new IllegalArgumentException(
          layer + ": expected an output like the input, " + x + ", but got " + y);
    }
    if (!sameType && !Storage.isPair(x.dataType(), y.dataType())) {
      throw new IllegalArgumentException(
          layer
              + ": expected an output of a type in "
              + Storage.COMPUTED.stream().filter(t -> Storage.isPair(x.dataType(), t)).toList()
              + " for the input "
              + x
              + ", but got "
              + y);
    }
    if (y.isReadOnly()) {
      throw new IllegalArgumentException(layer + ": the output is on a read-only buffer");
    }
  }

  private void requireApart(Tensor x, Tensor y, boolean same) {
    boolean sameType = x.dataType() == y.dataType();
    boolean inPlace = same && sameType;
    if (!inPlace && Overlap.isThere(x, y)) {
      throw new IllegalArgumentException(
          layer
              + (sameType
                  ? ": the output must be the input or apart from it, but overlaps it in part"
                  : ": the output must be apart from an input of another type, but overlaps it"));
    }
    layer.parameters.requireApart(layer, "the output", y);
  }
}
