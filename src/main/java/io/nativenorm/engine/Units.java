package io.nativenorm.engine;

import io.nativenorm.Layout;

/**
 * The units of a problem: which elements share one mean and variance, as two nested strided loops:
 * element (i, j) of unit k lies at {@code offset(k) + i * outerStride + j * innerStride} and has
 * the weight and bias at {@code channel(k) + i * outerChannels + j * innerChannels}. All operations
 * and layouts are cases of it; the inner loop has the smaller stride.
 *
 * @param count number of units
 * @param outer length of the outer loop
 * @param inner length of the inner loop
 * @param outerStride elements between two steps of the outer loop
 * @param innerStride elements between two steps of the inner loop
 * @param outerChannels channels between two steps of the outer loop, 0 or 1
 * @param innerChannels channels between two steps of the inner loop, 0 or 1
 * @param perSample units of one sample
 * @param sampleStride elements between the first units of two samples
 * @param unitStride elements between two units of one sample
 * @param unitChannels channels between two units of one sample
 */
public record Units(
    long count,
    long outer,
    long inner,
    long outerStride,
    long innerStride,
    int outerChannels,
    int innerChannels,
    long perSample,
    long sampleStride,
    long unitStride,
    long unitChannels) {

  /**
   * Finds the units of a problem.
   *
   * @param problem any problem
   * @return its units
   */
  public static Units of(Problem problem) {
    long n = problem.shape().batch();
    long c = problem.shape().channels();
    long s = problem.shape().spatial();
    boolean first = problem.shape().layout() == Layout.CHANNELS_FIRST;
    return switch (problem.norm().operation()) {
      case BATCH -> new Units(c, n, s, c * s, first ? 1 : c, 0, 0, c, 0, first ? s : 1, 1);
      case LAYER, RMS -> new Units(n, 1, c, 0, 1, 0, 1, 1, c, 0, 0);
      case GROUP -> {
        long g = problem.shape().groups();
        long members = c / g;
        yield first
            ? new Units(n * g, members, s, s, 1, 1, 0, g, c * s, members * s, members)
            : new Units(n * g, s, members, c, 1, 0, 1, g, c * s, members, members);
      }
    };
  }

  /**
   * Where a unit begins.
   *
   * @param unit its number
   * @return index of its first element
   */
  public long offset(long unit) {
    return unit / perSample * sampleStride + unit % perSample * unitStride;
  }

  /**
   * Where an element of a unit lies.
   *
   * @param unit the unit's number
   * @param element its number in the unit, in the order of the loops
   * @return its index
   */
  public long index(long unit, long element) {
    return offset(unit) + element / inner * outerStride + element % inner * innerStride;
  }

  /**
   * The first channel of a unit.
   *
   * @param unit its number
   * @return index of its first weight and bias
   */
  public long channel(long unit) {
    return unit % perSample * unitChannels;
  }

  /**
   * The elements of one unit.
   *
   * @return outer x inner
   */
  public long size() {
    return outer * inner;
  }
}
