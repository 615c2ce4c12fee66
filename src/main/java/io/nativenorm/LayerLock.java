package io.nativenorm;

import java.util.concurrent.locks.StampedLock;

/**
 * Orders what uses a layer's parameters: computations read them; updates of the running statistics,
 * load and close write. Once the layer is closed both are refused.
 */
final class LayerLock {
  private final String layer;
  private final StampedLock lock = new StampedLock();
  private boolean closed;

  LayerLock(String layer) {
    this.layer = layer;
  }

  long read() {
    long stamp = lock.readLock();
    if (closed) {
      lock.unlockRead(stamp);
      throw closedException();
    }
    return stamp;
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
