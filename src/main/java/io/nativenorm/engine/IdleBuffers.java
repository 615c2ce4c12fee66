package io.nativenorm.engine;

import io.nativenorm.engine.BufferPool.Buffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * The pool's idle buffers, a stack for each size class: the one that was put back last is taken
 * first, and the one that has been idle longest is removed first. Safe for many threads; what is
 * removed is freed outside the lock, for JavaCPP takes one of its own.
 */
final class IdleBuffers {
  private static final int SMALLEST = 1024;

  /** Size classes between two powers of two: at most an eighth of a buffer is unused. */
  private static final int STEPS = 8;

  /** What was idle when {@link #age} was called so many times ago is old. */
  static final int AGES = 5;

  private final long bound;
  private final List<ArrayDeque<Buffer>> stacks = new ArrayList<>();
  private long bytes;

  /** How many buffers were ever put here. */
  private long clock;

  /** The clock at the latest ages. */
  private final long[] ages = new long[AGES];

  private int age;

  /**
   * None at first.
   *
   * @param bound the most bytes that are kept
   */
  IdleBuffers(long bound) {
    this.bound = bound;
    for (int i = 0; i <= sizeClass(bound / Float.BYTES); i++) {
      stacks.add(new ArrayDeque<>());
    }
  }

  long bound() {
    return bound;
  }

  synchronized long bytes() {
    return bytes;
  }

  /** How many floats a new buffer for so many has: not one more if it is not going to be kept. */
  long capacity(long floats) {
    return keeps(floats) ? capacityOf(sizeClass(floats)) : floats;
  }

  /** Whether a buffer for so many floats is kept. */
  boolean keeps(long floats) {
    return floats <= bound / Float.BYTES
        && NativeMemory.bytes(capacityOf(sizeClass(floats))) <= bound;
  }

  /** Takes a buffer for so many floats; null if there is none. */
  Buffer take(long floats) {
    if (!keeps(floats)) {
      return null;
    }
    synchronized (this) {
      Buffer kept = stacks.get(sizeClass(floats)).pollLast();
      if (kept != null) {
        kept.use();
        bytes -= kept.bytes();
      }
      return kept;
    }
  }

  /**
   * Puts a buffer here, unless it is here already.
   *
   * @return how many bytes are here now
   */
  synchronized long put(Buffer buffer) {
    if (!buffer.isKept()) {
      buffer.keep(clock++);
      bytes += buffer.bytes();
      stacks.get(sizeClass(buffer.capacity())).addLast(buffer);
    }
    return bytes;
  }

  /** Removes the buffer that is idle longest, if there are more bytes than that; else null. */
  synchronized Buffer removeAbove(long most) {
    return bytes > most ? remove(oldest()) : null;
  }

  /** A second has gone by: what was here before the last few of them is old. */
  synchronized void age() {
    ages[age] = clock;
    age = (age + 1) % AGES;
  }

  /** Removes the buffer that is idle longest, if it is old and there are more bytes than that. */
  synchronized Buffer removeOldAbove(long most) {
    Buffer oldest = bytes > most ? oldest() : null;
    return oldest != null && oldest.keptSince() < ages[age] ? remove(oldest) : null;
  }

  private Buffer oldest() {
    Buffer oldest = null;
    for (ArrayDeque<Buffer> stack : stacks) {
      Buffer candidate = stack.peekFirst();
      if (candidate != null && (oldest == null || candidate.keptSince() < oldest.keptSince())) {
        oldest = candidate;
      }
    }
    return oldest;
  }

  private Buffer remove(Buffer oldest) {
    stacks.get(sizeClass(oldest.capacity())).removeFirst();
    bytes -= oldest.bytes();
    return oldest;
  }

  /** The smallest size class with room for so many floats. */
  private static int sizeClass(long floats) {
    if (floats <= SMALLEST) {
      return 0;
    }
    long last = floats - 1;
    int octave = Long.numberOfTrailingZeros(Long.highestOneBit(last));
    int step = (int) (last >>> (octave - 3)) - STEPS;
    return (octave - 10) * STEPS + step + 1;
  }

  private static long capacityOf(int sizeClass) {
    long octave = (long) SMALLEST << (sizeClass / STEPS);
    return octave + octave / STEPS * (sizeClass % STEPS);
  }
}
