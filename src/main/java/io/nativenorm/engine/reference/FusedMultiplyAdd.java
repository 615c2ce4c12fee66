package io.nativenorm.engine.reference;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;

/**
 * Whether {@code Math.fma} is an instruction of the processor. Without it each is computed with
 * {@code BigDecimal}, some 400 times slower than two passes in doubles.
 */
final class FusedMultiplyAdd {
  /** False where HotSpot does not say: on another JVM, or without its module. */
  static final boolean IS_INSTRUCTION = ask();

  private FusedMultiplyAdd() {}

  private static boolean ask() {
    try {
      HotSpotDiagnosticMXBean flags =
          ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
      return Boolean.parseBoolean(flags.getVMOption("UseFMA").getValue());
    } catch (RuntimeException | LinkageError unknown) {
      return false;
    }
  }
}
