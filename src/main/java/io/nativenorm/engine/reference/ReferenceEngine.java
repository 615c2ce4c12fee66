package io.nativenorm.engine.reference;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.engine.Direction;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Kernel;
import io.nativenorm.engine.Problem;
import java.util.Optional;

/** Plain Java loops: always there, and what the other engines' answers are held against. */
public final class ReferenceEngine implements Engine {
  @Override
  public Backend backend() {
    return Backend.JAVA;
  }

  @Override
  public String description() {
    return "pure Java, two passes, double sums, one thread";
  }

  @Override
  public Optional<String> unavailable() {
    return Optional.empty();
  }

  @Override
  public Optional<String> rejects(Problem problem) {
    return problem.dataType() == DataType.F32
        ? Optional.empty()
        : Optional.of("computes F32 only, not " + problem.dataType());
  }

  @Override
  public Kernel prepare(Problem problem) {
    return problem.direction() == Direction.BACKWARD
        ? new ReferenceBackward(problem)
        : new ReferenceForward(problem);
  }
}
