package io.nativenorm.bench;

import io.nativenorm.Layout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The time of one call: a contestant on a cell. Its results are checked before it is timed. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class CallBenchmark {
  @Param({
    "NativeNorm AUTO",
    "NativeNorm FUSED",
    "NativeNorm ONEDNN",
    "NativeNorm JAVA",
    "Scalar Java"
  })
  public String contestant;

  @Param({"resnet50-conv4", "bert-single", "llama-token", "sd-unet-mid", "style-transfer"})
  public String shape;

  @Param({"CHANNELS_FIRST"})
  public Layout layout;

  @Param({"INFERENCE", "TRAINING", "BACKWARD"})
  public Direction direction;

  /** Threads for one call; 0: as many as there are processors. */
  @Param({"0"})
  public int threads;

  private Contestant.Session session;

  /**
   * Prepares the session, and fails where its answer is not one. oneDNN's gradients may lose a bit.
   */
  @Setup(Level.Trial)
  public void prepare() {
    int count = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
    Workload workload = Workload.of(new Cell(Shape.named(shape), layout, direction), count);
    Contestant raced = Contestants.named(contestant);
    double error = Agreement.error(raced, workload);
    if (!(error <= 2 * Agreement.ALLOWED)) {
      throw new IllegalStateException(
          contestant + " is wrong on " + workload.cell() + ": " + error);
    }
    session = raced.prepare(workload);
  }

  @TearDown(Level.Trial)
  public void close() {
    session.close();
  }

  @Benchmark
  public void call() {
    session.call();
  }
}
