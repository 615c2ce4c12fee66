package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.DataType;
import io.nativenorm.bench.contestant.NativeNormBlock;
import io.nativenorm.bench.contestant.PyTorchBlock;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** All sides of the race over a ResNet block compute its normalization. */
class BlocksTest {
  @Test
  void aStepIsRightAgainAndAgain() {
    Workload first = Blocks.workload(Shape.named("odd-batch"), 2);
    Workload second = Blocks.second(first);
    Map<String, double[]> expected = Blocks.expected(first, second);
    double allowed = Agreement.allowed(DataType.F32);
    try (Contestant.Session own = new NativeNormBlock(first, second);
        Contestant.Session other = new PyTorchBlock(first, second, false);
        Contestant.Session copying = new PyTorchBlock(first, second, true)) {
      for (int step = 0; step < 3; step++) {
        for (Contestant.Session session : new Contestant.Session[] {own, other, copying}) {
          session.call();
          double error = Agreement.error(DataType.F32, expected, session.results());
          assertEquals(0, error, allowed, session.getClass().getSimpleName());
        }
      }
    }
  }
}
