package io.nativenorm.engine.onednn;

import io.nativenorm.Activation;
import io.nativenorm.DataType;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.function.Function;

/**
 * The gradient of the activation, then that of the normalization: oneDNN's where its sums are not
 * too long ({@link BlockGradient}), else {@link ChannelGradient}; and where a sum or product is
 * beyond float, the reference's.
 */
final class BackwardSteps implements Steps {
  private final Problem problem;
  private final Plan reference;

  /** Null where the gradient goes by channels. */
  private final BlockGradient rows;

  private final ChannelGradient channels;

  /** For a team of so many threads; the reference is for what floats cannot hold. */
  BackwardSteps(Problem problem, Team team, int threads, Function<Problem, Plan> reference) {
    this.problem = problem;
    this.reference = reference.apply(problem);
    rows = rowsOf(problem, threads);
    Slices slices = new Slices(team, problem.threads());
    channels = rows == null ? new ChannelGradient(problem, slices) : null;
  }

  /** Whether a gradient can do without oneDNN. */
  static boolean isByChannels(Problem problem) {
    return problem.task() == Task.BACKWARD
        && switch (problem.norm().operation()) {
          case GROUP -> true;
          case BATCH -> problem.norm().statistics() == StatisticsSource.GIVEN || isLong(problem);
          case LAYER, RMS -> false;
        };
  }

  private static boolean isLong(Problem problem) {
    return Units.of(problem).size() > StatisticsGuard.LONGEST_SUM;
  }

  private static BlockGradient rowsOf(Problem problem, int threads) {
    if (!isByChannels(problem)) {
      BlockGradient rows = new BlockGradient(problem);
      long longest = StatisticsGuard.longestSum(problem, rows.implementation());
      return keep(rows, longest <= StatisticsGuard.LONGEST_SUM);
    }
    boolean batch = problem.norm().operation() == Operation.BATCH;
    boolean computed = problem.norm().statistics() == StatisticsSource.COMPUTED;
    Problem cut = batch && computed ? ShortSums.cut(problem, threads) : null;
    if (cut == null) {
      return null;
    }
    BlockGradient rows = new BlockGradient(cut);
    return keep(rows, ShortSums.areOf(rows.implementation()));
  }

  private static BlockGradient keep(BlockGradient rows, boolean wanted) {
    if (wanted) {
      return rows;
    }
    rows.close();
    return null;
  }

  @Override
  public void run(Operands o) {
    if (o.address(Slot.DIFF_DST) != o.address(Slot.DIFF_SRC)) {
      runApart(o);
      return;
    }
    // The reference may have to start again from the gradient, which is overwritten.
    try (PooledMemory copy = MemoryPool.take(DataType.F32, problem.shape().elements())) {
      Memory dy = copy.memory().slice(0, problem.shape().elements());
      o.get(Slot.DIFF_DST).copyTo(dy);
      runApart(o.with(Slot.DIFF_DST, dy));
    }
  }

  private void runApart(Operands o) {
    Operands masked = o;
    if (problem.fusion().activation() == Activation.RELU) {
      Relu.mask(
          o.get(Slot.DST), o.get(Slot.DIFF_DST), o.get(Slot.DIFF_SRC), problem.shape().elements());
      masked = o.with(Slot.DIFF_DST, o.get(Slot.DIFF_SRC));
    }
    boolean done = rows == null ? channels.run(masked) : rows.run(masked);
    if (!done) {
      reference.execute(o);
    }
  }

  @Override
  public String implementation() {
    return rows == null ? "sums in blocks" : rows.implementation();
  }

  @Override
  public boolean keepsItsTeamSize() {
    return rows == null || rows.keepsItsTeamSize();
  }

  @Override
  public boolean usesTeam() {
    return rows != null;
  }

  @Override
  public void close() {
    if (rows != null) {
      rows.close();
    }
  }
}
