package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How many threads work, how many there are, and what OpenMP's environment can do to the sums. */
class ThreadsTest {
  /**
   * LayerNorm's backward on the team, which is wrong without a word if OpenMP gives fewer threads
   * than the primitive was made for.
   */
  static final class Backward {
    public static void main(String[] args) {
      for (LayerCase.Kind kind : new LayerCase.Kind[] {LayerCase.Kind.LAYER, LayerCase.Kind.RMS}) {
        LayerCase c = new LayerCase(kind, Layout.CHANNELS_FIRST, Backend.ONEDNN, 1024, 512);
        double[][] expected =
            c.trainingOracle().backward(TestData.widen(c.x()), TestData.widen(c.dy()));
        try (NormLayer layer = c.layer();
            Tensor x = c.tensor(c.x());
            Tensor dy = c.tensor(c.dy());
            Pass pass = layer.forwardTraining(x);
            Gradients actual = pass.backward(dy)) {
          System.out.printf(
              "%s dx %b dweight %b%n",
              kind,
              TestData.relativeL2(expected[0], actual.input().toArray()) <= 1e-5,
              TestData.relativeL2(expected[1], actual.weight().toArray()) <= 1e-5);
        }
      }
      System.out.println(NativeNorm.describe());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "OMP_THREAD_LIMIT, 2, OpenMP team of 1", // fewer than the 4 wanted: not one of them is used
    "OMP_THREAD_LIMIT, 8, OpenMP team of 4",
    "OMP_DYNAMIC, true, OpenMP team of 4",
    "OMP_NUM_THREADS, 1, OpenMP team of 4",
    "OMP_NUM_THREADS, 16, OpenMP team of 4"
  })
  @SameOnAnyJvm
  void gradientsAreWholeWhateverTheTeam(String variable, String value, String team)
      throws Exception {
    JavaProcess process =
        JavaProcess.run(Backward.class, Map.of(variable, value), "-XX:ActiveProcessorCount=4");
    assertEquals(0, process.status(), process.output());
    assertTrue(process.output().contains("LAYER dx true dweight true"), process.output());
    assertTrue(process.output().contains("RMS dx true dweight true"), process.output());
    assertTrue(process.output().contains(team), process.output());
  }

  /** 64 callers with 8 threads allowed, on large and small problems in every direction. */
  static final class ManyCallers {
    private static final int CALLERS = 64;

    public static void main(String[] args) throws Exception {
      List<LayerCase> cases = new ArrayList<>();
      for (LayerCase.Kind kind : LayerCase.Kind.values()) {
        for (Layout layout : Layout.values()) {
          cases.add(new LayerCase(kind, layout, Backend.ONEDNN, 2, 16, 96, 96));
          cases.add(new LayerCase(kind, layout, Backend.ONEDNN, 2, 16, 4, 4));
        }
      }
      useAll(cases.get(0)); // starts the team
      int before = tasks().size();
      ExecutorService pool = Executors.newFixedThreadPool(CALLERS);
      AtomicInteger next = new AtomicInteger();
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < CALLERS * 4; i++) {
        all.add(pool.submit(() -> useAll(cases.get(next.getAndIncrement() % cases.size()))));
      }
      int most = before;
      for (Future<?> done : all) {
        most = Math.max(most, tasks().size());
        done.get();
      }
      most = Math.max(most, tasks().size());
      pool.shutdown();
      System.out.println("more=" + (most - before));
    }

