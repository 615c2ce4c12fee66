package io.nativenorm.engine;

import io.nativenorm.Layout;

/**
 * Which elements of a problem share one mean and variance, as two nested strided loops: element (i,
 * j) of group k lies at {@code offset(k) + i * outerStride + j * innerStride} and has the weight
 * and bias at {@code channel(k) + i * outerChannels + j * innerChannels}. All operations and
 * layouts are cases of it; the inner loop is the one with neighbours in memory.
 *
 * @param count number of groups
 * @param outer length of the outer loop
 * @param inner length of the inner loop
 * @param outerStride elements between two steps of the outer loop
 * @param innerStride elements between two steps of the inner loop
 * @param outerChannels channels between two steps of the outer loop, 0 or 1
 * @param innerChannels channels between two steps of the inner loop, 0 or 1
 * @param blocks how many groups follow each other before a sample ends
 * @param sampleStride elements between the first groups of two samples
 * @param blockStride elements between two groups of one sample
 * @param blockChannels channels between two groups of one sample
 */
public record Groups(
    long count,
    long outer,
    long inner,
    long outerStride,
    long innerStride,
    int outerChannels,
    int innerChannels,
    long blocks,
    long sampleStride,
    long blockStride,
    long blockChannels) {

  /**
   * Finds the groups of a problem.
   *
   * @param problem any problem
   * @return its groups
   */
  public static Groups of(Problem problem) {
    long n = problem.batch();
    long c = problem.channels();
    long s = problem.spatial();
    boolean first = problem.layout() == Layout.CHANNELS_FIRST;
    return switch (problem.operation()) {
      case BATCH -> new Groups(c, n, s, c * s, first ? 1 : c, 0, 0, c, 0, first ? s : 1, 1);
      case LAYER, RMS -> new Groups(n, 1, c, 0, 1, 0, 1, 1, c, 0, 0);
      case GROUP -> {
        long g = problem.groups();
        long members = c / g;
        yield first
            ? new Groups(n * g, members, s, s, 1, 1, 0, g, c * s, members * s, members)
            : new Groups(n * g, s, members, c, 1, 0, 1, g, c * s, members, members);
      }
    };
  }

  /**
   * Where a group begins.
   *
   * @param group its number
   * @return index of its first element
   */
  public long offset(long group) {
    return group / blocks * sampleStride + group % blocks * blockStride;
  }

  /**
   * Where an element of a group lies.
   *
   * @param group the group's number
   * @param element its number in the group, in the order of the loops
   * @return its index
   */
  public long index(long group, long element) {
    return offset(group) + element / inner * outerStride + element % inner * innerStride;
  }

  /**
   * The first channel of a group.
   *
   * @param group its number
   * @return index of its first weight and bias
   */
  public long channel(long group) {
    return group % blocks * blockChannels;
  }

  /**
   * The elements of one group.
   *
   * @return outer x inner
   */
  public long size() {
    return outer * inner;
  }
}
