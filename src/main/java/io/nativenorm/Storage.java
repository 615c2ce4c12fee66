package io.nativenorm;

import io.nativenorm.engine.BufferPool;
import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.NativeMemory;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.Pointer;

/**
 * Memory that several tensors may lie on, each holding it until it is closed: the library's own, or
 * a caller's, who may have ended it.
 */
final class Storage {
  private final NativeFloats floats;
  private final Lifetime lifetime;

  /** The caller's buffer from its position on; null if it is not a buffer's memory. */
  private final FloatBuffer buffer;

  /** The caller's pointer; null if it is not a pointer's memory. */
  private final Pointer pointer;

  private Storage(NativeFloats floats, Runnable free, FloatBuffer buffer, Pointer pointer) {
    this.floats = floats;
    this.lifetime = new Lifetime(free);
    this.buffer = buffer;
    this.pointer = pointer;
  }

  /** Memory of the library's own, of any content. */
  static Storage allocate(long bytes) {
    long count = (bytes + Float.BYTES - 1) / Float.BYTES;
    BufferPool.Buffer memory = BufferPool.take(count);
    return new Storage(memory.floats().first(count), memory::close, null, null);
  }

  /** The first floats of a buffer, from its position on. */
  static Storage of(FloatBuffer direct, long size) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException(
          "wrap expects a direct FloatBuffer, but got one on the Java heap; Tensor.of copies");
    }
    if (direct.order() != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          "wrap expects a buffer in native byte order, but got "
              + direct.order()
              + "; set ByteBuffer.order(ByteOrder.nativeOrder()) before asFloatBuffer()");
    }
    FloatBuffer own = direct.slice(); // nobody else moves its position and limit
    requireRoom(own.capacity(), size);
    NativeFloats floats = NativeMemory.of(own).slice(0, size);
    Storage storage = new Storage(floats, () -> {}, own, null);
    storage.requireThere("it");
    return storage;
  }

  /** The memory of a pointer, from its position on. */
  static Storage of(Pointer memory, DataType type, long size) {
    if (memory.isNull()) {
      throw new IllegalArgumentException("wrap expects memory, but got a null pointer");
    }
    long position = memory.position();
    requireRoom(elements(memory, position, type), size);
    long address = memory.address() + position * memory.sizeof();
    if (address % type.bytes() != 0) {
      throw new IllegalArgumentException(
          "wrap expects memory aligned to "
              + type.bytes()
              + " bytes, but got address 0x"
              + Long.toHexString(address));
    }
    NativeFloats floats = new NativeFloats(address, size * type.bytes() / Float.BYTES, memory);
    return new Storage(floats, () -> {}, null, memory);
  }

  /** How many elements there are from a position of a pointer on, as far as JavaCPP knows. */
  private static long elements(Pointer memory, long position, DataType type) {
    long limit = memory.limit();
    long capacity = memory.capacity();
    // Memory that came as an address alone has capacity 0 and nobody who frees it. What JavaCPP
    // allocated counts its references, and its capacity is known, even if that is 0.
    boolean known = capacity > 0 || memory.referenceCount() >= 0;
    if (!known && limit == 0) {
      return Long.MAX_VALUE;
    }
    if (limit < position || (known && (position < 0 || limit > capacity))) {
      throw new IllegalArgumentException(
          "wrap expects a position and a limit within the memory, but got position "
              + position
              + " and limit "
              + limit
              + " of capacity "
              + capacity);
    }
    return (limit - position) * memory.sizeof() / type.bytes();
  }

  private static void requireRoom(long available, long size) {
    if (available < size) {
      throw new IllegalArgumentException(
          "the shape has " + size + " elements, but the memory has room for " + available);
    }
  }

  NativeFloats floats() {
    return floats;
  }

  boolean isReadOnly() {
    return buffer != null && buffer.isReadOnly();
  }

  /**
   * Throws if the caller has ended the memory. Of a buffer an element is read: where the memory is
   * an arena's, that throws once the arena is closed, or on a thread that may not use it. The read
   * takes a nanosecond, also of a buffer without an arena.
   */
  void requireThere(Object what) {
    if (buffer != null && buffer.capacity() > 0) {
      buffer.get(0);
    }
    if (pointer != null && pointer.isNull()) {
      throw new IllegalStateException("the memory under the tensor " + what + " was freed");
    }
  }

  /** One more tensor on this memory, which another one holds meanwhile. */
  void hold() {
    lifetime.acquire();
  }

  void release() {
    lifetime.release();
  }

  /** A buffer over the first floats that holds this memory for itself and all made of it. */
  FloatBuffer lend(int size) {
    if (buffer != null) {
      return buffer.slice(0, size);
    }
    hold();
    try {
      return floats.lend(size, this::release);
    } catch (RuntimeException | Error e) {
      release();
      throw e;
    }
  }
}
