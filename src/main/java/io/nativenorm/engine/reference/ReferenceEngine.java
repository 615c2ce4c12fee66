package io.nativenorm.engine.reference;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import java.util.Optional;

/**
 * Plain Java loops: always there, and what the other engines' answers are held against. Where
 * {@code Math.fma} is an instruction they take their sums in the order of docs/order-of-sums.md, as
 * FUSED does, and give the same bits; elsewhere they are two passes in doubles.
 */
public final class ReferenceEngine implements Engine {
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
    return refusedType(problem)
        .or(() -> problem.task().isPhase() ? Optional.of("has no phases") : Optional.empty());
  }

  /** BF16 goes where rows are normalized by what reads and writes floats; it is rounded there. */
  private static Optional<String> refusedType(Problem problem) {
    boolean hasBf16 = problem.norm().operation() == Operation.LAYER && problem.task() == Task.INFER;
    if (hasBf16 && problem.storage().equals(Storage.of(DataType.BF16))) {
      return Optional.empty();
    }
    String also = hasBf16 ? ", or BF16 with parameters in F32," : "";
    return problem
        .storage()
        .otherThan(DataType.F32)
        .map(other -> "computes F32" + also + " only, not " + other);
  }

  @Override
  public Plan prepare(Problem problem) {
    boolean backward = problem.task() == Task.BACKWARD;
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
}
