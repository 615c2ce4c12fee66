package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import org.bytedeco.javacpp.BytePointer;

/**
 * Memory from the {@link MemoryPool} that goes back there when closed, not to be used after. It
 * begins on a cache line. If it is dropped instead, JavaCPP frees it, or, where there are no
 * pointers, the collector.
 */
public final class PooledMemory implements AutoCloseable {
  /** Null where there are no pointers. */
  private final BytePointer pointer;

  private final Memory memory;

  /** The last that was asked for: the same layer asks for the same, and allocates nothing then. */
  private Memory first;

  // Guarded by the idle blocks.
  private boolean isKept;
  private long keptSince;

  /** Allocates memory of any content, of a number of bytes that is a whole number of floats. */
  PooledMemory(long bytes) {
    if (NativeMemory.HAS_POINTERS) {
      pointer = NativeMemory.pointer(bytes);
      memory = new Memory(NativeMemory.start(pointer), DataType.F32, bytes / Float.BYTES, pointer);
    } else {
      pointer = null;
      memory = Memory.of(NativeMemory.directBuffer(bytes), DataType.F32);
    }
  }

  /**
   * The memory.
   *
   * @return at least as many bytes as asked for, of any content, as floats
   */
  public Memory memory() {
    return memory;
  }

  /**
   * The beginning of the memory.
   *
   * @param type of the elements
   * @param elements how many
   * @return memory of that type and size
   */
  public Memory first(DataType type, long elements) {
    if (first == null || first.type() != type || first.elements() != elements) {
      first = memory.first(type, elements);
    }
    return first;
  }

  /** What it takes, as JavaCPP counts it. */
  long bytes() {
    return NativeMemory.allocated(memory.bytes());
  }

  boolean isKept() {
    return isKept;
  }

  long keptSince() {
    return keptSince;
  }

  void keep(long since) {
    isKept = true;
    keptSince = since;
  }

  void use() {
    isKept = false;
  }

  void free() {
    if (pointer != null) {
      pointer.deallocate();
    }
  }

  @Override
  public void close() {
    MemoryPool.put(this);
  }
}
