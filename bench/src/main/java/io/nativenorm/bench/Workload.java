package io.nativenorm.bench;

import io.nativenorm.DataType;
import java.util.SplittableRandom;

/**
 * A cell with its input, the same for every contestant. Arrays are in the memory order of the
 * cell's layout; parameters have an entry for each channel (rows: for each element of a row). All
 * values are numbers of the cell's type, so that nobody has to round them.
 *
 * @param x input, of standard deviation 1 around the mean that was asked for
 * @param dy gradient of the output
 * @param bias null for RMS normalization, which has none
 * @param runningMean what BatchNorm's running statistics are before the call; else null
 * @param threads how many may work on one call
 */
public record Workload(
    Cell cell,
    float[] x,
    float[] dy,
    float[] weight,
    float[] bias,
    float[] runningMean,
    float[] runningVariance,
    int threads) {

  public static final double EPS = 1e-5;

  /** The weight of the new statistics in the running ones. */
  public static final double MOMENTUM = 0.1;

  /** Of the values that are raced. */
  static final long SEED = 20261124;

  private static final float F16_LEAST = 0x1p-24f;

  /** The cell's usual input, around 0. */
  public static Workload of(Cell cell, int threads) {
    return of(cell, threads, 0, SEED);
  }

  /** The cell's input around a mean; another seed gives other values. */
  public static Workload of(Cell cell, int threads, double mean, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    boolean batch = cell.operation() == Operation.BATCH;
    int channels = cell.channels();
    DataType type = cell.type();
    return new Workload(
        cell,
        normal(random, type, cell.size(), mean, 1),
        normal(random, type, cell.size(), 0, 1),
        normal(random, type, channels, 1, 0.2),
        cell.operation() == Operation.RMS ? null : normal(random, type, channels, 0, 0.5),
        batch ? normal(random, type, channels, mean, 0.1) : null,
        batch ? normal(random, type, channels, 1, 0.1) : null,
        threads);
  }

  /** The same input for another cell of the shape and layout. */
  Workload in(Direction direction) {
    return new Workload(
        cell.in(direction), x, dy, weight, bias, runningMean, runningVariance, threads);
  }

  /** The same parameters, and numbers, for a cell in another type. */
  Workload in(DataType type) {
    return new Workload(cell.in(type), x, dy, weight, bias, runningMean, runningVariance, threads);
  }

  /** The same for another input and gradient of the output. */
  Workload on(float[] input, float[] gradient) {
    return new Workload(cell, input, gradient, weight, bias, runningMean, runningVariance, threads);
  }

  /** Nearly normal (the sum of twelve even ones): exact Gaussians take longer than the races. */
  private static float[] normal(
      SplittableRandom random, DataType type, int count, double mean, double deviation) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      long bits = random.nextLong();
      long more = random.nextLong();
      long sum = 0;
      for (int k = 0; k < 6; k++) {
        sum += (bits >>> 10 * k & 1023) + (more >>> 10 * k & 1023);
      }
      values[i] = rounded(type, (float) (mean + deviation * (sum / 1023.0 - 6)));
    }
    return values;
  }

  /** The type's nearest number, ties to even; F16 holds up to 65504. */
  static float rounded(DataType type, float value) {
    return switch (type) {
      case BF16 -> toMultiple(value, Math.scalb(Math.ulp(value), 16));
      case F16 -> toMultiple(value, Math.max(Math.scalb(Math.ulp(value), 13), F16_LEAST));
      default -> value;
    };
  }

  private static float toMultiple(float value, float unit) {
    return (float) Math.rint(value / unit) * unit;
  }
}
