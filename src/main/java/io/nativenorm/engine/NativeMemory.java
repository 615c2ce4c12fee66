package io.nativenorm.engine;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A block of native memory that begins on a cache line. JavaCPP counts it and frees it if it is
 * dropped without {@link #free}.
 */
public final class NativeMemory {
  private static final int ALIGNMENT = 64;

  private final BytePointer block;
  private final NativeFloats floats;

  /**
   * Allocates memory of any content.
   *
   * @param floats how many floats it holds, 0 or more
   */
  public NativeMemory(long floats) {
    // A PointerScope of the caller's would free the block while it is pooled; a second hold keeps
    // it.
    block = new BytePointer(floats * Float.BYTES + ALIGNMENT).retainReference();
    if (block.isNull()) {
      throw new OutOfMemoryError("no native memory for " + floats + " floats");
    }
    long start = (block.address() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    this.floats = new NativeFloats(start, floats, block);
  }

  /**
   * The floats.
   *
   * @return a pointer with the capacity asked for; it keeps the block from being collected
   */
  public NativeFloats floats() {
    return floats;
  }

  /** Sets all floats to zero. */
  public void zero() {
    Pointer.memset(floats, 0, floats.capacity() * Float.BYTES);
  }

  /** Gives the memory back; the pointer must not be used any more. */
  public void free() {
    block.deallocate();
  }
}
