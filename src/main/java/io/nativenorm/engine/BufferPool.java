package io.nativenorm.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * Native memory that is kept for the next who asks: the tensors that the library makes, copies of
 * heap arrays, masked gradients. JavaCPP reads the process's size from the system whenever it
 * allocates, which made a training pass over one row of 4096 floats 7.5 times slower than its
 * kernel. What is kept is bounded, for the whole process.
 */
public final class BufferPool {
  /** 64 MB: two tensors of the larger shapes in use (32x64x56x56 floats are 26 MB). */
  static final long KEPT_FLOATS = 16L << 20;

  private static final int SMALLEST = 1024;

  /** Steps from one power of two to the next: at most an eighth is allocated in vain. */
  private static final int STEPS = 8;

  /** The kept buffers of each capacity, oldest first; guards itself. */
  private static final List<ArrayDeque<Buffer>> KEPT = new ArrayList<>();

  static {
    for (int i = 0; i <= sizeClass(KEPT_FLOATS); i++) {
      KEPT.add(new ArrayDeque<>());
    }
  }

  // Guarded by KEPT.
  private static long keptFloats;
  private static long clock;

  private BufferPool() {}

  /** Native floats that go back to the pool when closed, not to be used after. */
  public static final class Buffer implements AutoCloseable {
    private final long capacity;
    private final NativeMemory memory;

    // Guarded by KEPT.
    private boolean isKept;
    private long keptSince;

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
      boolean tooMuch;
      synchronized (KEPT) {
        if (isKept) {
          return; // closed before
        }
        isKept = true;
        keptSince = clock++;
        keptFloats += capacity;
        KEPT.get(sizeClass(capacity)).addLast(this);
        tooMuch = keptFloats > KEPT_FLOATS;
      }
      if (tooMuch) {
        freeOldest();
      }
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
    int sizeClass = sizeClass(floats);
    synchronized (KEPT) {
      Buffer kept = KEPT.get(sizeClass).pollLast();
      if (kept != null) {
        kept.isKept = false;
        keptFloats -= kept.capacity;
        return kept;
      }
    }
    return new Buffer(capacity(sizeClass));
  }

  private static void freeOldest() {
    while (true) {
      Buffer oldest = null;
      synchronized (KEPT) {
        if (keptFloats <= KEPT_FLOATS) {
          return;
        }
        for (ArrayDeque<Buffer> sameCapacity : KEPT) {
          Buffer candidate = sameCapacity.peekFirst();
          if (candidate != null && (oldest == null || candidate.keptSince < oldest.keptSince)) {
            oldest = candidate;
          }
        }
        KEPT.get(sizeClass(oldest.capacity)).removeFirst();
        keptFloats -= oldest.capacity;
      }
      oldest.memory.free(); // outside: JavaCPP takes a lock of its own
    }
  }

  /** Which of the capacities is the smallest with room for so many floats. */
  private static int sizeClass(long floats) {
    if (floats <= SMALLEST) {
      return 0;
    }
    long last = floats - 1;
    int octave = Long.numberOfTrailingZeros(Long.highestOneBit(last));
    int step = (int) (last >>> (octave - 3)) - STEPS;
    return (octave - 10) * STEPS + step + 1;
  }

  private static long capacity(int sizeClass) {
    long octave = SMALLEST << (sizeClass / STEPS);
    return octave + octave / STEPS * (sizeClass % STEPS);
  }
}
