package io.nativenorm.bench;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.bench.contestant.NativeNormBlock;
import io.nativenorm.bench.contestant.PyTorchBlock;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The normalization of a ResNet block's training step: BatchNorm with ReLU after the first
 * convolution, BatchNorm after the second, and their gradients, whose inputs the convolutions would
 * have left in float arrays. NativeNorm works on these; PyTorch's operators, in the same order, on
 * tensors that are there, and again with the arrays copied into them and out, as a program in Java
 * has to. They take turns in one process; answers are checked first, against the exact ones.
 */
final class Blocks {
  private static final double ALLOWED = Agreement.allowed(DataType.F32);

  private Blocks() {}

  /** {@code Blocks [THREADS]}: exit status 1 if an answer is wrong. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    int threads =
        arguments.length > 0
            ? Integer.parseInt(arguments[0])
            : Runtime.getRuntime().availableProcessors();
    boolean right = true;
    for (String shape : List.of("resnet50-conv2", "resnet50-conv4", "resnet50-single")) {
      right &= race(workload(Shape.named(shape), threads));
    }
    System.exit(right ? 0 : 1);
  }

  static Workload workload(Shape shape, int threads) {
    return Workload.of(new Cell(shape, Layout.CHANNELS_FIRST, Direction.TRAINING), threads);
  }

  /** What goes into the second layer: other numbers. */
  static Workload second(Workload first) {
    return Workload.of(first.cell(), first.threads(), 0, Workload.SEED + 1);
  }

  private static boolean race(Workload first) throws IOException, InterruptedException {
    Workload second = second(first);
    Map<String, double[]> expected = expected(first, second);
    try (Contestant.Session own = new NativeNormBlock(first, second);
        Contestant.Session other = new PyTorchBlock(first, second, false);
        Contestant.Session copying = new PyTorchBlock(first, second, true)) {
      boolean right = Timed.isRight("NativeNorm", own, expected, ALLOWED);
      right &= Timed.isRight("PyTorch", other, expected, 2 * ALLOWED);
      right &= Timed.isRight("PyTorch on arrays", copying, expected, 2 * ALLOWED);
      Timed ours = new Timed(own);
      Timed theirs = new Timed(other);
      Timed copies = new Timed(copying);
      Timed.takeTurns(ours, theirs, copies);
      System.out.printf(
          Locale.ROOT,
          "block %s, Java %d, %d threads: NativeNorm %.2f ms on arrays, PyTorch %.2f ms on tensors, %.2f"
              + " times, and %.2f ms on arrays, %.2f times%n",
          first.cell().shape().extents(),
          Runtime.version().feature(),
          first.threads(),
          ours.median(),
          theirs.median(),
          theirs.median() / ours.median(),
          copies.median(),
          copies.median() / ours.median());
      return right;
    }
  }

  /** Of both layers; the first one's names have a 1 behind them, the second one's a 2. */
  static Map<String, double[]> expected(Workload first, Workload second) {
    double[] y = Oracle.expected(first).get(Results.OUTPUT);
    float[] dy = first.dy().clone();
    for (int i = 0; i < y.length; i++) {
      y[i] = Math.max(y[i], 0);
      dy[i] = y[i] > 0 ? dy[i] : 0;
    }
    Map<String, double[]> expected = new LinkedHashMap<>();
    expected.put(Results.OUTPUT + 1, y);
    expected.put(Results.OUTPUT + 2, Oracle.expected(second).get(Results.OUTPUT));
    gradients(first.on(first.x(), dy)).forEach((name, g) -> expected.put(name + 1, g));
    gradients(second).forEach((name, g) -> expected.put(name + 2, g));
    return expected;
  }

  private static Map<String, double[]> gradients(Workload workload) {
    return Oracle.expected(workload.in(Direction.BACKWARD));
  }
}
