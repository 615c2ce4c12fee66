package io.nativenorm.bench;

import io.nativenorm.DataType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/** The steps of one contestant, which takes turns with others in one process. */
final class Timed {
  private static final int ROUNDS = 7;
  private static final int WARM_UPS = 2;
  private static final int STEPS = 5;

  /** Until the other one's threads have stopped spinning. */
  private static final int PAUSE_MILLISECONDS = 50;

  /** What a page fault count stands at in proc's stat, from the state on. */
  private static final int MINOR_FAULTS = 7;

  private final Contestant.Session session;
  private final double[] milliseconds = new double[ROUNDS * STEPS];
  private int steps;
  private double faults;

  Timed(Contestant.Session session) {
    this.session = session;
  }

  static void takeTurns(Timed... contestants) throws IOException, InterruptedException {
    for (int i = 0; i < ROUNDS; i++) {
      for (Timed contestant : contestants) {
        contestant.round();
      }
    }
  }

  private void round() throws IOException, InterruptedException {
    Thread.sleep(PAUSE_MILLISECONDS);
    for (int i = 0; i < WARM_UPS; i++) {
      session.call();
    }
    long before = minorFaults();
    for (int i = 0; i < STEPS; i++) {
      long start = System.nanoTime();
      session.call();
      milliseconds[steps++] = (System.nanoTime() - start) / 1e6;
    }
    faults = (minorFaults() - before) / (double) STEPS;
  }

  double[] milliseconds() {
    return milliseconds;
  }

  double median() {
    double[] sorted = milliseconds.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** Page faults of a step in the last round. */
  double faults() {
    return faults;
  }

  /** Whether a step's results are within a bound; prints their error. */
  static boolean isRight(
      String name, Contestant.Session session, Map<String, double[]> expected, double allowed) {
    session.call();
    double error = Agreement.error(DataType.F32, expected, session.results());
    System.out.printf(Locale.ROOT, "%s's largest error is %.1e%n", name, error);
    return error <= allowed;
  }

  /** Page faults of this process for which nothing was read; 0 where there is no proc. */
  private static long minorFaults() throws IOException {
    Path stat = Path.of("/proc/self/stat");
    if (!Files.isReadable(stat)) {
      return 0;
    }
    String line = Files.readString(stat);
    return Long.parseLong(line.substring(line.lastIndexOf(')') + 2).split(" ")[MINOR_FAULTS]);
  }
}
