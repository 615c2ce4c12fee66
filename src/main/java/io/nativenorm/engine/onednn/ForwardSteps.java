package io.nativenorm.engine.onednn;

import io.nativenorm.Activation;
import io.nativenorm.DataType;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.function.Function;

/**
 * Normalization and the activation. Units that are not too long for oneDNN's sums are left to it,
 * and its statistics checked and if need be replaced ({@link StatisticsGuard}); for all others they
 * are computed first ({@link ExactStatistics}). What floats cannot hold goes through the reference.
 */
final class ForwardSteps implements Steps {
  private final Problem problem;
  private final Application application;
  private final ExactStatistics exact;
  private final Plan reference;

  /** Computes statistics and normalizes; null, as the guard, where oneDNN is given them. */
  private final Primitive normalize;

  private final StatisticsGuard guard;

  ForwardSteps(Problem problem, Function<Problem, Plan> reference) {
    this.problem = problem;
    exact = new ExactStatistics(problem);
    this.reference = reference.apply(problem);
    application = new Application(problem);
    try {
      normalize = own();
    } catch (RuntimeException | Error e) {
      application.close();
      throw e;
    }
    guard = normalize == null ? null : new StatisticsGuard(problem, normalize.implementation());
  }

  /** oneDNN's computation of statistics, where it does not add too many values. */
  private Primitive own() {
    if (problem.norm().statistics() == StatisticsSource.GIVEN) {
      return null;
    }
    Primitive primitive = new Primitive(PrimitiveDescription.forward(problem));
    long longest = StatisticsGuard.longestSum(problem, primitive.implementation());
    if (longest <= StatisticsGuard.LONGEST_SUM) {
      return primitive;
    }
    primitive.close();
    return null;
  }

  @Override
  public void run(Operands operands) {
    if (problem.norm().statistics() == StatisticsSource.GIVEN) {
      apply(operands, true);
    } else if (problem.task() == Task.TRAIN) {
      normalize(operands);
    } else {
      // Mean and variance, which nobody asked for but we.
      try (PooledMemory own = MemoryPool.take(DataType.F32, 2 * problem.unitCount())) {
        normalize(withStatistics(operands, own.memory()));
      }
    }
    if (problem.fusion().activation() == Activation.RELU) {
      Relu.apply(operands.get(Slot.DST), problem.shape().elements());
    }
  }

  private Operands withStatistics(Operands o, Memory own) {
    long count = problem.unitCount();
    Memory mean = own.slice(0, count);
    Memory variance = own.slice(count, count);
    return o.with(Slot.MEAN, mean).with(Slot.VARIANCE, variance);
  }

  private void normalize(Operands o) {
    if (normalize == null || !guard.isPromising(o.get(Slot.SRC))) {
      apply(o, exact.compute(o.get(Slot.SRC), o.get(Slot.MEAN), o.get(Slot.VARIANCE)));
    } else if (o.address(Slot.SRC) != o.address(Slot.DST)) {
      normalizeGuarded(o, o.get(Slot.SRC));
    } else {
      // The guard may have to start again from the input, which is overwritten here.
      try (PooledMemory copy = MemoryPool.take(DataType.F32, problem.shape().elements())) {
        o.get(Slot.SRC).slice(0, problem.shape().elements()).copyTo(copy.memory());
        normalizeGuarded(o, copy.memory());
      }
    }
  }

  private void normalizeGuarded(Operands o, Memory src) {
    normalize.run(o);
    StatisticsGuard.Finding finding = guard.replace(src, o.get(Slot.MEAN), o.get(Slot.VARIANCE));
    if (finding != StatisticsGuard.Finding.TRUSTED) {
      apply(o.with(Slot.SRC, src), finding == StatisticsGuard.Finding.REPLACED);
    }
  }

  /** Normalizes with statistics that are there, in float where it can. */
  private void apply(Operands o, boolean usual) {
    if (!usual || !application.run(o)) {
      reference.execute(o);
    }
  }

  /** Whether statistics are computed in Java, first of all. */
  boolean sumsInJava() {
    return normalize == null && problem.norm().statistics() == StatisticsSource.COMPUTED;
  }

  @Override
  public String implementation() {
    return normalize == null ? application.implementation() : normalize.implementation();
  }

  @Override
  public boolean keepsItsTeamSize() {
    return application.keepsItsTeamSize() && (normalize == null || normalize.keepsItsTeamSize());
  }

  @Override
  public boolean usesTeam() {
    return true;
  }

  @Override
  public void close() {
    application.close();
    if (normalize != null) {
      normalize.close();
    }
  }
}
