package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
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
   * @param direct a direct buffer in native byte order, which is kept reachable
   * @param type of the elements
   * @param size how many elements
   * @return its memory
   * @throws IllegalArgumentException if the buffer is another one, not aligned or too short
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static Memory of(ByteBuffer direct, DataType type, long size) {
    requireNative(direct, direct.order(), "ByteBuffer");
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
    if (address % type.bytes() != 0) {
      throw new IllegalArgumentException(
          "wrap expects memory aligned to "
              + type.bytes()
              + " bytes, but got address 0x"
              + Long.toHexString(address));
    }
    return new Memory(address, type, size, pointer);
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
