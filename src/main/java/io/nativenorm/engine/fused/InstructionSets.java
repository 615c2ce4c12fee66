package io.nativenorm.engine.fused;

import java.util.List;
import java.util.Locale;

/**
 * Which instruction set the kernels use: the best that the processor has, or the best up to the one
 * that the system property {@code nativenorm.instructions} names.
 */
final class InstructionSets {
  static final String PROPERTY = "nativenorm.instructions";

  /** Those of x86-64, worst first; on arm64 there is one. */
  private static final List<String> X86 = List.of("sse4", "avx2", "avx512");

  private static final String NEON = "neon";

  private InstructionSets() {}

  /**
   * Picks one.
   *
   * @param found those that the library and the processor have, worst first
   * @param wanted the best that is allowed, or null. One of another architecture allows all, so
   *     that one setting does for several machines.
   * @return its index
   * @throws IllegalArgumentException if {@code wanted} is no name of an instruction set
   */
  static int choose(List<String> found, String wanted) {
    int best = found.size() - 1;
    if (wanted == null) {
      return best;
    }
    String name = wanted.strip().toLowerCase(Locale.ROOT);
    int most = X86.indexOf(name);
    if (most < 0 && !name.equals(NEON)) {
      throw new IllegalArgumentException(
          PROPERTY + " expects sse4, avx2, avx512 or neon, but got " + wanted);
    }
    while (most >= 0 && best > 0 && X86.indexOf(found.get(best)) > most) {
      best--;
    }
    return best;
  }

  /** The name as its makers write it. */
  static String display(String target) {
    return switch (target) {
      case "sse4" -> "SSE4";
      case "avx2" -> "AVX2";
      case "avx512" -> "AVX-512";
      case "neon" -> "NEON";
      default -> target;
    };
  }
}
