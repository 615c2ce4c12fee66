package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import io.nativenorm.engine.Recordings;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The pool of native memory for the tensors that the library makes, copies of heap arrays, masked
 * gradients. Fresh memory costs twice: JavaCPP reads the process's size from the system, which made
 * a training pass over one row of 4096 floats 7.5 times slower than its kernel, and every 4 KB of a
 * large block are a page fault: twelve LayerNorms over 32x128x768 took 49 ms a training step where
 * the blocks went back to the system, and 26 where they stayed.
 *
 * <p>So what was in use in the last seconds is kept, all of it up to {@link #bound}. What nobody
 * has taken for some five seconds is freed, down to {@link #IDLE_BYTES}, and all of it before an
 * allocation of ours is refused ({@link NativeMemory}).
 */
public final class MemoryPool {
  /** What is kept however long it is idle. */
  static final long IDLE_BYTES = 8L << 20;

  private static final long TICK_MILLISECONDS = 1000;

  /** Null until memory is first asked for, when the bound is read. */
  private static volatile IdleMemory idle;

  /** Whether there is a thread that trims. */
  private static final AtomicBoolean TRIMMING = new AtomicBoolean();

  private MemoryPool() {}

  /**
   * Takes a block out of the pool, or a new one.
   *
   * @param type of the elements
   * @param elements how many it must hold
   * @return a block, to be closed by the caller
   * @throws IllegalArgumentException if the property {@code nativenorm.pool} is no number of bytes
   */
  public static PooledMemory take(DataType type, long elements) {
    long bytes = (elements * type.bytes() + Float.BYTES - 1) / Float.BYTES * Float.BYTES;
    IdleMemory from = idle();
    PooledMemory kept = from.take(bytes);
    return kept != null ? kept : allocate(from.capacity(bytes), from);
  }

  private static PooledMemory allocate(long bytes, IdleMemory idle) {
    return Recordings.mayBeThere()
        ? MemoryAllocated.allocate(bytes, idle)
        : new PooledMemory(bytes);
  }

  /**
   * The bytes that are kept and idle, as JavaCPP counts them.
   *
   * @return 0 or more
   */
  public static long keptBytes() {
    IdleMemory known = idle;
    return known == null ? 0 : known.bytes();
  }

  /**
   * The most bytes that are ever kept.
   *
   * @return the lesser of the limits' shares and the property {@code nativenorm.pool}
   * @throws IllegalArgumentException if the property is no number of bytes
   */
  public static long bound() {
    return idle().bound();
  }

  /**
   * Frees kept blocks, those first that were not used for longest.
   *
   * @param bytes how many bytes are to be freed
   * @return how many were: fewer only if no more were kept
   */
  public static long giveBack(long bytes) {
    IdleMemory from = idle;
    return from == null || bytes <= 0
        ? 0
        : freeAbove(from, Math.max(0, from.bytes() - bytes), "an allocation needs it");
  }

  private static long freeAbove(IdleMemory from, long most, String reason) {
    long freed = 0;
    PooledMemory oldest = from.removeAbove(most);
    while (oldest != null) {
      freed += oldest.bytes();
      oldest.free();
      oldest = from.removeAbove(most);
    }
    tell(freed, reason, from);
    return freed;
  }

  private static void tell(long freed, String reason, IdleMemory from) {
    if (freed > 0 && Recordings.mayBeThere()) {
      MemoryFreed.tell(freed, reason, from);
    }
  }

  private static IdleMemory idle() {
    IdleMemory known = idle;
    return known == null ? firstIdle() : known;
  }

  private static synchronized IdleMemory firstIdle() {
    if (idle == null) {
      idle = new IdleMemory(PoolBound.bytes());
    }
    return idle;
  }

  /** Keeps a block that was in use, or frees it. */
  static void put(PooledMemory block) {
    IdleMemory to = idle;
    if (!to.keeps(block.memory().bytes())) {
      tell(block.bytes(), "too large to be kept", to);
      block.free();
      return;
    }
    long kept = to.put(block);
    long above = Math.min(kept, NativeMemory.bytesAboveShare());
    long most = Math.min(to.bound(), kept - above);
    if (kept > most) {
      freeAbove(to, most, "more than may be kept");
    }
    trimLater(kept);
  }

  private static void trimLater(long kept) {
    if (kept > IDLE_BYTES && !TRIMMING.get() && TRIMMING.compareAndSet(false, true)) {
      beginTrimming();
    }
  }

  /** A thread that lives while there is something to trim, and holds nobody's class loader. */
  private static void beginTrimming() {
    Thread thread = new Thread(null, MemoryPool::trim, "NativeNorm pool", 0, false);
    thread.setDaemon(true);
    thread.setContextClassLoader(null);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      TRIMMING.set(false); // no more threads: the next that is closed tries again
    }
  }

  private static void trim() {
    IdleMemory from = idle;
    try {
      do {
        Thread.sleep(TICK_MILLISECONDS);
        from.age();
        if (freeOld(from) > 0) {
          NativeMemory.trim();
        }
      } while (from.bytes() > IDLE_BYTES);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      TRIMMING.set(false);
      trimLater(from.bytes()); // what was closed just now relied on this thread
    }
  }

  private static long freeOld(IdleMemory from) {
    long freed = 0;
    PooledMemory old = from.removeOldAbove(IDLE_BYTES);
    while (old != null) {
      freed += old.bytes();
      old.free();
      old = from.removeOldAbove(IDLE_BYTES);
    }
    tell(freed, "idle", from);
    return freed;
  }
}
