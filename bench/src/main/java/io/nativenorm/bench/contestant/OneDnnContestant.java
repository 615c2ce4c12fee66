package io.nativenorm.bench.contestant;

import static org.bytedeco.dnnl.global.dnnl.dnnl_version;

import io.nativenorm.DataType;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Environment;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;
import org.bytedeco.dnnl.dnnl_version_t;

/**
 * oneDNN's primitives through {@code org.bytedeco:dnnl}, everything prepared that can be: a call is
 * {@code dnnl_primitive_execute}, and BatchNorm's running statistics, which oneDNN does not know.
 * Instance normalization is group normalization with a channel a group. Threads are OpenMP's.
 */
public final class OneDnnContestant implements Contestant {
  @Override
  public String name() {
    return "oneDNN direct";
  }

  @Override
  public String version() {
    dnnl_version_t version = dnnl_version();
    return version.major() + "." + version.minor() + "." + version.patch();
  }

  /** BF16 on AVX-512. F16 it computes only where a processor does. */
  @Override
  public List<DataType> types() {
    return Environment.hasAvx512() ? List.of(DataType.F32, DataType.BF16) : List.of(DataType.F32);
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return Optional.empty();
  }

  @Override
  public List<String> jars() {
    return List.of("javacpp-", "dnnl-", "opencl-");
  }

  @Override
  public Session prepare(Workload workload) {
    return new OneDnnSession(workload);
  }
}
