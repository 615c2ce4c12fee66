package io.nativenorm.engine;

/**
 * Native memory for the length of one call, kept for the next: copies of heap arrays, inputs that
 * are overwritten in place, masked gradients. What is kept is bounded, for the whole process, and
 * taking and giving back what is kept allocates nothing.
 */
public final class BufferPool {
  /** 64 MB: two tensors of the larger shapes in use (32x64x56x56 floats are 26 MB). */
  static final long KEPT_FLOATS = 16L << 20;

  /**
   * The ring of kept buffers, guarded by itself: the next older one is the newest, the next newer
   * one the oldest.
   */
  private static final Buffer RING = new Buffer();

  private static long keptFloats;

  private BufferPool() {}

  /** Native floats that go back to the pool when closed, not to be used after. */
  public static final class Buffer implements AutoCloseable {
    private final long capacity;
    private final NativeMemory memory;

    // Guarded by RING. In the pool if they are not null.
    private Buffer newer;
    private Buffer older;

    /** An empty ring. */
    private Buffer() {
      capacity = 0;
      memory = null;
      newer = this;
      older = this;
    }

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
      if (capacity > KEPT_FLOATS) {
        memory.free();
        return;
      }
      synchronized (RING) {
        if (newer != null) {
          return; // closed before
        }
        linkAsNewest();
      }
      freeOldest();
    }

    private void linkAsNewest() {
      newer = RING;
      older = RING.older;
      older.newer = this;
      RING.older = this;
      keptFloats += capacity;
    }

    private void unlink() {
      newer.older = older;
      older.newer = newer;
      newer = null;
      older = null;
      keptFloats -= capacity;
    }
  }

  private static void freeOldest() {
    while (true) {
      Buffer oldest;
      synchronized (RING) {
        if (keptFloats <= KEPT_FLOATS) {
          return;
        }
        oldest = RING.newer;
        oldest.unlink();
      }
      oldest.memory.free(); // outside: JavaCPP takes a lock of its own
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
    synchronized (RING) {
      for (Buffer kept = RING.older; kept != RING; kept = kept.older) {
        if (kept.capacity == capacity) {
          kept.unlink();
          return kept;
        }
      }
    }
    return new Buffer(capacity);
  }
}
