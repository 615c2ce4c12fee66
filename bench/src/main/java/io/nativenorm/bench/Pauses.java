package io.nativenorm.bench;

import static java.util.stream.Collectors.joining;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Calls as programs make them, not one right after the other: the time on all threads over that on
 * one, each measured call by call in the same process, in turns. Threads that sleep, caches that
 * other code has filled and processors that another library's threads spin on are what a tight loop
 * hides. Beside each call a plain pass over as many bytes shows what memory allows: after a pause
 * others have the third-level cache, and memory may be no faster for two threads than for one.
 * Answers are checked first, against the exact ones.
 */
final class Pauses {
  private static final int ROUNDS = 4;

  /** Of each of the two in a round. */
  private static final long ROUND_NANOSECONDS = 100_000_000;

  private static final int LEAST_CALLS = 8;

  /** More than the caches of a processor, and of most. */
  private static final int DIRTY_FLOATS = 12 << 20;

  private static final int OTHER_CALLERS = 15;

  /** What happens before each call. */
  @FunctionalInterface
  interface Before {
    void call() throws InterruptedException;
  }

  /**
   * Calls of NativeNorm's.
   *
   * @param when what happens before each of them, or beside
   * @param microseconds of one on all threads
   * @param alone of one on a single thread
   */
  record Result(String call, String when, double microseconds, double alone) {}

  private Pauses() {}

  /**
   * In a process of its own.
   *
   * @throws IOException if it fails or an answer is wrong, with its last lines
   */
  static List<Result> run(Mode mode, int threads) throws IOException {
    return Fork.results(Pauses.class, threads, mode, Result.class);
  }

  /** {@code Pauses [THREADS [MODE FILE]]}: exit status 1 if an answer is wrong. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    int threads =
        arguments.length > 0
            ? Integer.parseInt(arguments[0])
            : Runtime.getRuntime().availableProcessors();
    boolean brief = arguments.length > 1 && Mode.valueOf(arguments[1]) == Mode.SMOKE;
    boolean right = true;
    List<Result> results = new ArrayList<>();
    for (Cell cell : brief ? cells().subList(0, 1) : cells()) {
      right &= race(cell, threads, brief ? 1 : ROUNDS, results);
    }
    if (arguments.length > 2) {
      Fork.write(Path.of(arguments[2]), results);
    }
    System.exit(right ? 0 : 1); // whatever threads PyTorch leaves
  }

  /** Small ones, on which a thread that sleeps is no help, and large ones. */
  private static List<Cell> cells() {
    Shape small =
        new Shape("small", Operation.BATCH, List.of(16, 16, 16, 16), 0, List.of(), "a small net");
    return List.of(
        new Cell(small, Layout.CHANNELS_FIRST, Direction.TRAINING),
        new Cell(Shape.named("bert-single"), Layout.CHANNELS_FIRST, Direction.INFERENCE),
        new Cell(Shape.named("bert-base"), Layout.CHANNELS_FIRST, Direction.INFERENCE),
        new Cell(Shape.named("resnet50-conv2"), Layout.CHANNELS_FIRST, Direction.TRAINING));
  }

  private static boolean race(Cell cell, int threads, int rounds, List<Result> results)
      throws InterruptedException {
    Contestant own = Contestants.named("NativeNorm AUTO");
    Workload workload = Workload.of(cell, threads);
    Map<String, double[]> expected = Oracle.expected(workload);
    try (Contestant.Session all = own.prepare(workload);
        Contestant.Session one = own.prepare(Workload.of(cell, 1));
        PlainPass plain = new PlainPass(cell.bytes(), threads);
        PlainPass plainAlone = new PlainPass(cell.bytes(), 1);
        Contestant.Session other = Contestants.named("PyTorch").prepare(workload)) {
      double allowed = Agreement.allowed(DataType.F32);
      boolean right = Timed.isRight("NativeNorm", all, expected, allowed);
      right &= Timed.isRight("NativeNorm on one thread", one, expected, allowed);
      right &= plain.isRight() && plainAlone.isRight();
      String call =
          String.format(
              "%s %s %s",
              cell.operation().name().toLowerCase(Locale.ROOT),
              cell.shape().extents().stream().map(String::valueOf).collect(joining("x")),
              cell.direction().name().toLowerCase(Locale.ROOT));
      String pass = String.format(Locale.ROOT, "plain pass of %.1f MB", cell.bytes() / 1e6);
      System.out.printf("%d threads, time over that on one thread:%n", threads);
      for (Map.Entry<String, Before> mode : modes(other).entrySet()) {
        time(call, mode, all, one, rounds, results);
        time(pass, mode, plain, plainAlone, rounds, results);
      }
      try (OtherCallers callers = new OtherCallers(own, cell, OTHER_CALLERS)) {
        time(call, Map.entry(callers.toString(), () -> {}), all, one, rounds, results);
      }
      return right;
    }
  }

