package io.nativenorm.engine;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;

/** Memory that is addressed as floats elsewhere, two of them for each 64-bit integer. */
public final class NativeLongs extends LongPointer {
  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final NativeFloats memory;

  /**
   * Creates a pointer.
   *
   * @param memory the integers' memory, all of it
   */
  public NativeLongs(NativeFloats memory) {
    super((Pointer) null);
    this.address = memory.address();
    this.limit = memory.capacity() / 2;
    this.capacity = limit;
    this.memory = memory;
  }
}
