package io.nativenorm.engine;

import io.nativenorm.Backend;
import java.util.Optional;

/** One way to run problems. An engine knows nothing of the others. */
public interface Engine {
  /**
   * The name users force this engine by.
   *
   * @return never {@link Backend#AUTO}
   */
  Backend backend();

  /**
   * What is inside, for {@code doctor}: version, instruction set.
   *
   * @return one line, empty if the engine is unavailable
   */
  String description();

  /**
   * Why this engine can run nothing here.
   *
   * @return nothing if it is ready
   */
  Optional<String> unavailable();

  /**
   * Why this engine cannot run a problem. Asked only of an engine that is available.
   *
   * @param problem the problem, whose extents are all positive
   * @return nothing if it can
   */
  Optional<String> rejects(Problem problem);

  /**
   * Makes a problem ready to run.
   *
   * @param problem one that this engine does not reject
   * @return its plan
   */
  Plan prepare(Problem problem);

  /**
   * Whether results have the same bits as on every other machine and engine of which this is so:
   * docs/order-of-sums.md. Asked only of an engine that is available.
   *
   * @return false where its sums have an order of their own
   */
  boolean isReproducible();
}
