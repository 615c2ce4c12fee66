package io.nativenorm.bench;

import static java.util.stream.Collectors.joining;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.bench.contestant.NativeNormStack;
import io.nativenorm.bench.contestant.PyTorchStack;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
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

  /**
   * A contestant's training steps.
   *
   * @param step what one consists of
   * @param faults page faults of one
   */
  record Result(String contestant, String step, double[] milliseconds, double faults) {}

  private Stacks() {}

  /**
   * In a process of its own, with memory as the C library gives it by itself: a step's page faults
   * are part of it.
   *
   * @throws IOException if it fails or an answer is wrong, with its last lines
   */
  static List<Result> run(Mode mode, int threads) throws IOException {
    return Fork.results(Stacks.class, threads, mode, Result.class);
  }

  /** {@code Stacks [THREADS [MODE FILE]]}: exit status 1 if an answer is wrong. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    int threads =
        arguments.length > 0
            ? Integer.parseInt(arguments[0])
            : Runtime.getRuntime().availableProcessors();
    boolean brief = arguments.length > 1 && Mode.valueOf(arguments[1]) == Mode.SMOKE;
    List<String> shapes =
        brief ? List.of("odd-layer", "odd-batch") : List.of("bert-base", "resnet50-conv2");
    boolean right = true;
    List<Result> results = new ArrayList<>();
    for (String shape : shapes) {
      Cell cell = new Cell(Shape.named(shape), Layout.CHANNELS_FIRST, Direction.TRAINING);
      right &= race(cell, threads, results);
    }
    if (arguments.length > 2) {
      Fork.write(Path.of(arguments[2]), results);
    }
    System.exit(right ? 0 : 1);
  }

  private static boolean race(Cell cell, int threads, List<Result> results)
      throws IOException, InterruptedException {
    Workload workload = Workload.of(cell, threads);
    Map<String, double[]> expected = expected(workload);
    try (Contestant.Session own = new NativeNormStack(workload, DEPTH);
        Contestant.Session other = new PyTorchStack(workload, DEPTH)) {
      boolean right = Timed.isRight("NativeNorm", own, expected, ALLOWED);
      right &= Timed.isRight("PyTorch", other, expected, ALLOWED);
      Timed ours = new Timed(own);
      Timed theirs = new Timed(other);
      Timed.takeTurns(ours, theirs);
      String step =
          String.format(
              "%d x %s %s, forward and backward",
              DEPTH,
              cell.operation().name().toLowerCase(Locale.ROOT),
              cell.shape().extents().stream().map(String::valueOf).collect(joining("x")));
      results.add(new Result("NativeNorm AUTO", step, ours.milliseconds(), ours.faults()));
      results.add(new Result("PyTorch", step, theirs.milliseconds(), theirs.faults()));
      System.out.printf(
          Locale.ROOT,
          "%s, %d threads: NativeNorm %.1f ms, PyTorch %.1f ms, %.2f times;"
              + " page faults a step %.0f and %.0f%n",
          step,
          threads,
          ours.median(),
          theirs.median(),
          theirs.median() / ours.median(),
          ours.faults(),
          theirs.faults());
      return right;
    }
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

  static float[] rounded(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }
}
