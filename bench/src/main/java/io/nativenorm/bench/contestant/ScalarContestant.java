package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;

/** Plain loops over {@code float[]}, as people write them: one thread, double sums, two passes. */
public final class ScalarContestant implements Contestant {
  @Override
  public String name() {
    return "Scalar Java";
  }

  @Override
  public String version() {
    return "Java " + Runtime.version().feature();
  }

  @Override
  public Optional<String> rejects(Cell cell) {
    return Optional.empty();
  }

  @Override
  public List<String> jars() {
    return List.of();
  }

  @Override
  public Session prepare(Workload workload) {
    HeapSession session =
        workload.cell().isRows() ? new ScalarRows(workload) : new ScalarChannels(workload);
    return session.prepared();
  }
}
