package io.nativenorm.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.function.Supplier;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A block of native memory that begins on a cache line. JavaCPP counts it and frees it if it is
 * dropped without {@link #free}. Without {@link NativeAccess} it is a direct buffer, which the
 * collector frees. Before an allocation is refused, what the {@link BufferPool} keeps is given
 * back.
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
      this.floats = NativeFloats.withoutAddress(emptyingThePool(() -> directBuffer(floats)));
      return;
    }
    makeRoom(bytes(floats));
    block = emptyingThePool(() -> pointer(bytes(floats)));
    long start = (block.address() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    this.floats = new NativeFloats(start, floats, block);
  }

  /** The bytes of a block for so many floats, as JavaCPP counts them. */
  static long bytes(long floats) {
    return floats * Float.BYTES + ALIGNMENT;
  }

  /** An allocation that fails only if nothing is kept. */
  private static <T> T emptyingThePool(Supplier<T> allocation) {
    try {
      return allocation.get();
    } catch (OutOfMemoryError e) {
      if (BufferPool.giveBack(Long.MAX_VALUE) == 0) {
        throw e;
      }
      return allocation.get();
    }
  }

  private static BytePointer pointer(long bytes) {
    // A PointerScope of the caller's would free the block while it is pooled, but for a second
    // reference.
    return new BytePointer(bytes).retainReference();
  }

  /**
   * Gives back what is kept where JavaCPP would meet a limit: it knows nothing of the pool, calls
   * the collector ten times, which takes a second, and fails.
   */
  private static void makeRoom(long bytes) {
    long most = Pointer.maxBytes();
    if (most > 0) {
      BufferPool.giveBack(Pointer.totalBytes() + bytes - most);
    }
    long resident = Pointer.maxPhysicalBytes();
    if (resident > 0 && BufferPool.keptBytes() > 0) {
      long above = Pointer.physicalBytesInaccurate(resident) + bytes - resident;
      if (BufferPool.giveBack(above) > 0) {
        trim();
      }
    }
  }

  /** Has freed memory go back to the system: the C library keeps some. */
  static void trim() {
    if (HAS_POINTERS) {
      Pointer.trimMemory();
    }
  }

  /**
   * The most bytes that may be kept idle: half of what JavaCPP may allocate, and a quarter of what
   * may be resident, where the Java heap is counted too. Without limits half of the heap's.
   */
  static long share() {
    long heap = Runtime.getRuntime().maxMemory();
    if (!HAS_POINTERS) {
      return heap / 2;
    }
    long most = Pointer.maxBytes() > 0 ? Pointer.maxBytes() : heap;
    long resident = Pointer.maxPhysicalBytes();
    return resident > 0 ? Math.min(most / 2, resident / 4) : most / 2;
  }

  /**
   * How many bytes should go back so that an eighth of what JavaCPP may allocate is left to others,
   * who do not know that some of it is idle.
   */
  static long bytesAboveShare() {
    long most = HAS_POINTERS ? Pointer.maxBytes() : 0;
    return most > 0 ? Pointer.totalBytes() - (most - most / 8) : 0;
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
