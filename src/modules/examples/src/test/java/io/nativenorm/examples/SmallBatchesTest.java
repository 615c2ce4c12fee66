package io.nativenorm.examples;

import static io.nativenorm.examples.SmallBatches.FAST;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.Activation;
import io.nativenorm.BatchNorm;
import io.nativenorm.examples.SmallBatches.Choice;
import io.nativenorm.examples.SmallBatches.Result;
import java.nio.file.Files;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What docs/small-batches.md says of the choices, with each of five seeds. */
class SmallBatchesTest {
  private static final int VALUES = SmallBatches.STEPS / SmallBatches.EACH;

  private static List<Result> results;
  private static Curve none;
  private static Curve batch16;
  private static Curve batch2;
  private static Curve group;
  private static Curve ghost;
  private static Curve together;

  @BeforeAll
  static void train() {
    results = SmallBatches.all();
    none = results.get(0).loss();
    batch16 = results.get(1).loss();
    batch2 = results.get(2).loss();
    group = results.get(3).loss();
    ghost = results.get(4).loss();
    together = results.get(5).loss();
  }

  private static double end(Curve curve, int seed) {
    return curve.mean(seed, VALUES - SmallBatches.LAST, VALUES);
  }

  private static double meanBefore(Curve curve) {
    double sum = 0;
    for (int seed = 0; seed < Seeds.COUNT; seed++) {
      sum += curve.before(seed, FAST);
    }
    return sum / Seeds.COUNT;
  }

  @Test
  void itTrainsFasterWithBatchNormalization() {
    for (int seed = 0; seed < Seeds.COUNT; seed++) {
      assertTrue(batch16.before(seed, FAST) < none.before(seed, FAST), "seed " + seed);
    }
    assertTrue(meanBefore(batch16) <= 0.5 * meanBefore(none));
  }

  @Test
  void itGetsWorseWithBatchesOfTwo() {
    for (int seed = 0; seed < Seeds.COUNT; seed++) {
      assertTrue(batch2.before(seed, FAST) >= 1.5 * batch16.before(seed, FAST), "seed " + seed);
      assertTrue(end(batch2, seed) >= 1.3 * end(batch16, seed), "seed " + seed);
    }
    assertTrue(results.get(2).meanAccuracy() < results.get(1).meanAccuracy() - 0.02);
  }

  @Test
  void groupGhostAndSynchronizedDoNot() {
    for (int seed = 0; seed < Seeds.COUNT; seed++) {
      assertTrue(group.before(seed, FAST) <= 0.9 * batch2.before(seed, FAST), "group " + seed);
      assertTrue(ghost.before(seed, FAST) <= 0.6 * batch2.before(seed, FAST), "ghost " + seed);
      assertTrue(together.before(seed, FAST) <= 0.6 * batch2.before(seed, FAST), "all " + seed);
      assertTrue(end(ghost, seed) <= 0.85 * end(batch2, seed), "ghost " + seed);
      assertTrue(end(together, seed) <= 0.85 * end(batch2, seed), "all " + seed);
    }
    assertTrue(meanBefore(group) <= 0.75 * meanBefore(batch2));
    assertTrue(results.get(4).meanAccuracy() >= results.get(1).meanAccuracy() - 0.02, "ghost");
    assertTrue(results.get(5).meanAccuracy() >= results.get(1).meanAccuracy() - 0.02, "all");
  }

  @Test
  void synchronizedWorkersDoWhatOneDoesWithTheWholeBatch() {
    for (int seed = 0; seed < Seeds.COUNT; seed++) {
      double first = batch16.bySeed().get(seed)[0];
      assertEquals(first, together.bySeed().get(seed)[0], 1e-3 * first);
    }
  }

  @Test
  void synchronizedWorkersHaveTheSameBits() {
    Signals signals = Signals.of(5, 160, SmallBatches.INSTRUMENT);
    try (Workers workers = new Workers(4, 3)) {
      for (int step = 0; step < 10; step++) {
        workers.step(signals.part(16 * step, 16), 0.03f);
      }
      for (Network network : workers.networks()) {
        assertSame(workers.networks().get(0), network);
      }
    }
  }

  private static void assertSame(Network expected, Network found) {
    List<Parameter> parameters = expected.parameters();
    for (int i = 0; i < parameters.size(); i++) {
      assertArrayEquals(parameters.get(i).values, found.parameters().get(i).values);
    }
    float[] signals = Signals.of(6, 40, SmallBatches.INSTRUMENT).values();
    assertArrayEquals(expected.infer(signals), found.infer(signals));
  }

  /** But for the order of sums. */
  private static void assertClose(Network expected, Network found) {
    List<Parameter> parameters = expected.parameters();
    for (int i = 0; i < parameters.size(); i++) {
      assertArrayEquals(parameters.get(i).values, found.parameters().get(i).values, 1e-4f);
    }
  }

  /** A network after some steps; the caller closes it. */
  private static Network after(int steps, Choice choice) {
    Network network = new Network(1, choice.norm());
    Signals signals = Signals.of(4, 320, SmallBatches.INSTRUMENT);
    Random random = new Random(1);
    for (int step = 0; step < steps; step++) {
      SmallBatches.step(network, choice, signals.draw(random, 16));
    }
    return network;
  }

  @Test
  void accumulatedGradientsLeaveTheStatisticsOfTwo() {
    Choice ghosts =
        new Choice(
            "ghosts of two",
            16,
            SmallBatches.BATCH_2.rate(),
            c -> BatchNorm.builder(c).ghost(2).activation(Activation.RELU).build());
    try (Network accumulated = after(20, SmallBatches.BATCH_2);
        Network inOneCall = after(20, ghosts)) {
      assertClose(accumulated, inOneCall);
    }
  }

  @Test
  void groupsDoNotSeeTheBatch() {
    Choice sixteen =
        new Choice("groups", 16, SmallBatches.GROUP_2.rate(), SmallBatches.GROUP_2.norm());
    try (Network two = after(20, SmallBatches.GROUP_2);
        Network all = after(20, sixteen)) {
      assertClose(two, all);
    }
  }

  @Test
  void theFigureAndTheTableAreThoseOfThePage() throws Exception {
    assertEquals(
        Files.readString(Figures.LOSSES), SmallBatches.chart(results), Figures.LOSSES::toString);
    String page = Files.readString(Figures.PAGE);
    assertEquals(page, Figures.page(page, results));
  }
}
