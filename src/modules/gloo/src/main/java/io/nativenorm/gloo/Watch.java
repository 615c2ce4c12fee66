package io.nativenorm.gloo;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Ends a call's waits when its time is over. Gloo's own timeouts close all connections at once, and
 * nobody could be told whose fault it was. Its thread sleeps for as long as a call may take and
 * looks what became of it: to begin and to end a call costs two writes to memory.
 */
final class Watch implements AutoCloseable {
  private static final long IDLE = Long.MAX_VALUE;
  private static final long OVER = Long.MIN_VALUE;

  private final long timeout;
  private final Runnable atTheEnd;
  private final long origin = System.nanoTime();

  /** When the call's time is over, from the origin on. */
  private final AtomicLong end = new AtomicLong(IDLE);

  private final Thread thread = new Thread(this::run, "nativenorm-gloo-watch");
  private volatile boolean closed;

  Watch(long millis, Runnable atTheEnd) {
    timeout = millis * 1_000_000;
    this.atTheEnd = atTheEnd;
    thread.setDaemon(true);
    thread.start();
  }

  void begin() {
    end.compareAndSet(IDLE, System.nanoTime() - origin + timeout);
  }

  /** Returns whether it was in time. */
  boolean end() {
    long before = end.get();
    return before != OVER && end.compareAndSet(before, IDLE);
  }

  private void run() {
    while (!closed) {
      long at = end.get();
      long left = at == IDLE ? timeout : at - (System.nanoTime() - origin);
      if (left > 0) {
        LockSupport.parkNanos(this, left);
      } else if (end.compareAndSet(at, OVER)) {
        atTheEnd.run();
        return;
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
  }
}
