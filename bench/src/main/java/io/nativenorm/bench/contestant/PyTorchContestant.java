package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Workload;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Optional;
import java.util.Properties;

/**
 * PyTorch's C++ operators through {@code org.bytedeco:pytorch}: {@code native_batch_norm}, {@code
 * native_layer_norm}, {@code native_group_norm} (instance normalization: a channel a group, faster
 * than {@code instance_norm}) with their backward, and {@code rms_norm}. No tensor asks for
 * gradients, so autograd records nothing.
 */
public final class PyTorchContestant implements Contestant {
  private static final String POM = "/META-INF/maven/org.bytedeco/pytorch/pom.properties";

  @Override
  public String name() {
    return "PyTorch";
  }

  @Override
  public String version() {
    try (InputStream pom = PyTorchContestant.class.getResourceAsStream(POM)) {
      Properties properties = new Properties();
      properties.load(pom);
      return properties.getProperty("version");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public Optional<String> rejects(Cell cell) {
    return cell.operation() == Operation.RMS && cell.direction() == Direction.BACKWARD
        ? Optional.of("RMSNorm's gradient is autograd's, there is no operator for it")
        : Optional.empty();
  }

  @Override
  public Session prepare(Workload workload) {
    return new PyTorchSession(workload);
  }
}
