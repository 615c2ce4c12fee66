package io.nativenorm.bench.contestant;

import io.nativenorm.DataType;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;

/**
 * PyTorch's C++ operators through {@code org.bytedeco:pytorch}: {@code native_batch_norm}, {@code
 * native_layer_norm}, {@code native_group_norm} (instance normalization: a channel a group, faster
 * than {@code instance_norm}) with their backward, and {@code rms_norm}. No tensor asks for
 * gradients, so autograd records nothing.
 */
public final class PyTorchContestant implements Contestant {
  @Override
  public String name() {
    return "PyTorch";
  }

  @Override
  public String version() {
    return Artifact.version("org.bytedeco", "pytorch");
  }

  @Override
  public List<DataType> types() {
    return Cell.TYPES;
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return cell.operation() == Operation.RMS && cell.direction() == Direction.BACKWARD
        ? Optional.of("RMSNorm's gradient is autograd's, there is no operator for it")
        : Optional.empty();
  }

  @Override
  public List<String> jars() {
    return List.of("javacpp-", "pytorch-2.", "openblas-");
  }

  @Override
  public Session prepare(Workload workload) {
    return new PyTorchSession(workload);
  }
}
