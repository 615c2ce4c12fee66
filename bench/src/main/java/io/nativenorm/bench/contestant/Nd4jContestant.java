package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;

/** ND4J's operators {@code batchnorm} and {@code layer_norm} with their gradients. */
public final class Nd4jContestant implements Contestant {
  @Override
  public String name() {
    return "ND4J";
  }

  @Override
  public String version() {
    return Artifact.version("org.nd4j", "nd4j-native");
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    if (cell.operation() == Operation.BATCH && cell.direction() == Direction.TRAINING) {
      return Optional.of("its operator takes the statistics, and does not measure them");
    }
    return cell.operation() == Operation.BATCH || cell.operation() == Operation.LAYER
        ? Optional.empty()
        : Optional.of("it has batch and layer normalization only");
  }

  @Override
  public List<String> jars() {
    return List.of("nd4j-", "javacpp-", "openblas-", "protobuf-1", "jackson-1", "guava-1");
  }

  @Override
  public Session prepare(Workload workload) {
    return new Nd4jSession(workload);
  }
}
