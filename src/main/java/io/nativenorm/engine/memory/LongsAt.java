package io.nativenorm.engine.memory;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;

/** Memory of 64-bit integers as JavaCPP takes it. */
final class LongsAt extends LongPointer {
  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final Memory memory;

  LongsAt(Memory memory) {
    super((Pointer) null);
    this.address = memory.address();
    this.limit = memory.elements();
    this.capacity = limit;
    this.memory = memory;
  }
}
