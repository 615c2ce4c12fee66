package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
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
      long before = threads();
      ExecutorService pool = Executors.newFixedThreadPool(CALLERS);
      AtomicInteger next = new AtomicInteger();
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < CALLERS * 4; i++) {
        all.add(pool.submit(() -> useAll(cases.get(next.getAndIncrement() % cases.size()))));
      }
      long most = before;
      for (Future<?> done : all) {
        most = Math.max(most, threads());
        done.get();
      }
      most = Math.max(most, threads());
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

    private static long threads() throws IOException {
      try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
        return tasks.count();
      }
    }
  }

  @Test
  void manyCallersMakeNoThreads() throws Exception {
    if (!Files.isDirectory(Path.of("/proc/self/task"))) {
      return; // threads are counted the Linux way
    }
    JavaProcess process =
        JavaProcess.run(ManyCallers.class, Map.of(), "-XX:ActiveProcessorCount=8");
    assertEquals(0, process.status(), process.output());
    int more = Integer.parseInt(process.output().replaceAll("(?s).*more=(\\d+).*", "$1"));
    // The callers themselves, and what the JVM starts for its compiler and collector.
    assertTrue(more <= 64 + 16, process.output());
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
