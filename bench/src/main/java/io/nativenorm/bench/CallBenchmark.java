package io.nativenorm.bench;

import io.nativenorm.Layout;
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
 * The time of one call: a contestant on a cell. Its results are checked before it is timed. {@link
 * Race} sets the parameters, for not every contestant has every operation.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class CallBenchmark {
  @Param({})
  public String contestant;

  @Param({})
  public String shape;

  @Param({})
  public Layout layout;

  @Param({})
  public Direction direction;

  /** Threads for one call. */
  @Param({})
  public int threads;

  private Contestant.Session session;

  /**
   * Prepares the session, and fails where its answer is not one. oneDNN's gradients may lose a bit.
   */
  @Setup(Level.Trial)
  public void prepare() {
    Workload workload = Workload.of(new Cell(Shape.named(shape), layout, direction), threads);
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
