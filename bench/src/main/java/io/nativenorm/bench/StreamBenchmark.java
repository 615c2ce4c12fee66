package io.nativenorm.bench;

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

/** The streaming limit: {@link PlainPass}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class StreamBenchmark {
  /** Read and written together. */
  @Param({})
  public long bytes;

  @Param({})
  public int threads;

  private PlainPass pass;

  @Setup(Level.Trial)
  public void prepare() {
    pass = new PlainPass(bytes, threads);
  }

  @TearDown(Level.Trial)
  public void close() {
    pass.close();
  }

  @Benchmark
  public void pass() {
    pass.call();
  }
}
