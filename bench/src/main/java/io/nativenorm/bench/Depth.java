package io.nativenorm.bench;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.List;
import java.util.Locale;

/**
 * What 16 bits make of depth: 48 residual branches one after the other, as before each attention
 * and each MLP of a transformer of 24 blocks. A branch normalizes the stream, mixes the row's
 * elements and is added: {@code x = x + mix(norm(x))}. Everything that a program in 16 bits stores
 * is rounded: the normalized row, the mixed one, and the stream.
 */
final class Depth {
  static final int LAYERS = 48;
  private static final int SEEDS = 20;
  private static final String OWN = "NativeNorm AUTO";
  private static final int ROWS = 32;
  private static final int LENGTH = 1024;

  private Depth() {}

  /** Prints the lines of the table in docs/numbers.md. */
  public static void main(String[] arguments) {
    for (Operation operation : List.of(Operation.LAYER, Operation.RMS)) {
      for (DataType type : List.of(DataType.BF16, DataType.F16)) {
        System.out.printf(
            Locale.ROOT,
            "| %d x %s in %s | %.3e | %.3e | %.3e |%n",
            LAYERS,
            operation.name().toLowerCase(Locale.ROOT),
            type,
            error(operation, type, type, OWN, SEEDS),
            error(operation, type, type, "PyTorch", SEEDS),
            error(operation, type, DataType.F32, OWN, SEEDS));
      }
    }
    System.exit(0); // whatever threads PyTorch leaves
  }

  /**
   * How far the stream is from the one in F32 at the end, relative, in the L2 norm: the root of the
   * mean square over the seeds.
   *
   * @param type of what the branches store
   * @param stream of the stream, from which they normalize
   */
  static double error(
      Operation operation, DataType type, DataType stream, String contestant, int seeds) {
    double squares = 0;
    for (int seed = 1; seed <= seeds; seed++) {
      Cell cell = cell(operation);
      Workload start = Workload.of(cell.in(type), 1, 0, seed);
      float[] exact = stream(start.in(DataType.F32), DataType.F32, Contestants.named(OWN));
      float[] found = stream(start.in(stream), type, Contestants.named(contestant));
      double error = Agreement.relativeL2(widen(exact), found);
      squares += error * error / seeds;
    }
    return Math.sqrt(squares);
  }

  private static Cell cell(Operation operation) {
    Shape shape =
        new Shape("depth", operation, List.of(ROWS, LENGTH), 0, List.of(), "a transformer's rows");
    return new Cell(shape, Layout.CHANNELS_FIRST, Direction.INFERENCE);
  }

  private static float[] stream(Workload start, DataType branch, Contestant contestant) {
    DataType type = start.cell().type();
    float[] x = start.x();
    for (int layer = 0; layer < LAYERS; layer++) {
      float[] normalized = normalized(start.on(x, start.dy()), contestant);
      float[] next = new float[x.length];
      for (int i = 0; i < x.length; i++) {
        float mixed =
            Workload.rounded(branch, mixed(branch, normalized, i / LENGTH * LENGTH, i, layer));
        next[i] = Workload.rounded(type, x[i] + mixed);
      }
      x = next;
    }
    return x;
  }

  private static float[] normalized(Workload workload, Contestant contestant) {
    try (Contestant.Session session = contestant.prepare(workload)) {
      session.call();
      return session.results().values().get(Results.OUTPUT);
    }
  }

  /** Of three other elements of the row, other ones in each layer; two as after a ReLU. */
  private static float mixed(DataType branch, float[] values, int row, int i, int layer) {
    float first = Workload.rounded(branch, values[row + (5 * i + layer) % LENGTH]);
    float second = Workload.rounded(branch, values[row + (i + LENGTH / 2 + 3 * layer) % LENGTH]);
    float third = Workload.rounded(branch, values[row + (9 * i + 7 * layer) % LENGTH]);
    return 0.5f * (first + Math.max(0, second) - Math.max(0, third));
  }

  private static double[] widen(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }
}
