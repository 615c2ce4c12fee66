package io.nativenorm.engine;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/**
 * An engine's worker threads beside its callers'. Two engines with a thread for each processor
 * would have twice as many as there are processors, so only one engine at a time has the right to
 * workers, and another gets it when those of the first are idle and have ended. An engine without
 * the right computes on its callers' threads alone.
 *
 * <p>Most programs compute on one engine, and for one nothing has to be counted: uses that are
 * begun by {@link #enterUnlessSole} are counted only once another engine has asked for the right.
 */
public final class Helpers {
  /**
   * How long threads must have been unused before they end for another engine's. Ending and
   * starting one takes 20 and 40 us where a processor is free, 700 us together where four times as
   * many threads want to run as there are processors: 1.4 % of the time at most.
   */
  static final long KEPT_NANOSECONDS = 50_000_000;

  /** In {@link #users} while this may have no threads. */
  private static final int WITHOUT = 1 << 30;

  private static final long LOOK_NANOSECONDS = 20_000;

  /** Who has threads. There is one of it in a process, and tests have their own. */
  static final class Right {
    private final ReentrantLock change = new ReentrantLock();

    /** Guarded by the lock. */
    private Helpers holder;

    /** Whether one has asked for it to use it on, while another had it. Guarded by the lock. */
    private boolean shared;
  }

  private static final Right PROCESS = new Right();

  private final Right right;
  private final Runnable begin;
  private final BooleanSupplier end;

  /** Calls that use the threads now. Becomes less than WITHOUT only under the lock. */
  private final AtomicInteger users = new AtomicInteger(WITHOUT);

  private volatile long lastUse;

  /** Whether this has the right, and no other engine has asked for it yet. */
  private volatile boolean sole;

  /**
   * The threads of an engine, none at first.
   *
   * @param begin lets there be threads, from now on
   * @param end ends them all before it returns; false if it cannot, and they keep the right
   */
  public Helpers(Runnable begin, BooleanSupplier end) {
    this(PROCESS, begin, end);
  }

  Helpers(Right right, Runnable begin, BooleanSupplier end) {
    this.right = right;
    this.begin = begin;
    this.end = end;
  }

  /**
   * Begins a use of the threads, to be ended by {@link #leave}, without waiting for others.
   *
   * @return false if another engine has the right and needs it: there is nothing to leave then
   */
  public boolean enter() {
    return enter(false);
  }

  private boolean enter(boolean unlessSole) {
    if (enterHeld()) {
      return true;
    }
    if (!right.change.tryLock()) {
      return false;
    }
    try {
      if (!obtain(false)) {
        return false;
      }
      sole = unlessSole && !right.shared;
      return true;
    } finally {
      right.change.unlock();
    }
  }

  /**
   * Begins a use of threads that can be ended meanwhile: {@code end} waits for the work that they
   * do now, and the call goes on without. Until another engine asks for the right there is nothing
   * to count, which takes 36 ns of a call.
   *
   * @return whether it is counted, and to be ended by {@link #leave}; if not, the threads may be
   *     used or there are none
   */
  public boolean enterUnlessSole() {
    return !sole && enter(true);
  }

  /**
   * Begins a use of the threads as soon as running calls of another engine have ended: for what has
   * to be done once.
   *
   * @return false if another engine cannot end its threads
   */
  public boolean enterInTurn() {
    right.change.lock();
    try {
      return obtain(true);
    } finally {
      right.change.unlock();
    }
  }

  /** Ends a use. */
  public void leave() {
    leave(System.nanoTime());
  }

  /** Ends a use that will not soon be followed by another: the threads may end at once. */
  void leaveForLong() {
    leave(System.nanoTime() - KEPT_NANOSECONDS);
  }

  /**
   * Ends a use after which there is to be no trace of it: the threads end, unless others use them,
   * and whoever asks next is the first.
   */
  public void giveBack() {
    right.change.lock();
    try {
      leaveForLong();
      if (giveUp(false)) {
        right.holder = null;
        right.shared = false;
      }
    } finally {
      right.change.unlock();
    }
  }

  private void leave(long use) {
    lastUse = use;
    users.getAndDecrement();
  }

  private boolean enterHeld() {
    int now = users.get();
    while (now < WITHOUT) {
      if (users.compareAndSet(now, now + 1)) {
        return true;
      }
      now = users.get();
    }
    return false;
  }

  private boolean obtain(boolean inTurn) {
    if (enterHeld()) {
      return true; // another caller was faster
    }
    if (right.holder != null) {
      right.shared = true;
      right.holder.beginToCount();
      if (!right.holder.giveUp(inTurn)) {
        return false;
      }
    }
    right.holder = null;
    begin.run();
    right.holder = this;
    users.set(1);
    return true;
  }

  /** From now on uses are counted. One that was not may have begun just now. */
  private void beginToCount() {
    if (sole) {
      lastUse = System.nanoTime();
      sole = false;
    }
  }

  private boolean giveUp(boolean inTurn) {
    if (inTurn) {
      users.getAndAdd(WITHOUT); // from now on calls go without
      while (users.get() != WITHOUT) {
        LockSupport.parkNanos(LOOK_NANOSECONDS);
      }
    } else if (System.nanoTime() - lastUse < KEPT_NANOSECONDS || !users.compareAndSet(0, WITHOUT)) {
      return false;
    }
    if (end.getAsBoolean()) {
      return true;
    }
    users.set(0);
    return false;
  }
}
