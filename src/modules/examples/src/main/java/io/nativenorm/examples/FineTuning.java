package io.nativenorm.examples;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * The network of {@link SmallBatches} learns to tell the signals of another instrument, of which
 * there are few, by steps of two signals: with its running statistics frozen, running, or thawed
 * late.
 */
final class FineTuning {
  /** One that hears nearly the same, and one that does not. */
  static final Signals.Instrument NEAR = new Signals.Instrument(0.8, 1.5, 1);

  static final Signals.Instrument FAR = new Signals.Instrument(0.5, 4, 3);

  static final int STEPS = 300;
  static final int EACH = 10;

  /** Values of a curve before late statistics are thawed. */
  static final int THAW = 20;

  private static final int FEW = 200;
  private static final int BATCH = 2;
  private static final float RATE = 0.0005f;

  /** What becomes of the running statistics. */
  enum Statistics {
    FROZEN("frozen", Integer.MAX_VALUE),
    RUNNING("running", 0),
    LATE("thawed late", THAW);

    private final String text;

    /** How many values of a curve they stay frozen for. */
    private final int until;

    Statistics(String text, int until) {
      this.text = text;
      this.until = until;
    }
  }

  private FineTuning() {}

  /** The networks of all seeds, trained on the first instrument; to be closed. */
  static List<Network> trained() {
    return Seeds.each(
        seed -> {
          Network network = new Network(seed, SmallBatches.BATCH_16.norm());
          Signals signals = Signals.of(1000 + seed, 4096, SmallBatches.INSTRUMENT);
          Random random = new Random(seed);
          for (int i = 0; i < SmallBatches.STEPS; i++) {
            SmallBatches.step(
                network, SmallBatches.BATCH_16, signals.draw(random, SmallBatches.BATCH));
          }
          return network;
        });
  }

  /** The share that is told right after every few steps. */
  static Curve tune(List<Network> trained, Signals.Instrument instrument, Statistics statistics) {
    Signals toTell = Signals.of(2, 1000, instrument);
    return new Curve(
        statistics.text,
        Seeds.each(
            seed -> {
              Signals few = Signals.of(2000 + seed, FEW, instrument);
              Random random = new Random(seed);
              double[] right = new double[STEPS / EACH];
              try (Network network = new Network(seed, SmallBatches.BATCH_16.norm())) {
                network.copyFrom(trained.get(seed));
                for (int i = 0; i < right.length; i++) {
                  if (i == 0 || i == statistics.until) {
                    network.freeze(i < statistics.until);
                  }
                  for (int step = 0; step < EACH; step++) {
                    network.learn(few.draw(random, BATCH), BATCH);
                    network.step(RATE);
                  }
                  right[i] = network.accuracy(toTell);
                }
              }
              return right;
            }));
  }

  static String chart(String title, List<Curve> curves) {
    return new Chart(title, EACH, 0.7, 0.75, 0.8, 0.85, 0.9).draw(curves);
  }

  static List<Curve> all(List<Network> trained, Signals.Instrument instrument) {
    List<Curve> all = new ArrayList<>();
    for (Statistics statistics : Statistics.values()) {
      all.add(tune(trained, instrument, statistics));
    }
    return all;
  }
}
