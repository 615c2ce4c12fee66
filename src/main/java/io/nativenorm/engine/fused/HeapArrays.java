package io.nativenorm.engine.fused;

import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;

/**
 * When heap arrays may be held in their place for the length of a native call, instead of being
 * copied. Since JDK 22 G1 pins their regions and goes on (JEP 423). Before, and with other
 * collectors, a collection waits until all of them are let go, and an allocation that has waited
 * three times, and found the memory taken by others each time, fails: with 64 threads and 40 to 256
 * MB of heap thousands did within a minute, those of the program too, with 8 threads none.
 */
final class HeapArrays {
  /**
   * The most elements of a call that the collector may wait for. At 0.1 to 0.35 ns an element
   * (BatchNorm of 512 positions, LayerNorm of rows of 64) that is 7 to 23 us; at the 2 ns of
   * InstanceNorm over 16 positions, the slowest, 130 us.
   */
  static final long SHORT_ELEMENTS = 1 << 16;

  /**
   * Of the heap for each thread that holds arrays, beyond the first four: more than one can fill
   * with results while another has no processor, some 10 MB a millisecond for slices of 3 ms.
   */
  private static final long HEAP_EACH = 64L << 20;

  private static final int FEW = 4;

  private static final boolean PINNED = Runtime.version().feature() >= 22 && collectsWithG1();

  private static final Callers CALLERS =
      new Callers(
          (int) Math.max(FEW, Math.min(64, Runtime.getRuntime().maxMemory() / HEAP_EACH)),
          System::nanoTime);

  private HeapArrays() {}

  /** Whether the arrays of a call may be held, which is on its caller's thread alone or not. */
  static boolean mayBeHeld(long elements, boolean alone) {
    return PINNED || (alone && elements <= SHORT_ELEMENTS);
  }

  /** Whether they may be held by this thread now: not while many threads call. */
  static boolean mayBeHeldNow() {
    return PINNED || CALLERS.areFew(Thread.currentThread().getId());
  }

  private static boolean collectsWithG1() {
    List<GarbageCollectorMXBean> collectors = ManagementFactory.getGarbageCollectorMXBeans();
    return collectors.stream().anyMatch(collector -> collector.getName().startsWith("G1"));
  }
}
