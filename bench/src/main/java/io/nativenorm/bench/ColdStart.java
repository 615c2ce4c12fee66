package io.nativenorm.bench;

import java.io.IOException;
import java.util.List;
import java.util.stream.DoubleStream;

/** The time from starting a JVM to its end after one call. */
final class ColdStart {
  /** Batch normalization of one image: all contestants have it. */
  static final Cell CELL = Cell.named("resnet50-single/CHANNELS_FIRST/INFERENCE");

  private ColdStart() {}

  /** Milliseconds of several starts. */
  static double[] milliseconds(Contestant contestant, int starts) throws IOException {
    DoubleStream.Builder times = DoubleStream.builder();
    for (int i = 0; i < starts; i++) {
      long start = System.nanoTime();
      Fork.run(ColdStart.class, List.of(contestant.name()));
      times.add((System.nanoTime() - start) / 1e6);
    }
    return times.build().toArray();
  }

  /** {@code ColdStart CONTESTANT}. */
  public static void main(String[] arguments) {
    Contestant.Session session = Contestants.named(arguments[0]).prepare(Workload.of(CELL, 1));
    session.call();
    System.exit(0);
  }
}
