package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import java.util.function.Function;

/**
 * Forward passes over one sample after another, in {@link Slices}, for samples that share nothing
 * and have statistics that are summed in Java. A sample is still in the cache when it is
 * normalized, and two threads sum. With all sums first, on one thread, 4x64x128x128 in 64 groups
 * took 1.4 times as long channels last and 1.7 times channels first.
 */
final class SampleSteps implements Steps {
  /**
   * Elements of a sample. 32 samples of 2^15 take 0.3 to 0.6 of the time of one call for all, but
   * 64 of 2^14 up to 1.5: each has a call of oneDNN, views and arrays of its own.
   */
  static final long LEAST = 1 << 15;

  private final Problem problem;
  private final Slices slices;
  private final ForwardSteps sample;
  private final long elements;
  private final long units;

  /** To be made on a team of one. */
  SampleSteps(Problem problem, Slices slices, Function<Problem, Plan> reference) {
    this.problem = problem;
    this.slices = slices;
    sample =
        new ForwardSteps(
            problem.withShape(problem.shape().withSamples(1, problem.shape().spatial())),
            reference);
    elements = problem.shape().channels() * problem.shape().spatial();
    units = problem.shape().groups();
  }

  /** Whether steps for a whole problem are better taken sample by sample. */
  static boolean areBetterThan(ForwardSteps whole, Problem problem) {
    return problem.norm().operation() == Operation.GROUP
        && problem.shape().batch() > 1
        && problem.shape().channels() * problem.shape().spatial() >= LEAST
        && whole.sumsInJava()
        && whole.keepsItsTeamSize();
  }

  @Override
  public void run(Operands o) {
    slices.run(
        Slices.count(problem.shape().elements(), problem.shape().batch()),
        problem.shape().batch(),
        (slice, from, to) -> {
          for (long n = from; n < to; n++) {
            sample.run(of(o, n));
          }
        });
  }

  private Operands of(Operands o, long n) {
    return o.with(Slot.SRC, o.get(Slot.SRC).slice(n * elements, elements))
        .with(Slot.DST, o.get(Slot.DST).slice(n * elements, elements))
        .with(Slot.MEAN, unitsOf(o.get(Slot.MEAN), n))
        .with(Slot.VARIANCE, unitsOf(o.get(Slot.VARIANCE), n));
  }

  private Memory unitsOf(Memory statistics, long n) {
    return statistics == null ? null : statistics.slice(n * units, units);
  }

  @Override
  public String implementation() {
    return sample.implementation();
  }

  @Override
  public boolean keepsItsTeamSize() {
    return sample.keepsItsTeamSize();
  }

  @Override
  public boolean usesTeam() {
    return false;
  }

  @Override
  public void close() {
    sample.close();
  }
}
