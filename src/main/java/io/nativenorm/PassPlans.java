package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Task;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The plans of a pass's last calls, which may have been freed since; of two threads' new ones
 * either is right.
 */
final class PassPlans {
  final Problem problem;
  private final String layer;
  private final Backend backend;
  private final Problem gradient;

  /** Where inputs and outputs lie; null for one piece. */
  final @Nullable Pieces inputPieces;

  final @Nullable Pieces outputPieces;

  private @Nullable Plan lastForward;
  private @Nullable Backward lastBackward;

  PassPlans(
      String layer,
      Problem problem,
      Backend backend,
      @Nullable Pieces inputPieces,
      @Nullable Pieces outputPieces) {
    this.layer = layer;
    this.problem = problem;
    this.backend = backend;
    this.inputPieces = inputPieces;
    this.outputPieces = outputPieces;
    gradient = problem.withTask(Task.BACKWARD);
  }

  /** The plan of forward, in use. */
  Plan forward() {
    Plan plan = lastForward;
    if (plan == null || !Engines.reacquire(plan)) {
      plan = Engines.acquire(problem, backend);
      lastForward = plan;
    }
    return plan;
  }

  /** What was last in use; null before. */
  @Nullable Plan lastForward() {
    return lastForward;
  }

  private record Backward(@Nullable Pieces dy, @Nullable Pieces dx, Plan plan) {
    boolean isOf(@Nullable Pieces otherDy, @Nullable Pieces otherDx) {
      return Objects.equals(dy, otherDy) && Objects.equals(dx, otherDx);
    }
  }

  /** The plan of backward for gradients that lie so, in use. */
  Plan backward(@Nullable Pieces dy, @Nullable Pieces dx) {
    Backward known = lastBackward;
    if (known != null && known.isOf(dy, dx) && Engines.reacquire(known.plan)) {
      return known.plan;
    }
    Problem placed = RowPlaces.of(layer, gradient, inputPieces, outputPieces, dy, dx);
    Plan plan = Engines.acquire(placed, backend);
    lastBackward = new Backward(dy, dx, plan);
    return plan;
  }

  /** The plans of other samples, as many and in one piece. */
  PassPlans ofSamples(long samples) {
    Problem other =
        problem.withShape(problem.shape().withSamples(samples, problem.shape().spatial()));
    return new PassPlans(layer, other, backend, null, null);
  }
}
