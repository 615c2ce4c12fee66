package io.nativenorm.engine.memory;

import io.nativenorm.engine.NativeAccess;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Supplier;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Allocates outside the heap: by JavaCPP, which counts, or without {@link NativeAccess} as direct
 * buffers. Before an allocation is refused, what the {@link MemoryPool} keeps is given back.
 */
final class NativeMemory {
  private static final int ALIGNMENT = 64;

  /** Before a class of JavaCPP's is initialized, which would look for its library. */
  static final boolean HAS_POINTERS = NativeAccess.missing().isEmpty();

  private NativeMemory() {}

  /** The bytes that are allocated for so many, as JavaCPP counts them. */
  static long allocated(long bytes) {
    return bytes + ALIGNMENT;
  }

  /** A pointer to memory with so many bytes from its {@link #start} on. */
  static BytePointer pointer(long bytes) {
    makeRoom(allocated(bytes));
    // A PointerScope of the caller's would free the block while it is pooled, but for a second
    // reference.
    return emptyingThePool(() -> new BytePointer(allocated(bytes)).retainReference());
  }

  /** The first address of a cache line in a pointer's memory. */
  static long start(Pointer pointer) {
    return (pointer.address() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** The same where there are no pointers. */
  static ByteBuffer directBuffer(long bytes) {
    if (bytes > Integer.MAX_VALUE) {
      throw new OutOfMemoryError(
          bytes + " bytes are too many for a buffer, and " + NativeAccess.missing().get());
    }
    return emptyingThePool(() -> ByteBuffer.allocateDirect((int) bytes))
        .order(ByteOrder.nativeOrder());
  }

  /** An allocation that fails only if nothing is kept. */
  private static <T> T emptyingThePool(Supplier<T> allocation) {
    try {
      return allocation.get();
    } catch (OutOfMemoryError e) {
      if (MemoryPool.giveBack(Long.MAX_VALUE) == 0) {
        throw e;
      }
      return allocation.get();
    }
  }

  /**
   * Gives back what is kept where JavaCPP would meet a limit: it knows nothing of the pool, calls
   * the collector ten times, which takes a second, and fails.
   */
  private static void makeRoom(long bytes) {
    long most = Pointer.maxBytes();
    if (most > 0) {
      MemoryPool.giveBack(Pointer.totalBytes() + bytes - most);
    }
    long resident = Pointer.maxPhysicalBytes();
    if (resident > 0 && MemoryPool.keptBytes() > 0) {
      long above = Pointer.physicalBytesInaccurate(resident) + bytes - resident;
      if (MemoryPool.giveBack(above) > 0) {
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
}
