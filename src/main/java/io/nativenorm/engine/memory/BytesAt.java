package io.nativenorm.engine.memory;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** Memory of 8-bit elements as JavaCPP takes it. */
final class BytesAt extends BytePointer {
  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final Memory memory;

  BytesAt(Memory memory) {
    this(memory.address(), memory.elements(), memory);
  }

  BytesAt(long address, long count, Memory memory) {
    super((Pointer) null);
    this.address = address;
    this.limit = count;
    this.capacity = count;
    this.memory = memory;
  }
}
