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

/**
 * The time of one call: a contestant on a cell. JMH's threads are the callers, each with a session
 * of its own. {@link Race} sets the parameters, for not every contestant has every operation, and
 * has the answers checked before.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class CallBenchmark {
  @Param({})
  public String contestant;

  /** See {@link Cell#id}. */
  @Param({})
  public String cell;

  /** Threads for one call. */
  @Param({})
  public int threads;

  private Contestant.Session session;

  @Setup(Level.Trial)
  public void prepare() {
    session = Contestants.named(contestant).prepare(Workload.of(Cell.named(cell), threads));
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
