package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Workload;
import java.util.Optional;

/** Loops over {@code float[]} with {@code jdk.incubator.vector}: one thread, float sums. */
public final class VectorContestant extends PlainJava {
  @Override
  public String name() {
    return "Vector API";
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return cell.channelsLast()
        ? Optional.of("these loops take the neighbours of one channel")
        : Optional.empty();
  }

  @Override
  public Session prepare(Workload workload) {
    HeapSession session =
        workload.cell().isRows() ? new VectorRows(workload) : new VectorChannels(workload);
    return session.prepared();
  }
}