  private static void time(
      String call,
      Map.Entry<String, Before> mode,
      Contestant.Session all,
      Contestant.Session one,
      int rounds,
      List<Result> results)
      throws InterruptedException {
    double[] medians = microseconds(all, one, mode.getValue(), rounds);
    results.add(report(call, mode.getKey(), medians));
  }

  private static Result report(String call, String mode, double[] medians) {
    System.out.printf(
        Locale.ROOT,
        "  %-34s %-19s %8.1f us, on one %8.1f: %.2f%n",
        call,
        mode,
        medians[0],
        medians[1],
        medians[0] / medians[1]);
    return new Result(call, mode, medians[0], medians[1]);
  }

  private static Map<String, Before> modes(Contestant.Session pytorch) {
    float[] dirt = new float[DIRTY_FLOATS];
    Map<String, Before> modes = new LinkedHashMap<>();
    modes.put("in a loop", () -> {});
    Stream.of(100, 500, 2_000, 10_000)
        .forEach(
            pause ->
                modes.put(
                    "after " + pause + " us",
                    () -> Thread.sleep(pause / 1000, pause % 1000 * 1000)));
    modes.put("with dirtied caches", () -> Arrays.fill(dirt, dirt[0] + 1));
    modes.put("after PyTorch's", pytorch::call);
    return modes;
  }

  /** Of a call of each session, the median. */
  static double[] microseconds(
      Contestant.Session first, Contestant.Session second, Before before, int rounds)
      throws InterruptedException {
    List<Contestant.Session> sessions = List.of(first, second);
    List<double[]> times = List.of(new double[0], new double[0]);
    for (int round = 0; round < rounds; round++) {
      times =
          List.of(
              with(times.get(0), sessions.get(0), before),
              with(times.get(1), sessions.get(1), before));
    }
    return times.stream().mapToDouble(Pauses::median).toArray();
  }

  private static double[] with(double[] known, Contestant.Session session, Before before)
      throws InterruptedException {
    double[] times = Arrays.copyOf(known, known.length + 4 * LEAST_CALLS);
    int calls = known.length;
    long end = System.nanoTime() + ROUND_NANOSECONDS;
    while (calls < known.length + LEAST_CALLS || System.nanoTime() < end) {
      before.call();
      long start = System.nanoTime();
      session.call();
      if (calls == times.length) {
        times = Arrays.copyOf(times, 2 * calls);
      }
      times[calls++] = (System.nanoTime() - start) / 1e3;
    }
    return Arrays.copyOf(times, calls);
  }

  private static double median(double[] times) {
    double[] sorted = times.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** Threads that call their own sessions until this is closed. */
  private static final class OtherCallers implements AutoCloseable {
    private final List<Thread> threads;
    private volatile boolean ends;

    OtherCallers(Contestant contestant, Cell cell, int count) {
      threads =
          IntStream.range(0, count)
              .mapToObj(i -> new Thread(() -> call(contestant, cell)))
              .toList();
      threads.forEach(Thread::start);
    }

    private void call(Contestant contestant, Cell cell) {
      try (Contestant.Session session = contestant.prepare(Workload.of(cell, 1))) {
        while (!ends) {
          session.call();
        }
      }
    }

    /** What is measured beside them. */
    @Override
    public String toString() {
      return "beside " + threads.size() + " callers";
    }

    @Override
    public void close() throws InterruptedException {
      ends = true;
      for (Thread thread : threads) {
        thread.join();
      }
    }
  }
}
