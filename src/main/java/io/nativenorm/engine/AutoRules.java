package io.nativenorm.engine;

import io.nativenorm.Backend;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** The choice among engines that accept a problem, each rule with what was measured. */
final class AutoRules {
  /**
   * On the team, if nobody else has it, LayerNorm's backward of 1x64 takes 11 us (13 in pure Java),
   * of 16x64 11 (20), of 16x128 10 (34), of 64x256 18 (226).
   */
  private static final long SMALL_BACKWARD = 1024;

  /** oneDNN's float sums over a row of gradients of one sign: 3e-6 at 4096, 4e-5 at 65536. */
  private static final long LONG_ROW = 16384;

  /**
   * Where oneDNN, if it takes a problem, is asked before FUSED.
   *
   * @param problems which they are
   * @param measured what was measured, to be read after "oneDNN is faster: "
   */
  record OnednnFirst(Predicate<Problem> problems, String measured) {}

  /** The first one that fits a problem counts. */
  private static final List<OnednnFirst> ONEDNN_FIRST = List.of();

  private AutoRules() {}

  /** What speaks for asking oneDNN before FUSED, or nothing. */
  static Optional<String> onednnFirst(Problem problem) {
    return ONEDNN_FIRST.stream()
        .filter(rule -> rule.problems.test(problem))
        .map(OnednnFirst::measured)
        .findFirst();
  }

  /** Why AUTO does not take an engine that accepts a problem, or nothing. */
  static Optional<String> passOver(Backend engine, Problem problem) {
    if (engine != Backend.ONEDNN || problem.direction() != Direction.BACKWARD) {
      return Optional.empty();
    }
    return switch (problem.operation()) {
      case BATCH -> Optional.empty();
      case GROUP ->
          // Measured with 2 threads against the reference with one: 4x64x784 in 32 groups 24 ms to
          // 1.8, 2x320x4096 in 32 groups 158 ms to 23, 32x64x3136 in 64 groups 382 ms to 55, and no
          // better for channels last.
          Optional.of(
              "accepts it, but has only its ref:any loops for this, 6 to 13 times slower than JAVA");
      case LAYER, RMS -> passOverRows(problem);
    };
  }

  private static Optional<String> passOverRows(Problem problem) {
    if (problem.elements() < SMALL_BACKWARD) {
      // It would wait for its turn on the team (see OnednnKernel), perhaps behind a large one.
      return Optional.of("accepts it, but JAVA is as fast for so little");
    }
    if (problem.operation() == Operation.RMS && problem.channels() > LONG_ROW) {
      return Optional.of("accepts it, but its float sums over so long a row cost too many digits");
    }
    return Optional.empty();
  }
}
