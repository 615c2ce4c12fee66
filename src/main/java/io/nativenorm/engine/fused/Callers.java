package io.nativenorm.engine.fused;

import java.util.function.LongSupplier;

/**
 * How many threads have called lately. A call of a known thread reads memory that nobody writes;
 * the clock is read for new ones, and while there are more than a few.
 */
final class Callers {
  /**
   * A thread is forgotten after one to two of these without a call. 64 threads in turns on two
   * processors, in time slices of 3 ms, take 0.1 s; where other processes had most of the time, a
   * tenth of a second did not show eight of them, and G1 threw 127 errors in a minute.
   */
  static final long LATELY_NANOSECONDS = 1_000_000_000;

  private final int few;
  private final LongSupplier clock;

  /** Those since the latest beginning, a bit each: a thread's number modulo 64. */
  private volatile long recent;

  private volatile long beginning;
  private volatile int count;

  /** Those between the two latest beginnings. */
  private long before;

  /**
   * Nobody has called yet.
   *
   * @param few while so many call the clock is not read, and none is forgotten
   * @param clock nanoseconds
   */
  Callers(int few, LongSupplier clock) {
    this.few = few;
    this.clock = clock;
    beginning = clock.getAsLong();
  }

  /** Notes a call of a thread, and tells how many have called lately; 64 are as many or more. */
  int lately(long thread) {
    long bit = 1L << thread; // modulo 64
    if ((recent & bit) == 0 || count > few && clock.getAsLong() - beginning > LATELY_NANOSECONDS) {
      note(bit);
    }
    return count;
  }

  private synchronized void note(long bit) {
    long now = clock.getAsLong();
    long past = now - beginning;
    if (past > LATELY_NANOSECONDS) {
      before = past > 2 * LATELY_NANOSECONDS ? 0 : recent;
      recent = 0;
      beginning = now;
    }
    recent |= bit;
    count = Long.bitCount(recent | before);
  }
}
