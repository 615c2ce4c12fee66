package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Direction;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.NativeMemory;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Statistics;
import java.util.Arrays;

/**
 * Normalization with statistics that are there. oneDNN takes eps as a float, and adds it in float:
 * 1e-5 beside a running variance of -9.9998997e-6 came out 0.13 % off. So it gets none; it is added
 * here, in double. For BATCH the root is taken and multiplied with the weight here too, which
 * leaves oneDNN no product that could overflow before the result does.
 */
final class Application implements AutoCloseable {
  /** Calls at once whose memory is kept. */
  private static final int MOST_KEPT = 4;

  private final Problem problem;
  private final boolean folded;
  private final int units;
  private final Primitive primitive;

  /** For variances, and weights where they are folded. */
  private final Pool<NativeMemory> memories;

  Application(Problem problem) {
    this.problem = problem;
    folded = problem.operation() == Operation.BATCH;
    units = Math.toIntExact(problem.statisticsCount());
    Problem applied =
        new Problem(
            problem.operation(),
            Direction.INFERENCE,
            Statistics.GIVEN,
            problem.dataType(),
            problem.layout(),
            problem.batch(),
            problem.channels(),
            problem.spatial(),
            problem.groups(),
            0,
            folded || problem.weight(),
            problem.bias(),
            problem.activation(),
            problem.threads());
    primitive = new Primitive(PrimitiveDescription.forward(applied));
    memories = new Pool<>(MOST_KEPT, () -> new NativeMemory(2L * units), NativeMemory::free);
  }

  /** Normalizes; false, and nothing is done, where floats do not hold what is needed for it. */
  boolean run(Operands o) {
    NativeMemory memory = memories.take();
    try {
      NativeFloats variances = memory.floats().slice(0, units);
      NativeFloats weights = folded ? memory.floats().slice(units, units) : o.weight();
      if (!(folded ? fold(o, variances, weights) : addEps(o, variances))) {
        return false;
      }
      primitive.run(Operands.forward(o.src(), o.dst(), weights, o.bias(), o.mean(), variances));
      return true;
    } finally {
      memories.give(memory);
    }
  }

  /** weight / sqrt(variance + eps), and ones for variances. */
  private boolean fold(Operands o, NativeFloats variances, NativeFloats weights) {
    float[] factors = new float[units];
    Arrays.fill(factors, 1);
    if (problem.weight()) {
      o.weight().read(0, factors, 0, units);
    }
    float[] given = new float[units];
    o.variance().read(0, given, 0, units);
    float[] means = new float[units];
    o.mean().read(0, means, 0, units);
    boolean usual = true;
    for (int i = 0; i < units; i++) {
      double factor = factors[i];
      double variance = given[i] + problem.eps();
      // Without spread there is nothing to scale.
      boolean constant = variance == 0 && problem.statistics() == Statistics.COMPUTED;
      float scaled = constant ? 0 : (float) (factor / Math.sqrt(variance));
      factors[i] = scaled;
      usual &=
          ExactStatistics.isUsualMean(means[i])
              && !Float.isInfinite(scaled)
              && !(Math.abs(scaled) < Float.MIN_NORMAL && factor != 0 && !constant);
    }
    weights.write(0, factors, 0, units);
    variances.setAll(1);
    return usual;
  }

  private boolean addEps(Operands o, NativeFloats variances) {
    float[] sums = new float[units];
    o.variance().read(0, sums, 0, units);
    boolean usual = true;
    for (int i = 0; i < units; i++) {
      double sum = sums[i] + problem.eps();
      usual &= sums[i] == 0 || ExactStatistics.isUsual(sum);
      // Without spread x - mean is 0, whatever it is divided by.
      sums[i] = sums[i] == 0 && !ExactStatistics.isUsual(sum) ? 1 : (float) sum;
    }
    variances.write(0, sums, 0, units);
    return usual;
  }

  String implementation() {
    return primitive.implementation();
  }

  boolean keepsItsTeamSize() {
    return primitive.keepsItsTeamSize();
  }

  @Override
  public void close() {
    primitive.close();
    memories.close();
  }
}
