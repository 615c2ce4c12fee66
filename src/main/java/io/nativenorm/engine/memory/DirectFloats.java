package io.nativenorm.engine.memory;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** Floats in a caller's direct buffer, read during one call, for which nothing is made. */
public final class DirectFloats {
  private DirectFloats() {}

  /**
   * Where some floats of a buffer are, by their indices: its position does not matter.
   *
   * @param what they are, for messages
   * @param direct a direct buffer in native byte order, to be kept reachable
   * @param from index of the first
   * @param count how many, 1 or more
   * @return their address, or 0 where there are no addresses
   * @throws IllegalArgumentException if the buffer is another one or does not have them
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static long addressOf(String what, FloatBuffer direct, int from, int count) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException(
          what + ": expected a direct FloatBuffer, but got one on the Java heap; pass its array");
    }
    if (direct.order() != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          what
              + ": expected a buffer in native byte order, but got "
              + direct.order()
              + "; set ByteBuffer.order(ByteOrder.nativeOrder()) before asFloatBuffer()");
    }
    if (from < 0 || (long) from + count > direct.limit()) {
      throw new IllegalArgumentException(
          what
              + ": expected "
              + count
              + " elements from "
              + from
              + " on, but got a limit of "
              + direct.limit());
    }
    direct.get(from); // throws if its arena is closed, or another thread's
    return NativeMemory.HAS_POINTERS ? FloatsAt.addressOf(direct) + (long) from * Float.BYTES : 0;
  }
}
