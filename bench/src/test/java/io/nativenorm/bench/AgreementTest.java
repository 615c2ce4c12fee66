package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every contestant on every cell against the exact results, rivals each in a process of its own.
 */
@Execution(ExecutionMode.CONCURRENT)
class AgreementTest {
  private static final List<Cell> ALL =
      Shape.all().stream().flatMap(shape -> Cell.of(shape).stream()).toList();

  private static final float[] ZERO = {0};

  private static final long MOST_ELEMENTS = Long.getLong("nativenorm.elements", Long.MAX_VALUE);

  /**
   * All, or with {@code -Dnativenorm.elements=<number>} those of up to so many elements: the
   * smallest of InstanceNorm has 4 million.
   */
  private static final List<Cell> CELLS =
      ALL.stream().filter(cell -> cell.size() <= MOST_ELEMENTS).toList();

  /** The same in 16 bits, of half the size at most. */
  private static final List<Cell> CELLS_16 =
      Cell.TYPES.stream()
          .filter(type -> type != DataType.F32)
          .flatMap(type -> CELLS.stream().map(cell -> cell.in(type)))
          .filter(cell -> cell.size() <= MOST_ELEMENTS / 2)
          .toList();

  /**
   * Those whose libraries are ours share a process, and so the exact results, which take longest;
   * every other one has its own.
   */
  static List<List<Contestant>> processes() {
    Map<Boolean, List<Contestant>> byOwner =
        Contestants.all().stream()
            .collect(Collectors.partitioningBy(AgreementTest::hasOnlyOurLibraries));
    List<List<Contestant>> processes = new ArrayList<>(List.of(byOwner.get(true)));
    byOwner.get(false).forEach(contestant -> processes.add(List.of(contestant)));
    return processes;
  }

  private static boolean hasOnlyOurLibraries(Contestant contestant) {
    return contestant.jars().isEmpty()
        || contestant.name().startsWith("NativeNorm")
        || contestant.name().equals("oneDNN direct");
  }

  @ParameterizedTest
  @MethodSource("processes")
  void everyContestantIsRightWhereItIsKnownToBe(List<Contestant> contestants) throws IOException {
    List<Cell> cells = Stream.concat(CELLS.stream(), CELLS_16.stream()).toList();
    List<Check> checks = Check.run(contestants, cells, List.of(0.0));
    for (Contestant contestant : contestants) {
      String name = contestant.name();
      List<Check> own = checks.stream().filter(c -> c.contestant().equals(name)).toList();
      assertEquals(
          cells.stream().filter(cell -> contestant.rejects(cell).isEmpty()).map(Cell::id).toList(),
          own.stream().map(Check::cell).toList(),
          name);
      for (Check check : own) {
        assertNull(check.failure(), check::toString);
        assertEquals(0, check.error(), allowed(name, Cell.named(check.cell())), check::toString);
      }
    }
  }

  /** What is known to be wrong elsewhere is bounded too: the reports must show it as it is. */
  private static double allowed(String contestant, Cell cell) {
    double allowed = Agreement.allowed(cell.type());
    return switch (contestant) {
      // oneDNN sums in float: 1.3e-5 over the 262144 values of a channel of style-large. Its
      // gradient of RMSNorm lacks the part that goes through the mean square.
      case "oneDNN direct" ->
          cell.operation() == Operation.RMS && cell.direction() == Direction.BACKWARD
              ? 0.05
              : 2 * allowed;
      // In 16 bits PyTorch sums the gradients of LayerNorm's parameters in the type of x: over the
      // 4096 rows of bert-base they are off by 0.058 in BF16 and by 0.0067 in F16.
      case "PyTorch" ->
          cell.operation() == Operation.LAYER
                  && cell.direction() == Direction.BACKWARD
                  && !cell.isF32()
              ? 8 * allowed
              : allowed;
      // TensorFlow sums in float too: 1.4e-5 over resnet50-conv2's.
      case "NativeNorm ONEDNN", "TensorFlow" -> 2 * allowed;
      default -> allowed;
    };
  }

