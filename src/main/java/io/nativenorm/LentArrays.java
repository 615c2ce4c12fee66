package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The operands of one call, or of several on parts of them, of which some may be heap arrays: as
 * they are where the plan may hold them, else copied into pooled memory, and out of it.
 */
final class LentArrays implements AutoCloseable {
  private final @Nullable Plan plan;
  private final long calls;
  private final int threads;
  private final Operands.Builder operands;

  /** Asked of the plan with the first array. */
  private @Nullable Boolean held;

  /** Null where there are none. */
  private @Nullable List<Copy> copies;

  private record Copy(float[] array, PooledMemory block, boolean ownsBlock, boolean goesBack) {
    Memory memory() {
      return block.first(DataType.F32, array.length);
    }
  }

  /** Without a plan all are copied. */
  LentArrays(@Nullable Plan plan, long calls, int threads, Operands.Builder operands) {
    this.plan = plan;
    this.calls = calls;
    this.threads = threads;
    this.operands = operands;
  }

  void put(Slot slot, @Nullable Memory memory) {
    operands.put(slot, memory);
  }

  /** An array that is only read. */
  void read(Slot slot, float[] array) {
    lend(slot, array, true, false);
  }

  /** An array, or none, that is written, and read before if it is added to. */
  void write(Slot slot, float @Nullable [] array, boolean adds) {
    if (array != null) {
      lend(slot, array, adds, true);
    }
  }

  private void lend(Slot slot, float[] array, boolean isRead, boolean isWritten) {
    if (held == null) {
      held = plan != null && plan.holdsArrays(calls);
    }
    if (held) {
      operands.put(slot, array);
    } else {
      operands.put(slot, copy(array, isRead, isWritten));
    }
  }

  /** In place where the caller's arrays are: the bits are those of one that is held. */
  private Memory copy(float[] array, boolean isRead, boolean isWritten) {
    if (copies == null) {
      copies = new ArrayList<>(4);
    }
    PooledMemory block = blockOf(array);
    boolean isNew = block == null;
    if (isNew) {
      block = MemoryPool.take(DataType.F32, array.length);
    }
    Copy made = new Copy(array, block, isNew, isWritten);
    copies.add(made);
    if (isNew && isRead) {
      Engines.memoryWork().copyIn(array, made.memory(), threads);
    }
    return made.memory();
  }

  private @Nullable PooledMemory blockOf(float[] array) {
    for (Copy copy : copies) {
      if (copy.array == array) {
        return copy.block;
      }
    }
    return null;
  }

  Operands build() {
    return operands.build();
  }

  boolean areCopied() {
    return copies != null;
  }

  /** Copies out what the call has written. */
  void copyBack() {
    for (int i = 0; copies != null && i < copies.size(); i++) {
      Copy copy = copies.get(i);
      if (copy.goesBack) {
        Engines.memoryWork().copyOut(copy.memory(), copy.array, threads);
      }
    }
  }

  @Override
  public void close() {
    for (int i = 0; copies != null && i < copies.size(); i++) {
      Copy copy = copies.get(i);
      if (copy.ownsBlock) {
        copy.block.close();
      }
    }
  }
}
