package io.nativenorm.bench;

import io.nativenorm.NativeNorm;
import io.nativenorm.Tensor;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The streaming limit: the time of {@code y = a * x + b}, which reads half of the bytes and writes
 * the other half. A normalization that moves as many bytes cannot be faster.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class StreamBenchmark {
  /** Read and written together. */
  @Param({})
  public long bytes;

  @Param({})
  public int threads;

  private Tensor x;
  private Tensor y;

  @Setup(Level.Trial)
  public void prepare() {
    NativeNorm.threads(threads);
    long floats = bytes / (2 * Float.BYTES);
    x = Tensor.zeros(floats);
    y = Tensor.zeros(floats);
  }

  @TearDown(Level.Trial)
  public void close() {
    y.close();
    x.close();
  }

  @Benchmark
  public void pass() {
    NativeNorm.plainPass(x, y, 0.5f, 1);
  }
}
