package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Direction;
import io.nativenorm.engine.Kernel;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A problem on oneDNN. Small ones run on their caller's thread; large ones on the team, or, while
 * another caller has it, on their caller's thread alone. An implementation that asks OpenMP for the
 * calling thread's default team (see {@link Primitive#keepsItsTeamSize}: the backward of LayerNorm
 * and RMSNorm, and oneDNN's reference loops) always waits for its turn on the team.
 */
final class OnednnKernel extends Kernel {
  private final Team team;
  private final int threads;
  private final Steps alone;
  private final boolean aloneOnCaller;

  /** Null where one thread is enough. */
  private final Steps together;

  private OnednnKernel(Team team, int threads, Steps alone, Steps together) {
    super("onednn " + alone.implementation());
    this.team = team;
    this.threads = threads;
    this.alone = alone;
    this.together = together;
    this.aloneOnCaller = team.isSizable() && alone.keepsItsTeamSize();
  }

  /** Prepares a problem for its caller alone and, with more than one thread, for the team. */
  static OnednnKernel prepare(Team team, Problem problem, int threads) {
    Steps alone = steps(team, problem, 1);
    try {
      Steps together = threads > 1 ? steps(team, problem, threads) : null;
      return new OnednnKernel(team, threads, alone, together);
    } catch (RuntimeException | Error e) {
      alone.close();
      throw e;
    }
  }

  private static Steps steps(Team team, Problem problem, int threads) {
    AtomicReference<Steps> made = new AtomicReference<>();
    boolean backward = problem.direction() == Direction.BACKWARD;
    team.run(
        threads,
        nothing -> made.set(backward ? new BackwardSteps(problem) : new ForwardSteps(problem)),
        null);
    return made.get();
  }

  @Override
  public void execute(Operands operands) {
    if (aloneOnCaller) {
      if (together == null || !team.tryRun(threads, together, operands)) {
        alone.run(operands);
      }
    } else {
      team.run(threads, together == null ? alone : together, operands);
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
