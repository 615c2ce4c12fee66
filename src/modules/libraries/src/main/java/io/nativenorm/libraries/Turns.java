package io.nativenorm.libraries;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * Times calls that do the same, in turns in one process: what else the machine does hits all alike.
 */
final class Turns {
  private static final int ROUNDS = 9;

  /** The first ones, in which the code is compiled. */
  private static final int WARM_UPS = 2;

  /** Of each call in a round. */
  private static final long ROUND_NANOSECONDS = 100_000_000;

  /** What is timed at once: calls of less are timed together. */
  private static final long LEAST_NANOSECONDS = 50_000;

  /** Until the threads of the one before have stopped spinning. */
  private static final int PAUSE_MILLISECONDS = 20;

  private Turns() {}

  /**
   * One call.
   *
   * @param name who makes it
   * @param body the call
   */
  record Call(String name, Body body) {}

  /** What is timed. */
  @FunctionalInterface
  interface Body {
    void run() throws Exception;
  }

  /** Prints the median time of each call, and that over the last one's. */
  static void race(String what, Call... calls) throws Exception {
    double[][] medians = new double[calls.length][ROUNDS];
    for (int round = -WARM_UPS; round < ROUNDS; round++) {
      for (int i = 0; i < calls.length; i++) {
        Thread.sleep(PAUSE_MILLISECONDS);
        double microseconds = median(calls[i].body());
        if (round >= 0) {
          medians[i][round] = microseconds;
        }
      }
    }
    double[] times = Arrays.stream(medians).mapToDouble(Turns::median).toArray();
    List<String> line =
        IntStream.range(0, calls.length)
            .mapToObj(
                i ->
                    String.format(
                        Locale.ROOT,
                        "%s %.2f us (%.2f)",
                        calls[i].name(),
                        times[i],
                        times[i] / times[calls.length - 1]))
            .toList();
    System.out.println(what + ": " + String.join(", ", line));
  }

  /** The median of a round, in microseconds. */
  private static double median(Body body) throws Exception {
    int together = 1;
    double[] times = new double[64];
    int count = 0;
    long end = System.nanoTime() + ROUND_NANOSECONDS;
    while (System.nanoTime() < end) {
      long start = System.nanoTime();
      for (int i = 0; i < together; i++) {
        body.run();
      }
      long took = System.nanoTime() - start;
      if (took < LEAST_NANOSECONDS) {
        together *= 2;
        count = 0;
        continue;
      }
      if (count == times.length) {
        times = Arrays.copyOf(times, 2 * count);
      }
      times[count++] = took / 1e3 / together;
    }
    return median(Arrays.copyOf(times, count));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
