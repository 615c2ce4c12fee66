package io.nativenorm.bench.contestant;

import ai.onnxruntime.OrtEnvironment;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;

/**
 * ONNX Runtime on models of one node: BatchNormalization, LayerNormalization, RMSNormalization,
 * GroupNormalization, InstanceNormalization.
 */
public final class OnnxRuntimeContestant implements Contestant {
  @Override
  public String name() {
    return "ONNX Runtime";
  }

  @Override
  public String version() {
    return OrtEnvironment.getEnvironment().getVersion();
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    if (cell.direction() != Direction.INFERENCE) {
      return Optional.of("its jar runs models, and does not train them");
    }
    return cell.channelsLast()
        ? Optional.of("ONNX's operators are channels first")
        : Optional.empty();
  }

  @Override
  public List<String> jars() {
    return List.of("onnxruntime-");
  }

  @Override
  public Session prepare(Workload workload) {
    return new OnnxRuntimeSession(workload);
  }
}
