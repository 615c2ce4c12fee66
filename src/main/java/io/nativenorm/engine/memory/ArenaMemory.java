package io.nativenorm.engine.memory;

import java.nio.Buffer;
import java.nio.ByteBuffer;

/**
 * The owner of memory that ends with an arena, also while another thread uses it: it is held open
 * for a use (see {@link ArenaHold}). In Java it is used through the segment's own buffers, which
 * the JDK looks after.
 *
 * @param segment a MemorySegment
 * @param first some of the memory, for a look whether it is there
 */
record ArenaMemory(Object segment, Buffer first) {
  /** What owns a direct buffer's memory: the buffer itself unless an arena can end it. */
  static Object ownerOf(Buffer direct) {
    if (!ForeignApi.IS_THERE) {
      return direct;
    }
    Object segment = Segments.ofBuffer(direct);
    return Segments.canEnd(segment) ? new ArenaMemory(segment, direct) : direct;
  }

  /** What owns some bytes of a segment, from one of them on. */
  static Object ownerOf(Object segment, long from, long bytes) {
    if (Segments.canEnd(segment) || bytes > Integer.MAX_VALUE) {
      return new ArenaMemory(segment, Segments.buffer(segment, from, (int) Math.min(bytes, 1)));
    }
    return Segments.buffer(segment, from, (int) bytes);
  }

  /** Bytes from an address on. */
  ByteBuffer buffer(long address, int count) {
    return Segments.buffer(segment, address - Segments.address(segment), count);
  }
}
