package io.nativenorm.bench.contestant;

import ai.djl.engine.Engine;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;

/** Deep Java Library on its PyTorch engine: the operators under its BatchNorm and LayerNorm. */
public final class DjlContestant implements Contestant {
  @Override
  public String name() {
    return "DJL";
  }

  @Override
  public String version() {
    return Engine.getDjlVersion() + ", PyTorch " + Engine.getEngine("PyTorch").getVersion();
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return switch (cell.operation()) {
      case RMS, GROUP, INSTANCE -> Optional.of("it has batch and layer normalization only");
      case BATCH, LAYER -> {
        if (cell.direction() == Direction.BACKWARD) {
          yield Optional.of("its gradients come from autograd, with a forward pass each");
        }
        yield cell.channelsLast()
            ? Optional.of("its arrays are in the order of their shape")
            : Optional.empty();
      }
    };
  }

  @Override
  public List<String> jars() {
    return List.of("pytorch-engine-", "pytorch-jni-", "pytorch-native-", "api-", "jna-5", "gson-");
  }

  @Override
  public Session prepare(Workload workload) {
    return new DjlSession(workload);
  }
}
