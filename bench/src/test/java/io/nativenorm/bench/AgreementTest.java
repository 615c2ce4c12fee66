package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every contestant on every cell against the exact results. */
class AgreementTest {
  private static final int THREADS = 2;

  static Stream<Shape> shapes() {
    return Shape.all().stream();
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void everyContestantIsRight(Shape shape) {
    for (Cell cell : Cell.of(shape)) {
      Workload workload = Workload.of(cell, THREADS);
      Map<String, double[]> expected = Oracle.expected(workload);
      for (Contestant contestant : Contestants.all()) {
        if (contestant.rejects(cell).isPresent()) {
          continue;
        }
        assertEquals(
            0,
            error(contestant, workload, expected),
            allowed(contestant),
            () -> contestant.name() + " on " + cell);
      }
    }
  }

  /** oneDNN sums gradients in float: 1.1e-5 over the 262144 values of a channel of style-large. */
  private static double allowed(Contestant contestant) {
    return contestant.name().equals("NativeNorm ONEDNN")
        ? 2 * Agreement.ALLOWED
        : Agreement.ALLOWED;
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void ownKernelsKeepTheirDigitsAtALargeMean(Shape shape) {
    Contestant auto = Contestants.named("NativeNorm AUTO");
    for (Cell cell : Cell.of(shape)) {
      Workload workload = Workload.of(cell, THREADS, 1e4, 7);
      double error = error(auto, workload, Oracle.expected(workload));
      assertEquals(0, error, Agreement.ALLOWED, cell::toString);
    }
  }

  private static double error(
      Contestant contestant, Workload workload, Map<String, double[]> expected) {
    try (Contestant.Session session = contestant.prepare(workload)) {
      session.call();
      return Agreement.error(expected, session.results());
    }
  }

  @Test
  void aWrongMissingOrShortResultIsAnError() {
    Map<String, double[]> expected = Map.of(Results.OUTPUT, new double[] {1, 2});
    assertEquals(0, Agreement.error(expected, Results.output(new float[] {1, 2})));
    assertEquals(0.5, Agreement.error(expected, Results.output(new float[] {2, 2})));
    for (float[] wrong : List.of(new float[] {1}, new float[] {Float.NaN, 2})) {
      assertEquals(Double.POSITIVE_INFINITY, Agreement.error(expected, Results.output(wrong)));
    }
    assertEquals(Double.POSITIVE_INFINITY, Agreement.error(expected, new Results(new HashMap<>())));
  }

  @Test
  void theTableHasEveryOperationInEveryDirection() {
    List<Cell> cells = Shape.all().stream().flatMap(shape -> Cell.of(shape).stream()).toList();
    assertEquals(75, cells.size());
    for (Operation operation : Operation.values()) {
      for (Direction direction : Direction.values()) {
        assertTrue(
            cells.stream().anyMatch(c -> c.operation() == operation && c.direction() == direction));
      }
    }
  }
}
