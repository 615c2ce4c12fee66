package io.nativenorm.bench;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.bench.contestant.NativeNormStack;
import io.nativenorm.bench.contestant.PyTorchStack;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Training steps over a stack of twelve layers, as networks have them: each layer's output is kept
 * for its backward, so a step takes hundreds of MB and gives them back. NativeNorm and PyTorch take
 * turns in one process; answers are checked first, against the exact ones.
 */
final class Stacks {
  static final int DEPTH = 12;

  /** Each layer may add its part. */
  static final double ALLOWED = DEPTH * Agreement.allowed(DataType.F32);

  private static final int ROUNDS = 7;
  private static final int WARM_UPS = 2;
  private static final int STEPS = 5;

  /** Until the other one's threads have stopped spinning. */
  private static final int PAUSE_MILLISECONDS = 50;

  /** What a page fault count stands at in proc's stat, from the state on. */
  private static final int MINOR_FAULTS = 7;

  /** The steps of one contestant. */
  private static final class Timed {
    private final Contestant.Session session;
    private final double[] milliseconds = new double[ROUNDS * STEPS];
    private int steps;
    private double faults;

    Timed(Contestant.Session session) {
      this.session = session;
    }

    void round() throws IOException, InterruptedException {
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

    double median() {
      double[] sorted = milliseconds.clone();
      Arrays.sort(sorted);
      return sorted[sorted.length / 2];
    }
  }

  private Stacks() {}

  /** {@code Stacks [THREADS]}: exit status 1 if an answer is wrong. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    int threads =
        arguments.length > 0
            ? Integer.parseInt(arguments[0])
            : Runtime.getRuntime().availableProcessors();
    boolean right = true;
    for (String shape : List.of("bert-base", "resnet50-conv2")) {
      right &=
          race(new Cell(Shape.named(shape), Layout.CHANNELS_FIRST, Direction.TRAINING), threads);
    }
    System.exit(right ? 0 : 1);
  }

  private static boolean race(Cell cell, int threads) throws IOException, InterruptedException {
    Workload workload = Workload.of(cell, threads);
    Map<String, double[]> expected = expected(workload);
    try (Contestant.Session own = new NativeNormStack(workload, DEPTH);
        Contestant.Session other = new PyTorchStack(workload, DEPTH)) {
      boolean right = check("NativeNorm", own, expected);
      right &= check("PyTorch", other, expected);
      Timed ours = new Timed(own);
      Timed theirs = new Timed(other);
      for (int i = 0; i < ROUNDS; i++) {
        ours.round();
        theirs.round();
      }
      System.out.printf(
          Locale.ROOT,
          "%d x %s %s, forward and backward, %d threads: NativeNorm %.1f ms, PyTorch %.1f ms, %.2f times;"
              + " page faults a step %.0f and %.0f%n",
          DEPTH,
          cell.operation().name().toLowerCase(Locale.ROOT),
          cell.shape().extents(),
          threads,
          ours.median(),
          theirs.median(),
          theirs.median() / ours.median(),
          ours.faults,
          theirs.faults);
      return right;
    }
  }

  private static boolean check(
      String name, Contestant.Session session, Map<String, double[]> expected) {
    session.call();
    double error = Agreement.error(DataType.F32, expected, session.results());
    System.out.printf(Locale.ROOT, "%s's largest error is %.1e%n", name, error);
    return error <= ALLOWED;
  }

  /** Layer by layer; what goes from one to the next is rounded, as everyone's tensors are. */
  static Map<String, double[]> expected(Workload workload) {
    float[][] inputs = new float[DEPTH][];
    double[] output = null;
    float[] x = workload.x();
    for (int i = 0; i < DEPTH; i++) {
      inputs[i] = x;
      output = expected(workload, Direction.TRAINING, x, workload.dy()).get(Results.OUTPUT);
      x = rounded(output);
    }
    Map<String, double[]> step = new HashMap<>();
    step.put(Results.OUTPUT, output);
    float[] dy = workload.dy();
    for (int i = DEPTH - 1; i >= 0; i--) {
      Map<String, double[]> gradients = expected(workload, Direction.BACKWARD, inputs[i], dy);
      dy = rounded(gradients.get(Results.GRADIENT_INPUT));
      gradients.forEach(step::putIfAbsent); // the parameters' are the last layer's,
      step.put(
          Results.GRADIENT_INPUT, gradients.get(Results.GRADIENT_INPUT)); // its own the first's
    }
    return step;
  }

  private static Map<String, double[]> expected(
      Workload workload, Direction direction, float[] x, float[] dy) {
    return Oracle.expected(workload.in(direction).on(x, dy));
  }

  private static float[] rounded(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
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
