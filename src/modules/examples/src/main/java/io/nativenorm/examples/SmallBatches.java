package io.nativenorm.examples;

import io.nativenorm.Activation;
import io.nativenorm.BatchNorm;
import io.nativenorm.GroupNorm;
import io.nativenorm.NormLayer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.IntFunction;

/**
 * A small network that is trained by steps of 16 signals: without normalization, and with what is
 * normalized together chosen in five ways. Each has the learning rate of 0.01, 0.03 and 0.1 that is
 * best for it.
 */
final class SmallBatches {
  static final Signals.Instrument INSTRUMENT = new Signals.Instrument(1, 1, 0);
  static final int BATCH = 16;
  static final int STEPS = 400;

  /** Steps whose loss is one value of a curve. */
  static final int EACH = 20;

  private static final int SIGNALS = 4096;
  private static final int WORKERS = 8;

  /**
   * What is normalized together.
   *
   * @param together signals that go through the network at once; the gradients of a batch are
   *     summed up
   * @param norm null for none
   */
  record Choice(String name, int together, float rate, IntFunction<NormLayer> norm) {}

  static final Choice NONE = new Choice("no normalization", BATCH, 0.01f, null);
  static final Choice BATCH_16 =
      new Choice("batch, of 16", BATCH, 0.03f, c -> batchNorm(c).build());
  static final Choice BATCH_2 = new Choice("batch, of 2", 2, 0.1f, c -> batchNorm(c).build());
  static final Choice GROUP_2 =
      new Choice(
          "group, batches of 2",
          2,
          0.03f,
          c -> GroupNorm.builder(4, c).activation(Activation.RELU).threads(1).build());
  static final Choice GHOST_8 =
      new Choice("ghost, 8 of 16", BATCH, 0.03f, c -> batchNorm(c).ghost(8).build());
  static final String SYNCHRONIZED = "synchronized, 8 x 2";

  private SmallBatches() {}

  private static BatchNorm.Builder batchNorm(int channels) {
    return BatchNorm.builder(channels).activation(Activation.RELU).threads(1);
  }

  /** The loss in training, and the shares that are told right in the end. */
  record Result(Curve loss, double[] accuracy) {
    double meanAccuracy() {
      return Arrays.stream(accuracy).average().orElseThrow();
    }
  }

  private record Run(double[] loss, double accuracy) {}

  /** The signals of a step. */
  private interface Step {
    double on(Signals batch);
  }

  static Result train(Choice choice) {
    return result(
        choice.name,
        Seeds.each(
            seed -> {
              try (Network network = new Network(seed, choice.norm)) {
                double[] loss = losses(seed, batch -> step(network, choice, batch));
                return new Run(loss, network.accuracy(signalsToTell()));
              }
            }));
  }

  static double step(Network network, Choice choice, Signals batch) {
    double loss = 0;
    for (int from = 0; from < batch.count(); from += choice.together) {
      loss += network.learn(batch.part(from, choice.together), batch.count());
    }
    network.step(choice.rate);
    return loss;
  }

  /** By eight workers with two signals each, and statistics of all of them. */
  static Result trainSynchronized() {
    return result(
        SYNCHRONIZED,
        Seeds.each(
            seed -> {
              try (Workers workers = new Workers(WORKERS, seed)) {
                double[] loss = losses(seed, batch -> workers.step(batch, BATCH_16.rate));
                return new Run(loss, workers.networks().get(0).accuracy(signalsToTell()));
              }
            }));
  }

  private static Result result(String name, List<Run> runs) {
    return new Result(
        new Curve(name, runs.stream().map(Run::loss).toList()),
        runs.stream().mapToDouble(Run::accuracy).toArray());
  }

  private static double[] losses(int seed, Step step) {
    Signals signals = Signals.of(1000 + seed, SIGNALS, INSTRUMENT);
    Random random = new Random(seed);
    double[] losses = new double[STEPS / EACH];
    for (int i = 0; i < STEPS; i++) {
      losses[i / EACH] += step.on(signals.draw(random, BATCH)) / (BATCH * EACH);
    }
    return losses;
  }

  static Signals signalsToTell() {
    return Signals.of(1, 1000, INSTRUMENT);
  }

  /** All of them, in the order of the figure. */
  static List<Result> all() {
    List<Result> all = new ArrayList<>();
    for (Choice choice : List.of(NONE, BATCH_16, BATCH_2, GROUP_2, GHOST_8)) {
      all.add(train(choice));
    }
    all.add(trainSynchronized());
    return all;
  }

  static String chart(List<Result> results) {
    return new Chart("Loss in training, mean of 5 seeds", EACH, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6)
        .draw(results.stream().map(Result::loss).toList());
  }

  static String table(List<Result> results) {
    StringBuilder table =
        new StringBuilder(
            "| | loss below 0.8 after | loss in the end | told right |\n|---|--:|--:|--:|\n");
    int values = STEPS / EACH;
    for (Result result : results) {
      double steps = 0;
      boolean reached = true;
      for (int seed = 0; seed < Seeds.COUNT; seed++) {
        int before = result.loss.before(seed, FAST);
        reached &= before < values;
        steps += EACH * before / (double) Seeds.COUNT;
      }
      table.append(
          String.format(
              Locale.ROOT,
              "| %s | %s%.0f steps | %.2f | %.0f %% |\n",
              result.loss.name(),
              reached ? "" : "more than ",
              steps,
              result.loss.mean(values - LAST, values),
              100 * result.meanAccuracy()));
    }
    return table.toString();
  }

  /** A loss that all but the slowest reach. */
  static final double FAST = 0.8;

  /** Values at the end of a curve. */
  static final int LAST = 4;
}
