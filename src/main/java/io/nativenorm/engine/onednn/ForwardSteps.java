package io.nativenorm.engine.onednn;

import io.nativenorm.Activation;
import io.nativenorm.engine.BufferPool;
import io.nativenorm.engine.Direction;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Statistics;
import org.bytedeco.javacpp.Pointer;

/**
 * Normalization, with the statistics checked and if need be replaced ({@link StatisticsGuard}), and
 * the activation.
 */
final class ForwardSteps implements Steps {
  private final Problem problem;
  private final Primitive normalize;

  /** Null where the statistics are given or there is no mean. */
  private final StatisticsGuard guard;

  /** Applies the guard's statistics; null without guard. */
  private final Primitive apply;

  ForwardSteps(Problem problem) {
    this.problem = problem;
    normalize = new Primitive(PrimitiveDescription.forward(problem));
    boolean guarded =
        problem.statistics() == Statistics.COMPUTED && problem.operation() != Operation.RMS;
    guard = guarded ? new StatisticsGuard(problem, normalize.implementation()) : null;
    try {
      Problem given = problem.with(Direction.INFERENCE, Statistics.GIVEN);
      apply = guarded ? new Primitive(PrimitiveDescription.forward(given)) : null;
    } catch (RuntimeException | Error e) {
      normalize.close();
      throw e;
    }
  }

  @Override
  public void run(Operands operands) {
    if (problem.statistics() == Statistics.GIVEN || problem.direction() == Direction.TRAINING) {
      normalize(operands);
    } else {
      // Mean and variance, which nobody asked for but the guard.
      try (BufferPool.Buffer own = BufferPool.take(2 * problem.statisticsCount())) {
        normalize(withStatistics(operands, own.floats()));
      }
    }
    if (problem.activation() == Activation.RELU) {
      Relu.apply(operands.dst(), problem.elements());
    }
  }

  private Operands withStatistics(Operands o, NativeFloats own) {
    long count = problem.statisticsCount();
    NativeFloats mean = own.slice(0, count);
    NativeFloats variance = own.slice(count, count);
    return Operands.forward(o.src(), o.dst(), o.weight(), o.bias(), mean, variance);
  }

  private void normalize(Operands operands) {
    if (guard == null) {
      normalize.run(operands);
    } else if (operands.src().address() != operands.dst().address()) {
      normalizeGuarded(operands, operands.src());
    } else {
      // The guard may have to start again from the input, which is overwritten here.
      try (BufferPool.Buffer copy = BufferPool.take(problem.elements())) {
        Pointer.memcpy(copy.floats(), operands.src(), problem.elements() * Float.BYTES);
        normalizeGuarded(operands, copy.floats());
      }
    }
  }

  private void normalizeGuarded(Operands o, NativeFloats src) {
    normalize.run(o);
    if (guard.replace(src, o.mean(), o.variance())) {
      apply.run(Operands.forward(src, o.dst(), o.weight(), o.bias(), o.mean(), o.variance()));
    }
  }

  @Override
  public String implementation() {
    return normalize.implementation();
  }

  @Override
  public boolean keepsItsTeamSize() {
    return normalize.keepsItsTeamSize() && (apply == null || apply.keepsItsTeamSize());
  }

  @Override
  public void close() {
    normalize.close();
    if (apply != null) {
      apply.close();
    }
  }
}
