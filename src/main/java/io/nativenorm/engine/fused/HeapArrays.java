package io.nativenorm.engine.fused;

import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;

/**
 * When a heap array may be held in its place for the length of a native call, instead of being
 * copied. Before JDK 22 the collector waits until it is let go, and with it every thread that needs
 * memory; since then G1 pins the array's region and goes on (JEP 423).
 */
final class HeapArrays {
  /**
   * The most elements of a call that the collector may wait for. At 0.1 to 0.35 ns an element
   * (BatchNorm of 512 positions, LayerNorm of rows of 64) that is 7 to 23 us; at the 2 ns of
   * InstanceNorm over 16 positions, the slowest, 130 us.
   */
  static final long SHORT_ELEMENTS = 1 << 16;

  private static final boolean PINNED = Runtime.version().feature() >= 22 && collectsWithG1();

  private HeapArrays() {}

  /** Whether the arrays of a call may be held, which is on its caller's thread alone or not. */
  static boolean mayBeHeld(long elements, boolean alone) {
    return PINNED || (alone && elements <= SHORT_ELEMENTS);
  }

  private static boolean collectsWithG1() {
    List<GarbageCollectorMXBean> collectors = ManagementFactory.getGarbageCollectorMXBeans();
    return collectors.stream().anyMatch(collector -> collector.getName().startsWith("G1"));
  }
}
