package io.nativenorm.engine.onednn;

import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Idle objects that one thread at a time may use, at most so many: taken and given back without
 * locks.
 */
final class FreeList<T> {
  private final Supplier<T> maker;
  private final Consumer<T> closer;
  private final AtomicReferenceArray<T> kept;

  FreeList(int size, Supplier<T> maker, Consumer<T> closer) {
    this.maker = maker;
    this.closer = closer;
    this.kept = new AtomicReferenceArray<>(size);
  }

  T take() {
    for (int i = 0; i < kept.length(); i++) {
      T free = kept.get(i);
      if (free != null && kept.compareAndSet(i, free, null)) {
        return free;
      }
    }
    return maker.get();
  }

  void give(T used) {
    for (int i = 0; i < kept.length(); i++) {
      if (kept.get(i) == null && kept.compareAndSet(i, null, used)) {
        return;
      }
    }
    closer.accept(used);
  }

  /** Closes what is kept; nothing may be taken any more. */
  void close() {
    for (int i = 0; i < kept.length(); i++) {
      T last = kept.getAndSet(i, null);
      if (last != null) {
        closer.accept(last);
      }
    }
  }
}
