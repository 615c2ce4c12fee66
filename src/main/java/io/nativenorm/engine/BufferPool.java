package io.nativenorm.engine;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Native memory for the length of one call, kept for the next: copies of heap arrays, inputs that
 * are overwritten in place, masked gradients. What is kept is bounded, for the whole process.
 */
public final class BufferPool {
  /** 64 MB: two tensors of the larger shapes in use (32x64x56x56 floats are 26 MB). */
  static final long KEPT_FLOATS = 16L << 20;

  private static final Deque<Buffer> KEPT = new ArrayDeque<>();
  private static long keptFloats;

  private BufferPool() {}

  /** Native floats that go back to the pool when closed. */
  public static final class Buffer implements AutoCloseable {
    private final long capacity;
    private final NativeMemory memory;

    private Buffer(long capacity) {
      this.capacity = capacity;
      this.memory = new NativeMemory(capacity);
    }

    /**
     * The floats.
     *
     * @return at least as many as asked for, 64-byte aligned, of any content
     */
    public NativeFloats floats() {
      return memory.floats();
    }

    @Override
    public void close() {
      synchronized (KEPT) {
        if (keptFloats + capacity <= KEPT_FLOATS) {
          KEPT.addFirst(this);
          keptFloats += capacity;
          return;
        }
      }
      memory.free();
    }
  }

  /**
   * Takes a buffer out of the pool, or a new one.
   *
   * @param floats how many floats it must hold
   * @return a buffer, to be closed by the caller
   */
  public static Buffer take(long floats) {
    if (floats > KEPT_FLOATS) {
      return new Buffer(floats);
    }
    // Powers of two, so that a few sizes serve every call.
    long capacity = Long.highestOneBit(Math.max(floats, 1024) - 1) << 1;
    synchronized (KEPT) {
      for (var all = KEPT.iterator(); all.hasNext(); ) {
        Buffer kept = all.next();
        if (kept.capacity == capacity) {
          all.remove();
          keptFloats -= capacity;
          return kept;
        }
      }
    }
    return new Buffer(capacity);
  }
}
