package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Workload;
import java.util.Optional;

/** Plain loops over {@code float[]}, as people write them: one thread, double sums, two passes. */
public final class ScalarContestant extends PlainJava {
  @Override
  public String name() {
    return "Scalar Java";
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return Optional.empty();
  }

  @Override
  public Session prepare(Workload workload) {
    HeapSession session =
        workload.cell().isRows() ? new ScalarRows(workload) : new ScalarChannels(workload);
    return session.prepared();
  }
}
