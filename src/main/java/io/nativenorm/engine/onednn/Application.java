package io.nativenorm.engine.onednn;

import io.nativenorm.DataType;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;

/**
 * Normalization with statistics that are given or computed already. oneDNN takes eps as a float,
 * and adds it in float: 1e-5 beside a running variance of -9.9998997e-6 came out 0.13 % off. So it
 * gets none; it is added here, in double. For BATCH the root is taken and multiplied with the
 * weight here too ({@link FoldedWeights}), which leaves oneDNN no product that could overflow
 * before the result does.
 */
final class Application implements AutoCloseable {
  /** Calls at once whose memory is kept. */
  private static final int MOST_KEPT = 4;

  private final Problem problem;
  private final boolean isFolded;
  private final int units;
  private final Primitive primitive;

  /** For BATCH. */
  private final FreeList<FoldedWeights> folded;

  /** For variances with eps. */
  private final FreeList<PooledMemory> variances;

  Application(Problem problem) {
    this.problem = problem;
    isFolded = problem.norm().operation() == Operation.BATCH;
    units = Math.toIntExact(problem.unitCount());
    Problem applied =
        problem
            .withTask(Task.INFER)
            .withNorm(new Norm(problem.norm().operation(), StatisticsSource.GIVEN, 0))
            .withAffine(new Affine(isFolded || problem.affine().weight(), problem.affine().bias()));
    primitive = new Primitive(PrimitiveDescription.forward(applied));
    folded = new FreeList<>(MOST_KEPT, () -> new FoldedWeights(problem), FoldedWeights::free);
    variances =
        new FreeList<>(MOST_KEPT, () -> MemoryPool.take(DataType.F32, units), PooledMemory::close);
  }

  /** Normalizes; false, and nothing is done, where an intermediate result is beyond float. */
  boolean run(Operands o) {
    return isFolded ? runFolded(o) : runWithEps(o);
  }

  private boolean runFolded(Operands o) {
    FoldedWeights weights = folded.take();
    try {
      boolean usual = weights.compute(o);
      if (usual) {
        run(o, weights.weights(), weights.ones());
      }
      return usual;
    } finally {
      folded.give(weights);
    }
  }

  private boolean runWithEps(Operands o) {
    PooledMemory memory = variances.take();
    try {
      boolean usual = addEps(o, memory.memory());
      if (usual) {
        run(o, o.get(Slot.WEIGHT), memory.memory());
      }
      return usual;
    } finally {
      variances.give(memory);
    }
  }

  private void run(Operands o, Memory weight, Memory variance) {
    primitive.run(o.with(Slot.WEIGHT, weight).with(Slot.VARIANCE, variance));
  }

  private boolean addEps(Operands o, Memory variances) {
    float[] sums = new float[units];
    o.get(Slot.VARIANCE).read(0, sums, 0, units);
    boolean usual = true;
    for (int i = 0; i < units; i++) {
      double sum = sums[i] + problem.norm().eps();
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
    folded.close();
    variances.close();
  }
}
