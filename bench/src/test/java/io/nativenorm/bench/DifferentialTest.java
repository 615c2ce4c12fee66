package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * NativeNorm against PyTorch and ONNX Runtime on random problems: outputs, gradients and running
 * statistics. A failure names its seed; {@code -Dnativenorm.seed=<number>} runs that one alone.
 */
class DifferentialTest {
  private static final int PROBLEMS = 600;

  /** Both sides may be as far from the truth as they like to be: PyTorch sums in float. */
  private static final double ALLOWED_IN_F32 = 3e-5;

  private final Contestant own = Contestants.named("NativeNorm AUTO");
  private final List<Contestant> others =
      List.of(Contestants.named("PyTorch"), Contestants.named("ONNX Runtime"));

  @Test
  void nativeNormAgreesWithPyTorchAndOnnxRuntime() {
    Long wanted = Long.getLong("nativenorm.seed");
    SplittableRandom seeds = new SplittableRandom();
    Map<String, Integer> compared = new HashMap<>();
    for (int i = 0; i < (wanted == null ? PROBLEMS : 1); i++) {
      compare(wanted == null ? seeds.nextLong() : wanted, compared);
    }
    if (wanted == null) {
      assertTrue(compared.get("PyTorch") > PROBLEMS / 2, compared::toString);
      assertTrue(compared.get("ONNX Runtime") > PROBLEMS / 40, compared::toString);
    }
  }

  private void compare(long seed, Map<String, Integer> compared) {
    SplittableRandom random = new SplittableRandom(seed);
    Cell cell = cell(random);
    Workload workload = Workload.of(cell, 1 + random.nextInt(2), random.nextDouble(-3, 3), seed);
    Results results = results(own, workload);
    double allowed = cell.isF32() ? ALLOWED_IN_F32 : Agreement.allowed(cell.type());
    for (Contestant other : others) {
      if (other.rejects(cell).isPresent()) {
        continue;
      }
      Map<String, double[]> expected = new HashMap<>();
      results(other, workload)
          .values()
          .forEach((name, values) -> expected.put(name, toDoubles(values)));
      assertEquals(
          0,
          Agreement.error(cell.type(), expected, results),
          allowed,
          () -> other.name() + " on " + cell + "; replay with -Dnativenorm.seed=" + seed);
      compared.merge(other.name(), 1, Integer::sum);
    }
  }

  private static Cell cell(SplittableRandom random) {
    Operation operation = Operation.values()[random.nextInt(Operation.values().length)];
    Direction direction = Direction.values()[random.nextInt(Direction.values().length)];
    DataType type = Cell.TYPES.get(random.nextInt(Cell.TYPES.size()));
    int groups = operation == Operation.GROUP ? 1 + random.nextInt(4) : 0;
    List<Integer> extents = new ArrayList<>();
    extents.add(1 + random.nextInt(6));
    boolean rows = operation == Operation.LAYER || operation == Operation.RMS;
    // Of a gradient over two values eps alone leaves something: PyTorch was 8e-3 from it, we 3e-5.
    // That of one channel's weight may by chance be next to nothing: 8e-3 and 5e-4.
    int more = direction == Direction.BACKWARD ? 1 : 0;
    if (rows) {
      extents.add(2 + 6 * more + random.nextInt(600));
    } else {
      extents.add(Math.max(groups, 1) * (1 + more + random.nextInt(20)));
      extents.add(2 + 2 * more + random.nextInt(20));
      extents.add(1 + more + random.nextInt(20));
    }
    Layout layout = rows || random.nextBoolean() ? Layout.CHANNELS_FIRST : Layout.CHANNELS_LAST;
    Shape shape =
        new Shape("random", operation, extents, groups, List.of(layout), "a random problem");
    return new Cell(shape, layout, direction, type);
  }

  private static Results results(Contestant contestant, Workload workload) {
    try (Contestant.Session session = contestant.prepare(workload)) {
      session.call();
      return session.results();
    }
  }

  private static double[] toDoubles(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }
}
