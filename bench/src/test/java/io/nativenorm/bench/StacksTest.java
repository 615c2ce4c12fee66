package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.bench.contestant.NativeNormStack;
import io.nativenorm.bench.contestant.PyTorchStack;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Both sides of the race over stacks compute a training step. */
class StacksTest {
  @ParameterizedTest
  @ValueSource(strings = {"odd-layer", "odd-batch"})
  void aStepIsRightAgainAndAgain(String shape) {
    Cell cell = new Cell(Shape.named(shape), Layout.CHANNELS_FIRST, Direction.TRAINING);
    Workload workload = Workload.of(cell, 2);
    Map<String, double[]> expected = Stacks.expected(workload);
    try (Contestant.Session own = new NativeNormStack(workload, Stacks.DEPTH);
        Contestant.Session other = new PyTorchStack(workload, Stacks.DEPTH)) {
      for (int step = 0; step < 3; step++) {
        own.call();
        other.call();
        assertEquals(
            0,
            Agreement.error(DataType.F32, expected, own.results()),
            Stacks.ALLOWED,
            "NativeNorm");
        assertEquals(
            0, Agreement.error(DataType.F32, expected, other.results()), Stacks.ALLOWED, "PyTorch");
      }
    }
  }
}
