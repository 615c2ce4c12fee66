package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;
import org.tensorflow.TensorFlow;

/** TensorFlow Java's FusedBatchNorm and its gradient, in a graph of one node. */
public final class TensorFlowContestant implements Contestant {
  @Override
  public String name() {
    return "TensorFlow";
  }

  @Override
  public String version() {
    return TensorFlow.version();
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return cell.operation() == Operation.BATCH
        ? Optional.empty()
        : Optional.of("its one operator is batch normalization");
  }

  @Override
  public List<String> jars() {
    return List.of("tensorflow-core-", "ndarray-", "javacpp-", "protobuf-java-");
  }

  @Override
  public Session prepare(Workload workload) {
    return new TensorFlowSession(workload);
  }
}
