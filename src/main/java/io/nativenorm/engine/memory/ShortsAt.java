package io.nativenorm.engine.memory;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.ShortPointer;

/** Memory of 16-bit elements as JavaCPP takes it. */
final class ShortsAt extends ShortPointer {
  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final Memory memory;

  ShortsAt(Memory memory) {
    this(memory.address(), memory.elements(), memory);
  }

  ShortsAt(long address, long count, Memory memory) {
    super((Pointer) null);
    this.address = address;
    this.limit = count;
    this.capacity = count;
    this.memory = memory;
  }
}
