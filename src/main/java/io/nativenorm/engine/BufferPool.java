package io.nativenorm.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

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

  /** Native floats that go back to the pool when closed, not to be used after. */
  public static final class Buffer implements AutoCloseable {
    private final long capacity;
    private final NativeMemory memory;

    /** Guarded by KEPT. */
    private boolean kept;

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
      List<Buffer> dropped = new ArrayList<>();
      synchronized (KEPT) {
        if (kept) {
          return;
        }
        kept = true;
        if (capacity > KEPT_FLOATS) {
          dropped.add(this);
        } else {
          KEPT.addFirst(this);
          keptFloats += capacity;
        }
        while (keptFloats > KEPT_FLOATS) {
          Buffer oldest = KEPT.removeLast();
          keptFloats -= oldest.capacity;
          dropped.add(oldest);
        }
      }
      dropped.forEach(buffer -> buffer.memory.free());
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
          kept.kept = false;
          return kept;
        }
      }
    }
    return new Buffer(capacity);
  }
}