  @Test
  void ownKernelsKeepTheirDigitsAtALargeMean() throws IOException {
    Contestant own = Contestants.named("NativeNorm AUTO");
    for (DataType type : Cell.TYPES) {
      List<Cell> cells =
          Stream.concat(CELLS.stream(), CELLS_16.stream()).filter(c -> c.type() == type).toList();
      List<Double> means = Check.means(type);
      for (Check check : Check.run(own, cells, means.subList(means.size() - 1, means.size()))) {
        assertNull(check.failure(), check::toString);
        assertEquals(0, check.error(), Agreement.allowed(type), check::toString);
      }
    }
  }

  @Test
  void everyContestantIsRacedSomewhere() {
    for (Contestant contestant : Contestants.all()) {
      assertTrue(CELLS.stream().anyMatch(cell -> contestant.rejects(cell).isEmpty()));
      assertTrue(contestant.rejects(ColdStart.CELL).isEmpty(), contestant.name());
    }
  }

  @Test
  void aContestantThatCannotRunIsAFailureOfEachCell() throws IOException {
    Contestant none = Contestants.named("NativeNorm AUTO");
    Cell unknown =
        new Cell(
            new Shape("no-such", Operation.BATCH, List.of(1, 1), 0, List.of(), ""),
            Layout.CHANNELS_FIRST,
            Direction.INFERENCE);
    List<Check> checks = Check.run(none, List.of(unknown, CELLS.get(0)), List.of(0.0, 1e2));
    assertEquals(4, checks.size());
    for (Check check : checks) {
      assertNull(check.error());
      assertTrue(check.failure().contains("no shape is named no-such"), check.failure());
    }
  }

  @Test
  void aWrongMissingOrShortResultIsAnError() {
    Map<String, double[]> expected = Map.of(Results.OUTPUT, new double[] {1, 2});
    assertEquals(0, error(expected, Results.output(new float[] {1, 2})));
    assertEquals(0.5, error(expected, Results.output(new float[] {2, 2})));
    for (float[] wrong : List.of(new float[] {1}, new float[] {Float.NaN, 2})) {
      assertEquals(Double.POSITIVE_INFINITY, error(expected, Results.output(wrong)));
    }
    assertEquals(Double.POSITIVE_INFINITY, error(expected, new Results(new HashMap<>())));
  }

  private static double error(Map<String, double[]> expected, Results results) {
    return Agreement.error(DataType.F32, expected, results);
  }

  @Test
  void in16BitsAnErrorIsAllowedAsPyTorchsTestsAllowIt() {
    for (DataType type : List.of(DataType.BF16, DataType.F16)) {
      double allowed = Agreement.allowed(type);
      for (double y : new double[] {0, 1e-3, 1, 300}) {
        Map<String, double[]> expected = Map.of(Results.RUNNING_MEAN, new double[] {y});
        for (double share : new double[] {0.99, 1.01}) {
          float found = (float) (y + share * (1e-5 + allowed * y));
          double error =
              Agreement.error(type, expected, Results.training(ZERO, new float[] {found}, ZERO));
          assertEquals(share < 1, error <= allowed, y + " in " + type);
        }
      }
    }
  }

  @Test
  void anOutputOfMoreDigitsThanItsTypeIsAnError() {
    Map<String, double[]> expected = Map.of(Results.OUTPUT, new double[] {1.001});
    for (DataType type : List.of(DataType.BF16, DataType.F16)) {
      float[] right = {Workload.rounded(type, 1.001f)};
      assertTrue(Agreement.error(type, expected, Results.output(right)) < 4e-3);
      float[] wide = {1.001f};
      assertEquals(Double.POSITIVE_INFINITY, Agreement.error(type, expected, Results.output(wide)));
    }
  }

  @Test
  void theTableHasEveryOperationInEveryDirection() {
    assertEquals(75, ALL.size());
    for (Operation operation : Operation.values()) {
      for (Direction direction : Direction.values()) {
        assertFalse(
            ALL.stream().noneMatch(c -> c.operation() == operation && c.direction() == direction));
      }
    }
  }
}
