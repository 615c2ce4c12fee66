package io.nativenorm;

import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;

/**
 * Orders what uses a layer's parameters: computations read them; updates of the running statistics,
 * load and close write. Once the layer is closed both are refused.
 */
final class LayerLock {
  private final String layer;
  private final StampedLock lock = new StampedLock();
  private final @Nullable Runnable check;
  private boolean closed;

  /** With what throws where the parameters' memory is not there any more, or null. */
  LayerLock(String layer, @Nullable Runnable check) {
    this.layer = layer;
    this.check = check;
  }

  long read() {
    long stamp = lock.readLock();
    if (closed) {
      lock.unlockRead(stamp);
      throw closedException();
    }
    if (check != null) {
      runCheck(stamp);
    }
    return stamp;
  }

  private void runCheck(long stamp) {
    try {
      check.run();
    } catch (RuntimeException | Error e) {
      lock.unlockRead(stamp);
      throw e;
    }
  }

  void endRead(long stamp) {
    lock.unlockRead(stamp);
  }

  long write() {
    long stamp = lock.writeLock();
    if (closed) {
      lock.unlockWrite(stamp);
      throw closedException();
    }
    return stamp;
  }

  void endWrite(long stamp) {
    lock.unlockWrite(stamp);
  }

  /** Waits for running calls to end and frees. Again it does nothing. */
  void close(Runnable free) {
    long stamp = lock.writeLock();
    try {
      if (!closed) {
        closed = true;
        free.run();
      }
    } finally {
      lock.unlockWrite(stamp);
    }
  }

  private IllegalStateException closedException() {
    return new IllegalStateException("the layer " + layer + " is closed");
  }
}
