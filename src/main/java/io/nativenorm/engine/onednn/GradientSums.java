package io.nativenorm.engine.onednn;

import io.nativenorm.Layout;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.memory.Memory;

/** {@link BlockSums} of a gradient, channel by channel over some samples, in {@link Slices}. */
final class GradientSums {
  private final Problem problem;
  private final Slices slices;
  private final int channels;

  GradientSums(Problem problem, Slices slices) {
    this.problem = problem;
    this.slices = slices;
    channels = Math.toIntExact(problem.shape().channels());
  }

  /** Sums over samples from a first one on, as {@code [kind][channel]}. */
  double[][] of(Memory src, Memory gradient, long first, long samples, float[] pivots) {
    long rows = samples * problem.shape().spatial();
    long start = first * channels * problem.shape().spatial();
    if (problem.shape().layout() == Layout.CHANNELS_FIRST) {
      double[][] sums = new BlockSums(problem, src, gradient).results(channels);
      slices.run(
          Slices.count(rows * channels, channels),
          channels,
          (slice, from, to) ->
              new BlockSums(problem, src, gradient)
                  .addChannels(start, samples, (int) from, (int) to, pivots, sums));
      return sums;
    }
    double[][][] parts = new double[Slices.count(rows * channels, rows)][][];
    slices.run(
        parts.length,
        rows,
        (slice, from, to) -> {
          BlockSums sums = new BlockSums(problem, src, gradient);
          parts[slice] = sums.results(channels);
          sums.addColumns(start + from * channels, to - from, pivots, parts[slice]);
        });
    for (int i = 1; i < parts.length; i++) {
      for (int kind = 0; kind < parts[0].length; kind++) {
        for (int c = 0; c < channels; c++) {
          parts[0][kind][c] += parts[i][kind][c];
        }
      }
    }
    return parts[0];
  }
}
