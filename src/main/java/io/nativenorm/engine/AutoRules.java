package io.nativenorm.engine;

import io.nativenorm.Backend;
import java.util.Optional;

/** Where AUTO passes over an engine that would accept, each rule with what was measured. */
final class AutoRules {
  private AutoRules() {}

  static Optional<String> passOver(Backend engine, Problem problem) {
    boolean backward = problem.direction() == Direction.BACKWARD;
    if (engine == Backend.ONEDNN && backward && problem.operation() == Operation.GROUP) {
      // Measured with 2 threads against the reference with one: 4x64x784 in 32 groups 24 ms to 1.8,
      // 2x320x4096 in 32 groups 158 ms to 23, 32x64x3136 in 64 groups 382 ms to 55, and no better
      // for channels last.
      return Optional.of(
          "accepts it, but has only its ref:any loops for this, 6 to 13 times slower than JAVA");
    }
    return Optional.empty();
  }
}
