package io.nativenorm.engine;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * The reference count of something native: closing refuses new uses at once, and the last running
 * use frees. So a close in one thread can never pull memory from under another's native call.
 */
public final class Lifetime {
  private static final VarHandle HOLDERS;
  private static final VarHandle CLOSED;

  static {
    try {
      MethodHandles.Lookup lookup = MethodHandles.lookup();
      HOLDERS = lookup.findVarHandle(Lifetime.class, "holders", int.class);
      CLOSED = lookup.findVarHandle(Lifetime.class, "closed", boolean.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final Runnable free;

  /** Running uses, and one for the owner until it closes; 0 once freed. */
  @SuppressWarnings("unused") // written through HOLDERS
  private volatile int holders = 1;

  private volatile boolean closed;

  /**
   * Begins a lifetime, held by its owner.
   *
   * @param free called once, when closed and no longer in use, by the thread that is last
   */
  public Lifetime(Runnable free) {
    this.free = free;
  }

  /**
   * Begins a use, to be ended by {@link #release}.
   *
   * @return false if this is closed: nothing to release then
   */
  public boolean acquire() {
    while (!closed) {
      int now = (int) HOLDERS.getVolatile(this);
      if (now == 0) {
        return false;
      }
      if (HOLDERS.compareAndSet(this, now, now + 1)) {
        return true;
      }
    }
    return false;
  }

  /** Ends a use. */
  public void release() {
    if ((int) HOLDERS.getAndAdd(this, -1) == 1) {
      free.run();
    }
  }

  /** Ends the owner's hold. Further calls do nothing. */
  public void close() {
    if (CLOSED.compareAndSet(this, false, true)) {
      release();
    }
  }

  /**
   * Whether the owner has closed this.
   *
   * @return true after the first {@link #close}
   */
  public boolean isClosed() {
    return closed;
  }
}
