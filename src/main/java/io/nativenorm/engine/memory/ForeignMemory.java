package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.ShortBuffer;
import org.bytedeco.javacpp.Pointer;

/** Memory that a caller owns, and may end while there are tensors on it. */
public final class ForeignMemory {
  private ForeignMemory() {}

  /**
   * The first floats of a buffer, from its position on.
   *
   * @param direct a direct buffer in native byte order, which is kept reachable
   * @param size how many floats
   * @return its memory
   * @throws IllegalArgumentException if the buffer is another one or too short
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static Memory of(FloatBuffer direct, long size) {
    requireNative(direct, direct.order(), "FloatBuffer");
    FloatBuffer own = direct.slice(); // nobody else moves its position and limit
    requireRoom(own.capacity(), size);
    return firstOf(Memory.of(own), size);
  }

  /**
   * The first elements of a buffer, from its position on.
   *
   * @param direct a direct buffer in native byte order, but for elements of one byte, which is kept
   *     reachable
   * @param type of the elements
   * @param size how many elements
   * @return its memory
   * @throws IllegalArgumentException if the buffer is another one, not aligned or too short
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static Memory of(ByteBuffer direct, DataType type, long size) {
    // Elements of one byte have no order.
    ByteOrder order = type.bytes() == 1 ? ByteOrder.nativeOrder() : direct.order();
    requireNative(direct, order, "ByteBuffer");
    ByteBuffer own = direct.slice();
    requireRoom(own.capacity() / type.bytes(), size);
    if (own.alignmentOffset(0, type.bytes()) != 0) {
      throw new IllegalArgumentException(
          "wrap expects memory aligned to "
              + type.bytes()
              + " bytes, but got a buffer at position "
              + direct.position()
              + ", which is not");
    }
    return firstOf(Memory.of(own, type), size);
  }

  private static void requireNative(Buffer buffer, ByteOrder order, String kind) {
    if (!buffer.isDirect()) {
      throw new IllegalArgumentException(
          "wrap expects a direct " + kind + ", but got one on the Java heap; Tensor.of copies");
    }
    if (order != ByteOrder.nativeOrder()) {
      String when = kind.equals("FloatBuffer") ? " before asFloatBuffer()" : "";
      throw new IllegalArgumentException(
          "wrap expects a buffer in native byte order, but got "
              + order
              + "; set ByteBuffer.order(ByteOrder.nativeOrder())"
              + when);
    }
  }

  private static Memory firstOf(Memory memory, long size) {
    memory.requireThere("it");
    return memory.slice(0, size);
  }

  /**
   * The memory of a pointer, from its position on.
   *
   * @param pointer where the elements are, which is kept reachable
   * @param type of the elements
   * @param size how many elements
   * @return its memory
   * @throws IllegalArgumentException if the pointer is null, not aligned or, as far as JavaCPP
   *     knows, too short
   */
  public static Memory of(Pointer pointer, DataType type, long size) {
    if (pointer.isNull()) {
      throw new IllegalArgumentException("wrap expects memory, but got a null pointer");
    }
    long position = pointer.position();
    requireRoom(elements(pointer, position, type), size);
    long address = pointer.address() + position * pointer.sizeof();
    requireAligned(address, type);
    return new Memory(address, type, size, pointer);
  }

  private static void requireAligned(long address, DataType type) {
    if (address % type.bytes() != 0) {
      throw new IllegalArgumentException(
          "wrap expects memory aligned to "
              + type.bytes()
              + " bytes, but got address 0x"
              + Long.toHexString(address));
    }
  }

  /**
   * Memory at an address.
   *
   * @param address of the first element
   * @param owner what keeps the memory there, which is kept reachable; of a segment or a direct
   *     buffer it must be a part
   * @param type of the elements
   * @param size how many elements
   * @return its memory
   * @throws IllegalArgumentException if the address is 0 or not aligned, or the owner's memory is
   *     on the heap or does not contain that of the elements
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static Memory at(long address, Object owner, DataType type, long size) {
    if (address <= 0) {
      throw new IllegalArgumentException(
          "wrap expects memory, but got address 0x" + Long.toHexString(address));
    }
    requireAligned(address, type);
    Object keeper = keeperOf(owner, address, size * type.bytes());
    Memory memory = new Memory(address, type, size, keeper);
    memory.requireThere("it");
    return memory;
  }

  /** What keeps some bytes of an owner's memory. */
  private static Object keeperOf(Object owner, long address, long bytes) {
    if (Segments.isSegment(owner)) {
      if (Segments.isOnHeap(owner)) {
        throw onHeap("MemorySegment");
      }
      long from = Segments.address(owner);
      requirePart(address, bytes, from, Segments.bytes(owner));
      return ArenaMemory.ownerOf(owner, address - from, bytes);
    }
    if (owner instanceof Buffer buffer) {
      if (!buffer.isDirect()) {
        throw onHeap("buffer");
      }
      Buffer all = buffer.duplicate().clear(); // nobody else moves its position and limit
      requirePart(address, bytes, FloatsAt.addressOf(all), bytesOf(all));
      return ArenaMemory.ownerOf(all);
    }
    requirePart(address, bytes, address, Long.MAX_VALUE - address);
    return owner;
  }

  private static IllegalArgumentException onHeap(String kind) {
    return new IllegalArgumentException(
        "wrap expects memory outside the Java heap, but the owner is a " + kind + " on it");
  }

  private static long bytesOf(Buffer buffer) {
    int each = 8;
    if (buffer instanceof ByteBuffer) {
      each = 1;
    } else if (buffer instanceof ShortBuffer || buffer instanceof CharBuffer) {
      each = 2;
    } else if (buffer instanceof FloatBuffer || buffer instanceof IntBuffer) {
      each = 4;
    }
    return (long) buffer.capacity() * each;
  }

  private static void requirePart(long address, long bytes, long from, long available) {
    long skipped = address - from;
    if (skipped < 0 || skipped > available || available - skipped < bytes) {
      throw new IllegalArgumentException(
          "wrap expects memory within the owner's "
              + available
              + " bytes at 0x"
              + Long.toHexString(from)
              + ", but got "
              + bytes
              + " bytes at 0x"
              + Long.toHexString(address));
    }
  }

  /** How many elements there are from a position of a pointer on, as far as JavaCPP knows. */
  private static long elements(Pointer pointer, long position, DataType type) {
    long limit = pointer.limit();
    long capacity = pointer.capacity();
    // Memory that came as an address alone has capacity 0 and nobody who frees it. What JavaCPP
    // allocated counts its references, and its capacity is known, even if that is 0.
    boolean known = capacity > 0 || pointer.referenceCount() >= 0;
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
    return (limit - position) * pointer.sizeof() / type.bytes();
  }

  private static void requireRoom(long available, long size) {
    if (available < size) {
      throw new IllegalArgumentException(
          "the shape has " + size + " elements, but the memory has room for " + available);
    }
  }
}
