package io.nativenorm.engine;

import io.nativenorm.Backend;
import java.util.Optional;
import org.bytedeco.javacpp.Loader;

/**
 * The choice among engines that accept a problem, each rule with what was measured.
 *
 * <p>FUSED is asked first. Against oneDNN called directly, with 2 threads on Zen 4 and AVX-512,
 * over 75 named shapes, layouts and directions, it takes 1 / 5.8 of the time (geometric mean).
 * Where oneDNN has its JIT kernels memory bandwidth limits both: channels-last BatchNorm 0.9 to 3.3
 * times oneDNN's speed, LayerNorm 1.0 to 4.4 forward and 0.9 to 8 backward, RmsNorm 0.9 to 4.9
 * forward; on Zen 3 and AVX2 1 / 5.7, channels-last BatchNorm 1.4 to 13, LayerNorm 0.7 to 4.7
 * forward and 1.5 to 9 backward, RmsNorm 1.3 to 8 forward. The few cells below 1 (4096x768
 * LayerNorm, 512x4096 RmsNorm forward, which fill the last-level cache) are no reason to change
 * engines: the right to threads would have to go to oneDNN too (see {@link Helpers}), and its float
 * statistics would have to be checked. The rules below are for where FUSED is missing.
 */
final class AutoRules {
  /**
   * On the team, if nobody else has it, LayerNorm's backward of 1x64 takes 11 us (13 in pure Java),
   * of 16x64 11 (20), of 16x128 10 (34), of 64x256 18 (226).
   */
  private static final long SMALL_BACKWARD = 1024;

  /** Rows that oneDNN's backward takes at once, so that its float sums over them stay short. */
  private static final long ROWS_AT_ONCE = 256;

  /**
   * Longer rows' gradients ONEDNN sums in Java, channel by channel, since oneDNN's float sums over
   * them would be too long: 64x8192 takes 16 ms there and 8 in pure Java, 64x17000 36 and 11.
   */
  private static final long LONG_ROW = 4096;

  /** RmsNorm's on arm64, whose float sums are plain loops: 1e-5 off at 1024 gradients of a sign. */
  private static final long LONG_RMS_ROW = Loader.getPlatform().endsWith("-arm64") ? 512 : LONG_ROW;

  private AutoRules() {}

  /** Why AUTO does not take an engine that accepts a problem, or nothing. */
  static Optional<String> passOver(Backend engine, Problem problem) {
    if (engine != Backend.ONEDNN || problem.task() != Task.BACKWARD) {
      return Optional.empty();
    }
    return switch (problem.norm().operation()) {
      case BATCH -> Optional.empty();
      case GROUP ->
          // Measured with 2 threads against the reference with one: 4x64x784 in 32 groups 24 ms to
          // 1.8, 2x320x4096 in 32 groups 158 ms to 23, 32x64x3136 in 64 groups 382 ms to 55, and no
          // better for channels last.
          Optional.of(
              "accepts it, but has only its ref:any loops for this, 6 to 13 times slower than JAVA, and"
                  + " goes by sums in Java itself");
      case LAYER, RMS -> passOverRows(problem);
    };
  }

  private static Optional<String> passOverRows(Problem problem) {
    if (problem.shape().elements() < SMALL_BACKWARD) {
      // It would wait for its turn on the team (see OnednnPlan), perhaps behind a large one.
      return Optional.of("accepts it, but JAVA is as fast for so little");
    }
    if (ROWS_AT_ONCE * problem.shape().channels() < SMALL_BACKWARD
        && problem.shape().batch() > ROWS_AT_ONCE) {
      return Optional.of(
          "accepts it, but takes 256 rows at once, which for rows so short is slower");
    }
    if (problem.shape().channels()
        > (problem.norm().operation() == Operation.RMS ? LONG_RMS_ROW : LONG_ROW)) {
      return Optional.of("accepts it, but goes by sums in Java for rows so long, slower than JAVA");
    }
    return Optional.empty();
  }
}
