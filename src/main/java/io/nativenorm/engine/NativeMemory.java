package io.nativenorm.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;

/**
 * A block of native memory that begins on a cache line. JavaCPP counts it and frees it if it is
 * dropped without {@link #free}. Without {@link NativeAccess} it is a direct buffer, which the
 * collector frees.
 */
public final class NativeMemory {
  private static final int ALIGNMENT = 64;

  /** Before a class of JavaCPP's is initialized, which would look for its library. */
  private static final boolean HAS_POINTERS = NativeAccess.missing().isEmpty();

  /** Null where there are no pointers. */
  private final BytePointer block;

  private final NativeFloats floats;

  /**
   * Allocates memory of any content.
   *
   * @param floats how many floats it holds, 0 or more
   */
  public NativeMemory(long floats) {
    if (!HAS_POINTERS) {
      block = null;
      this.floats = NativeFloats.withoutAddress(directBuffer(floats));
      return;
    }
    // A PointerScope of the caller's would free the block while it is pooled; a second hold keeps
    // it.
    block = new BytePointer(floats * Float.BYTES + ALIGNMENT).retainReference();
    if (block.isNull()) {
      throw new OutOfMemoryError("no native memory for " + floats + " floats");
    }
    long start = (block.address() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    this.floats = new NativeFloats(start, floats, block);
  }

  private static FloatBuffer directBuffer(long floats) {
    long bytes = floats * Float.BYTES;
    if (bytes > Integer.MAX_VALUE) {
      throw new OutOfMemoryError(
          floats + " floats are too many for a buffer, and " + NativeAccess.missing().get());
    }
    return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  /**
   * The memory of a direct buffer, from its position on.
   *
   * @param direct a direct buffer
   * @return its remaining floats, which keep it reachable
   */
  public static NativeFloats of(FloatBuffer direct) {
    return HAS_POINTERS ? NativeFloats.of(direct) : NativeFloats.withoutAddress(direct.slice());
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
    floats.setAll(0);
  }

  /** Gives the memory back; the pointer must not be used any more. */
  public void free() {
    if (block != null) {
      block.deallocate();
    }
  }
}
