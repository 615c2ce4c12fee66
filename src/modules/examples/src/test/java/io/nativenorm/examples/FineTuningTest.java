package io.nativenorm.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What docs/small-batches.md says of frozen statistics, with each of five seeds. */
class FineTuningTest {
  private static final int VALUES = FineTuning.STEPS / FineTuning.EACH;
  private static final int FROZEN = 0;
  private static final int RUNNING = 1;
  private static final int LATE = 2;

  private static List<Network> trained;
  private static List<Curve> near;
  private static List<Curve> far;

  @BeforeAll
  static void train() {
    trained = FineTuning.trained();
    near = FineTuning.all(trained, FineTuning.NEAR);
    far = FineTuning.all(trained, FineTuning.FAR);
  }

  @AfterAll
  static void close() {
    trained.forEach(Network::close);
  }

  private static double third(List<Curve> curves, int which, int third) {
    return curves.get(which).mean(third * VALUES / 3, (third + 1) * VALUES / 3);
  }

  @Test
  void nearFrozenStatisticsAreBetterFromTheBeginning() {
    for (int third = 0; third < 3; third++) {
      assertTrue(
          third(near, FROZEN, third) > third(near, RUNNING, third) + 0.005, "third " + third);
    }
  }

  @Test
  void farRunningStatisticsAreThereAtOnceAndFrozenOnesBetterInTheEnd() {
    assertTrue(far.get(RUNNING).mean(0, 3) > far.get(FROZEN).mean(0, 3) + 0.02);
    assertTrue(third(far, FROZEN, 2) > third(far, RUNNING, 2) + 0.005);
  }

  @Test
  void thawedStatisticsGetTheNoiseOfTwo() {
    for (List<Curve> curves : List.of(near, far)) {
      for (int seed = 0; seed < Seeds.COUNT; seed++) {
        double[] frozen = curves.get(FROZEN).bySeed().get(seed);
        double[] late = curves.get(LATE).bySeed().get(seed);
        for (int i = 0; i < FineTuning.THAW; i++) {
          assertEquals(frozen[i], late[i], "until they are thawed they are frozen");
        }
      }
      assertTrue(third(curves, LATE, 2) < third(curves, FROZEN, 2) - 0.003);
    }
  }

  @Test
  void allAreBetterThanTheNetworkAsItWas() {
    for (int seed = 0; seed < Seeds.COUNT; seed++) {
      double untuned = trained.get(seed).accuracy(Signals.of(2, 1000, FineTuning.FAR));
      for (Curve curve : far) {
        assertTrue(curve.mean(seed, VALUES - 5, VALUES) > untuned + 0.1, curve.name());
      }
    }
  }

  @Test
  void theFiguresAreThoseOfThePage() throws Exception {
    assertEquals(Files.readString(Figures.NEAR), Figures.near(near));
    assertEquals(Files.readString(Figures.FAR), Figures.far(far));
  }
}
