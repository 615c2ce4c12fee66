package io.nativenorm.examples;

import java.util.Arrays;
import java.util.List;

/**
 * What was measured again and again in the course of a training.
 *
 * @param name of what was trained
 * @param bySeed values one after the other, for each seed
 */
record Curve(String name, List<double[]> bySeed) {
  /** Over the seeds. */
  double[] mean() {
    double[] mean = new double[bySeed.get(0).length];
    for (double[] values : bySeed) {
      for (int i = 0; i < mean.length; i++) {
        mean[i] += values[i] / bySeed.size();
      }
    }
    return mean;
  }

  /** The mean of some values of a seed. */
  double mean(int seed, int from, int to) {
    return Arrays.stream(bySeed.get(seed), from, to).average().orElseThrow();
  }

  /** The mean of some values over all seeds. */
  double mean(int from, int to) {
    return Arrays.stream(mean(), from, to).average().orElseThrow();
  }

  /** How many values of a seed come before one that is below a bound; all if none is. */
  int before(int seed, double bound) {
    double[] values = bySeed.get(seed);
    int at = 0;
    while (at < values.length && values[at] >= bound) {
      at++;
    }
    return at;
  }
}