    private static void useAll(LayerCase c) {
      try (NormLayer layer = c.layer();
          Tensor x = c.tensor(c.x());
          Tensor dy = c.tensor(c.dy());
          Tensor y = layer.forward(x);
          Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(dy)) {
        gradients.input();
        y.size();
      }
    }
  }

  @Test
  @SameOnAnyJvm
  void manyCallersMakeNoThreads() throws Exception {
    assumeTrue(Files.isDirectory(Path.of("/proc/self/task")), "threads are counted the Linux way");
    JavaProcess process =
        JavaProcess.run(ManyCallers.class, Map.of(), "-XX:ActiveProcessorCount=8");
    assertEquals(0, process.status(), process.output());
    int more = Integer.parseInt(process.output().replaceAll("(?s).*more=(\\d+).*", "$1"));
    // The callers themselves, and what the JVM starts for its compiler and collector.
    assertTrue(more <= 64 + 16, process.output());
  }

  /**
   * The tasks of this process, without those that are ending and the kernel has yet to forget: a
   * thread that was waited for may still be listed. And without the memory pool's, which sleeps.
   */
  private static List<String> tasks() throws IOException {
    List<String> tasks = new ArrayList<>();
    for (String task : Path.of("/proc/self/task").toFile().list()) {
      String[] stat = stat(task);
      if (stat.length > 0 && (Long.parseLong(stat[6]) & 4) == 0) { // flags, PF_EXITING
        tasks.add(task);
      }
    }
    return tasks;
  }

  /**
   * What follows the name in proc's stat, from the state on; nothing of a task not to be counted.
   */
  private static String[] stat(String task) throws IOException {
    try {
      String line = Files.readString(Path.of("/proc/self/task", task, "stat"));
      return line.contains("(NativeNorm pool)")
          ? new String[0]
          : line.substring(line.lastIndexOf(')') + 2).split(" ");
    } catch (NoSuchFileException e) {
      return new String[0];
    } catch (IOException e) {
      if (String.valueOf(e.getMessage()).contains("No such process")) {
        return new String[0];
      }
      throw e;
    }
  }

  /**
   * All the threads the JVM ever starts on its own are there from the beginning, and so little
   * memory is kept that the pool's does not start: until it runs it has its maker's name.
   */
  private static final String[] NO_NEW_JVM_THREADS = {
    "-XX:+UseSerialGC", "-XX:-UseDynamicNumberOfCompilerThreads", "-Dnativenorm.pool=4m"
  };

  private static JavaProcess runCounted(Class<?> main, int processors) throws Exception {
    List<String> options = new ArrayList<>(List.of(NO_NEW_JVM_THREADS));
    options.add("-XX:ActiveProcessorCount=" + processors);
    JavaProcess process = JavaProcess.run(main, Map.of(), options.toArray(new String[0]));
    assertEquals(0, process.status(), process.output());
    return process;
  }

  /** 64 callers with 8 threads allowed, on both native engines in turns. */
  static final class MixedCallers {
    private static final int CALLERS = 64;
    private static final int PROCESSORS = 8;
    private static final int ROUNDS = 6;

    public static void main(String[] args) throws Exception {
      List<LayerCase> cases = new ArrayList<>();
      for (LayerCase.Kind kind : LayerCase.Kind.values()) {
        for (Backend backend : List.of(Backend.FUSED, Backend.ONEDNN)) {
          cases.add(new LayerCase(kind, Layout.CHANNELS_LAST, backend, 2, 16, 96, 96));
          cases.add(new LayerCase(kind, Layout.CHANNELS_FIRST, backend, 2, 16, 4, 4));
        }
      }
      ManyCallers.useAll(cases.get(0).with(Backend.JAVA)); // JavaCPP has a thread too
      int allowed = tasks().size() + CALLERS + PROCESSORS;
      int most = 0;
      ExecutorService pool = Executors.newFixedThreadPool(CALLERS);
      for (int round = 0; round < ROUNDS; round++) {
        // After a while without calls the threads may change hands: now one engine, now the other.
        Backend first = round % 2 == 0 ? Backend.FUSED : Backend.ONEDNN;
        Thread.sleep(60);
        ManyCallers.useAll(cases.get(0).with(first));
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < CALLERS; i++) {
          LayerCase c = cases.get((i + round) % cases.size());
          all.add(pool.submit(() -> ManyCallers.useAll(c)));
        }
        for (Future<?> done : all) {
          while (!done.isDone()) {
            most = Math.max(most, tasks().size());
          }
          done.get();
        }
      }
      pool.shutdown();
      System.out.println("most " + most + " of " + allowed + (most <= allowed ? " ok" : " WRONG"));
    }
  }

  @Test
  @SameOnAnyJvm
  void twoEnginesTogetherMakeNoMoreThreadsThanOne() throws Exception {
    assumeTrue(Files.isDirectory(Path.of("/proc/self/task")), "threads are counted the Linux way");
    TestEngines.assumeFused();
    JavaProcess process = runCounted(MixedCallers.class, MixedCallers.PROCESSORS);
    assertTrue(process.output().contains(" ok"), process.output());
  }

  /** One caller, large problems, first on one engine, then on the other, and back. */
  static final class OneCaller {
    /** A hundredth of a second each. */
    private static final int BUSY_TICKS = 3;

    public static void main(String[] args) throws Exception {
      LayerCase c = new LayerCase(LayerCase.Kind.BATCH, Layout.CHANNELS_LAST, Backend.JAVA, 2, 4);
      c.layer().forward(c.tensor(c.x())).close();
      List<String> before = tasks();
      for (Backend backend : List.of(Backend.FUSED, Backend.ONEDNN, Backend.FUSED)) {
        Thread.sleep(60); // helpers change hands when unused for 50 ms
        useForLong(backend, before);
      }
    }

    private static void useForLong(Backend backend, List<String> before) throws IOException {
      try (BatchNorm layer = BatchNorm.builder(64).threads(2).backend(backend).build();
          Tensor x = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 32, 64, 56, 56);
          Tensor y = x.to(x.layout())) {
        List<String> helpers = List.of();
        long busy = 0;
        long begin = System.nanoTime();
        double seconds = 0;
        // On a machine that does much else a helper may get its hundredths of a second late.
        while (seconds < 0.3 || (seconds < 30 && busy < helpers.size())) {
          layer.forward(x, y);
          helpers = new ArrayList<>(tasks());
          helpers.removeAll(before);
          busy = 0;
          for (String task : helpers) {
            String[] stat = stat(task);
            busy += stat.length > 0 && Long.parseLong(stat[11]) >= BUSY_TICKS ? 1 : 0; // utime
          }
          seconds = (System.nanoTime() - begin) / 1e9;
        }
        System.out.println(backend + ": " + helpers.size() + " helpers, busy " + busy);
      }
    }
  }

  @Test
  @SameOnAnyJvm
  void aLargeProblemIsHelpedByTheOneEnginesThreads() throws Exception {
    assumeTrue(Files.isDirectory(Path.of("/proc/self/task")), "threads are counted the Linux way");
    TestEngines.assumeFused();
    // Newer JDKs also print warnings about native access.
    List<String> lines =
        runCounted(OneCaller.class, 2)
            .output()
            .lines()
            .filter(line -> line.contains("helpers"))
            .toList();
    assertEquals(3, lines.size());
    assertEquals("FUSED: 1 helpers, busy 1", lines.get(0));
    // oneDNN's team: the thread that it belongs to and one worker.
    assertEquals("ONEDNN: 2 helpers, busy 2", lines.get(1));
    // That thread stays, and is busy no more than it was.
    assertEquals("FUSED: 2 helpers, busy 2", lines.get(2));
  }

  @Test
  void theNumberOfThreadsIsTheProcesssOrTheLayers() {
    int before = NativeNorm.threads();
    try (LayerNorm own = LayerNorm.builder(4).threads(3).build();
        LayerNorm other = LayerNorm.of(4);
        Tensor x = Tensor.zeros(2, 4)) {
      NativeNorm.threads(5);
      assertTrue(own.explain(x).contains("threads 3"), own.explain(x));
      assertTrue(other.explain(x).contains("threads 5"), other.explain(x));
    } finally {
      NativeNorm.threads(before);
    }
  }

  @Test
  void aBusyTeamIsNotWaitedFor() throws Exception {
    LayerCase c =
        new LayerCase(LayerCase.Kind.BATCH, Layout.CHANNELS_LAST, Backend.ONEDNN, 8, 64, 56, 56);
    double[] expected = c.trainingOracle().forward(TestData.widen(c.x()));
    ExecutorService pool = Executors.newFixedThreadPool(4);
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x())) {
      List<Future<Double>> errors = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        errors.add(
            pool.submit(
                () -> {
                  try (Tensor y = layer.forward(x)) {
                    return TestData.largestMixedError(expected, c.logical(y));
                  }
                }));
      }
      for (Future<Double> error : errors) {
        assertEquals(0, error.get(), 1e-5);
      }
    } finally {
      pool.shutdown();
    }
  }

  @Test
  void anInterruptIsKeptForTheCaller() {
    try (LayerNorm layer = LayerNorm.of(1024);
        Tensor x = Tensor.zeros(1024, 1024)) {
      Thread.currentThread().interrupt();
      layer.forward(x, x);
      assertTrue(Thread.interrupted());
    }
  }
}
