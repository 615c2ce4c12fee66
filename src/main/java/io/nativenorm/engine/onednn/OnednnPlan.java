package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Task;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;

/**
 * A problem on oneDNN. Small ones run on their caller's thread; large ones on the team, or, while
 * another caller has it or another engine the helpers, on their caller's thread alone. An
 * implementation that asks OpenMP for the calling thread's default team (see {@link
 * Primitive#keepsItsTeamSize}: the backward of LayerNorm and RMSNorm, and oneDNN's reference loops)
 * always waits for its turn on the team, which without helpers is its one thread, or, where
 * OpenMP's functions were not found, has OpenMP's default size.
 */
final class OnednnPlan extends Plan {
  private final Team team;
  private final Helpers helpers;
  private final int threads;
  private final Steps alone;
  private final boolean aloneOnCaller;
  private final boolean wantsHelpers;

  /** Null where one thread is enough. */
  private final Steps together;

  private OnednnPlan(Team team, Helpers helpers, int threads, Steps alone, Steps together) {
    super("onednn " + alone.implementation());
    this.team = team;
    this.helpers = helpers;
    this.threads = threads;
    this.alone = alone;
    this.together = together;
    this.aloneOnCaller = !alone.usesTeam() || team.isSizable() && alone.keepsItsTeamSize();
    this.wantsHelpers = together != null || alone.usesTeam() && !team.isSizable();
  }

  /**
   * Prepares a problem for its caller alone and, with more than one thread, for the team.
   *
   * @param reference prepares what computes a problem whose values floats cannot hold
   */
  static OnednnPlan prepare(
      Team team, Helpers helpers, Function<Problem, Plan> reference, Problem problem, int threads) {
    Steps alone = steps(team, reference, problem, 1);
    try {
      Steps together = threads > 1 ? steps(team, reference, problem, threads) : null;
      if (together != null && !together.usesTeam()) {
        together.close();
        together = null;
      }
      return new OnednnPlan(team, helpers, threads, alone, together);
    } catch (RuntimeException | Error e) {
      alone.close();
      throw e;
    }
  }

  private static Steps steps(
      Team team, Function<Problem, Plan> reference, Problem problem, int threads) {
    AtomicReference<Steps> made = new AtomicReference<>();
    boolean backward = problem.task() == Task.BACKWARD;
    team.run(
        threads,
        nothing ->
            made.set(
                backward
                    ? new BackwardSteps(problem, team, threads, reference)
                    : forward(team, reference, problem)),
        null);
    return made.get();
  }

  private static Steps forward(Team team, Function<Problem, Plan> reference, Problem problem) {
    ForwardSteps whole = new ForwardSteps(problem, reference);
    if (!team.isSizable() || !SampleSteps.areBetterThan(whole, problem)) {
      return whole;
    }
    whole.close();
    return new SampleSteps(problem, new Slices(team, problem.threads()), reference);
  }

  @Override
  protected void run(Operands operands) {
    if (!wantsHelpers || !helpers.enter()) {
      executeAlone(operands);
      return;
    }
    try {
      if (together == null) {
        executeAlone(operands);
      } else if (!aloneOnCaller) {
        team.run(threads, together, operands);
      } else if (!team.tryRun(threads, together, operands)) {
        alone.run(operands);
      }
    } finally {
      helpers.leave();
    }
  }

  /** oneDNN's loops write them whether there is memory or not. */
  @Override
  protected boolean needsParameterGradients() {
    return true;
  }

  private void executeAlone(Operands operands) {
    if (aloneOnCaller) {
      alone.run(operands);
    } else {
      team.run(1, alone, operands);
    }
  }

  @Override
  protected void free() {
    alone.close();
    if (together != null) {
      together.close();
    }
  }
}
