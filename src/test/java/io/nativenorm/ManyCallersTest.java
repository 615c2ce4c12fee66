package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * 64 threads with heap arrays beside a small heap: no collector that waits for held arrays may make
 * an allocation fail. 64 that hold their arrays find that within a second, 8 within three; {@code
 * -Dnativenorm.callers.seconds=60} makes it a minute for each.
 */
class ManyCallersTest {
  /** Calls one layer from all threads; each also allocates for itself. */
  static final class Callers {
    public static void main(String[] args) throws Exception {
      int elements = Integer.getInteger("elements");
      long end = System.nanoTime() + Integer.getInteger("seconds") * 1_000_000_000L;
      int callers = Integer.getInteger("callers");
      ExecutorService pool = Executors.newFixedThreadPool(callers);
      try (LayerNorm layer =
          LayerNorm.builder(512).threads(Integer.getInteger("threads")).build()) {
        List<Future<Integer>> failures = new ArrayList<>();
        for (int i = 0; i < callers; i++) {
          failures.add(pool.submit(() -> failures(layer, new float[elements], end)));
        }
        int failed = 0;
        for (Future<Integer> ended : failures) {
          failed += ended.get();
        }
        System.out.println("\n" + failed + " OutOfMemoryErrors");
      } finally {
        pool.shutdown();
      }
    }

    private static int failures(LayerNorm layer, float[] x, long end) {
      int failed = 0;
      float[] own = {};
      while (System.nanoTime() < end) {
        try {
          own = layer.forward(x);
          own = new float[x.length / 4 + own.length % 2];
        } catch (OutOfMemoryError e) {
          failed++;
        }
      }
      return failed;
    }
  }

  @ParameterizedTest
  @CsvSource({
    "G1, 40m, 64, 2, 32768, 1",
    "Parallel, 40m, 64, 2, 32768, 1",
    "Serial, 40m, 64, 2, 32768, 1",
    "G1, 64m, 64, 2, 32768, 1",
    "G1, 40m, 64, 1, 32768, 1",
    "G1, 40m, 8, 1, 32768, 3",
    "G1, 40m, 8, 2, 32768, 3",
    "G1, 64m, 8, 2, 262144, 3", // in sections
    "Parallel, 64m, 8, 2, 262144, 1"
  })
  void theCollectorIsNeverKeptWaitingForTooLong(
      String collector, String heap, int callers, int threads, int elements, int seconds)
      throws Exception {
    JavaProcess process =
        JavaProcess.run(
            Callers.class,
            Map.of(),
            "-XX:TieredStopAtLevel=4", // as programs run
            "-Xmx" + heap,
            "-XX:+Use" + collector + "GC",
            "-Dcallers=" + callers,
            "-Dthreads=" + threads,
            "-Delements=" + elements,
            "-Dseconds=" + Integer.getInteger("nativenorm.callers.seconds", seconds));
    // Newer JDKs also print warnings about native access.
    assertTrue(process.output().endsWith("\n0 OutOfMemoryErrors\n"), process.output());
  }
}
