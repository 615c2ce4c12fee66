package io.nativenorm.engine.memory;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * The pool's idle blocks, a stack for each size class: the one that was put back last is taken
 * first, and the one that has been idle longest is removed first. Safe for many threads; what is
 * removed is freed outside the lock, for JavaCPP takes one of its own.
 */
final class IdleMemory {
  private static final int FIRST_OCTAVE = 12;

  private static final int SMALLEST = 1 << FIRST_OCTAVE;

  /** Size classes between two powers of two: at most an eighth of a block is unused. */
  private static final int STEPS = 8;

  /** What was idle when {@link #age} was called so many times ago is old. */
  static final int AGES = 5;

  private final long bound;
  private final List<ArrayDeque<PooledMemory>> stacks = new ArrayList<>();
  private long bytes;

  /** How many blocks were ever put here. */
  private long clock;

  /** The clock at the latest ages. */
  private final long[] ages = new long[AGES];

  private int age;

  /**
   * None at first.
   *
   * @param bound the most bytes that are kept
   */
  IdleMemory(long bound) {
    this.bound = bound;
    for (int i = 0; i <= sizeClass(bound); i++) {
      stacks.add(new ArrayDeque<>());
    }
  }

  long bound() {
    return bound;
  }

  synchronized long bytes() {
    return bytes;
  }

  /** How many bytes a new block for so many has: not one more if it is not going to be kept. */
  long capacity(long size) {
    return keeps(size) ? capacityOf(sizeClass(size)) : size;
  }

  /** Whether a block for so many bytes is kept. */
  boolean keeps(long size) {
    return size <= bound && NativeMemory.allocated(capacityOf(sizeClass(size))) <= bound;
  }

  /** Takes a block for so many bytes; null if there is none. */
  PooledMemory take(long size) {
    if (!keeps(size)) {
      return null;
    }
    synchronized (this) {
      PooledMemory kept = stacks.get(sizeClass(size)).pollLast();
      if (kept != null) {
        kept.use();
        bytes -= kept.bytes();
      }
      return kept;
    }
  }

  /**
   * Puts a block here, unless it is here already.
   *
   * @return how many bytes are here now
   */
  synchronized long put(PooledMemory block) {
    if (!block.isKept()) {
      block.keep(clock++);
      bytes += block.bytes();
      stacks.get(sizeClass(block.memory().bytes())).addLast(block);
    }
    return bytes;
  }

  /** Removes the block that is idle longest, if there are more bytes than that; else null. */
  synchronized PooledMemory removeAbove(long most) {
    return bytes > most ? remove(oldest()) : null;
  }

  /** A second has gone by: what was here before the last few of them is old. */
  synchronized void age() {
    ages[age] = clock;
    age = (age + 1) % AGES;
  }

  /** Removes the block that is idle longest, if it is old and there are more bytes than that. */
  synchronized PooledMemory removeOldAbove(long most) {
    PooledMemory oldest = bytes > most ? oldest() : null;
    return oldest != null && oldest.keptSince() < ages[age] ? remove(oldest) : null;
  }

  private PooledMemory oldest() {
    PooledMemory oldest = null;
    for (ArrayDeque<PooledMemory> stack : stacks) {
      PooledMemory candidate = stack.peekFirst();
      if (candidate != null && (oldest == null || candidate.keptSince() < oldest.keptSince())) {
        oldest = candidate;
      }
    }
    return oldest;
  }

  private PooledMemory remove(PooledMemory oldest) {
    stacks.get(sizeClass(oldest.memory().bytes())).removeFirst();
    bytes -= oldest.bytes();
    return oldest;
  }

  /** The smallest size class with room for so many bytes. */
  private static int sizeClass(long size) {
    if (size <= SMALLEST) {
      return 0;
    }
    long last = size - 1;
    int octave = Long.numberOfTrailingZeros(Long.highestOneBit(last));
    int step = (int) (last >>> (octave - 3)) - STEPS;
    return (octave - FIRST_OCTAVE) * STEPS + step + 1;
  }

  private static long capacityOf(int sizeClass) {
    long octave = (long) SMALLEST << (sizeClass / STEPS);
    return octave + octave / STEPS * (sizeClass % STEPS);
  }
}
