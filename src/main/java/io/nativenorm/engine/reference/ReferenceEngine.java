package io.nativenorm.engine.reference;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Conversion;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.Transposition;
import java.util.Optional;

/**
 * Plain Java loops: always there, and what the other engines' answers are held against. They
 * compute floats whatever is stored, which is widened as it is read and rounded once as it is
 * written. Where {@code Math.fma} is an instruction they take their sums in the order of
 * docs/order-of-sums.md, as FUSED does, and give the same bits; elsewhere, and in the phases, they
 * are two passes in doubles.
 */
public final class ReferenceEngine implements Engine, MemoryWork {
  @Override
  public Backend backend() {
    return Backend.JAVA;
  }

  @Override
  public String description() {
    return FusedMultiplyAdd.IS_INSTRUCTION
        ? "pure Java, sums in FUSED's order, one thread"
        : "pure Java, two passes in doubles (no fma, so not FUSED's bits), one thread";
  }

  @Override
  public boolean isReproducible() {
    return FusedMultiplyAdd.IS_INSTRUCTION;
  }

  @Override
  public Optional<String> unavailable() {
    return Optional.empty();
  }

  @Override
  public Optional<String> rejects(Problem problem) {
    Storage storage = problem.storage();
    if (!Storage.isPair(storage.src(), storage.dst()) || storage.parameters() != DataType.F32) {
      return Optional.of(
          "computes " + Storage.COMPUTED + " with parameters in F32 only, not " + storage);
    }
    boolean batch =
        problem.norm().operation() == Operation.BATCH
            && problem.norm().statistics() == StatisticsSource.COMPUTED;
    return problem.task().isPhase() && !batch
        ? Optional.of("has phases of batch normalization only")
        : Optional.empty();
  }

  @Override
  public Plan prepare(Problem problem) {
    if (problem.task().isPhase()) {
      return new PhasePlan(problem);
    }
    boolean backward = problem.task() == Task.BACKWARD;
    if (backward && problem.norm().masked()) {
      return new MaskedBackwardPlan(problem);
    }
    if (!FusedMultiplyAdd.IS_INSTRUCTION) {
      return backward ? new ReferenceBackwardPlan(problem) : new ReferenceForwardPlan(problem);
    }
    if (RowShape.fits(problem)) {
      return backward ? new RowsBackwardPlan(problem) : new RowsForwardPlan(problem);
    }
    if (problem.shape().layout() == Layout.CHANNELS_FIRST) {
      return backward ? new SpansBackwardPlan(problem) : new SpansForwardPlan(problem);
    }
    return backward ? new ColumnsBackwardPlan(problem) : new ColumnsForwardPlan(problem);
  }

  @Override
  public void convert(Memory from, Memory to, int threads) {
    Conversion.copy(from, to);
  }

  @Override
  public void copyIn(float[] from, Memory to, int threads) {
    to.write(0, from, 0, from.length);
  }

  @Override
  public void copyOut(Memory from, float[] to, int threads) {
    from.read(0, to, 0, to.length);
  }

  @Override
  public void transpose(
      Memory from, Memory to, long samples, long rows, long columns, int threads) {
    Transposition.copy(from, to, samples, rows, columns);
  }

  @Override
  public void updateRunning(Memory running, Memory batch, double share, double correction) {
    FloatView old = running.view();
    FloatView news = batch.view();
    long channels = running.elements();
    long samples = batch.elements() / channels;
    for (long c = 0; c < channels; c++) {
      double sum = 0;
      for (long n = 0; n < samples; n++) {
        sum += news.get(n * channels + c);
      }
      double average = sum / samples;
      old.put(c, (float) ((1 - share) * old.get(c) + share * correction * average));
    }
  }
}
