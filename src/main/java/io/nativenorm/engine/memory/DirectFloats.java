package io.nativenorm.engine.memory;

import java.lang.ref.WeakReference;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** Floats in a caller's direct buffer, read during one call, for which nothing is made. */
public final class DirectFloats {
  /**
   * Buffers whose memory nobody can end, by their identity: asking again makes objects of 104
   * bytes. More than these are asked again.
   */
  @SuppressWarnings({"unchecked", "rawtypes"}) // there are no arrays of a generic type
  private static final WeakReference<FloatBuffer>[] LASTING = new WeakReference[256];

  private DirectFloats() {}

  /**
   * Where some floats of a buffer are, by their indices: its position does not matter.
   *
   * @param what they are, for messages
   * @param direct a direct buffer in native byte order, to be kept reachable
   * @param from index of the first
   * @param count how many, 1 or more
   * @return their address, or 0 where there are no addresses, or an arena of theirs might be closed
   *     during the call, which to hold takes longer than a copy
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
    if (!lasts(direct)) {
      return 0;
    }
    return NativeMemory.HAS_POINTERS ? FloatsAt.addressOf(direct) + (long) from * Float.BYTES : 0;
  }

  private static boolean lasts(FloatBuffer direct) {
    if (!ForeignApi.IS_THERE) {
      return true;
    }
    int at = System.identityHashCode(direct) & LASTING.length - 1;
    WeakReference<FloatBuffer> known = LASTING[at];
    if (known != null && known.refersTo(direct)) {
      return true;
    }
    if (Segments.canEnd(Segments.ofBuffer(direct))) {
      return false;
    }
    LASTING[at] = new WeakReference<>(direct);
    return true;
  }
}
