package io.nativenorm;

/**
 * The samples of a batch in ghost batches, each of which is normalized by itself: as many as are
 * needed for a size, and then as even as can be, as PyTorch's {@code chunk} divides.
 *
 * @param samples N
 * @param each samples of a ghost batch; the last one may have fewer
 */
record GhostBatches(long samples, long each) {
  /** Ghost batches of at most so many samples. */
  static GhostBatches of(long samples, long most) {
    long wanted = Math.max(1, ceilDiv(samples, most));
    return new GhostBatches(samples, Math.max(1, ceilDiv(samples, wanted)));
  }

  private static long ceilDiv(long a, long b) {
    return -Math.floorDiv(-a, b);
  }

  /** How many there are; none of no samples. */
  long count() {
    return ceilDiv(samples, each);
  }

  /** How many of them have all samples. */
  long full() {
    return samples / each;
  }

  /** How many samples are left for another one; 0 without it. */
  long rest() {
    return samples % each;
  }

  /** How many samples one of them has. */
  long samplesOf(long batch) {
    return batch < full() ? each : rest();
  }

  /** The fewest that one of them has; 0 if there is none. */
  long fewest() {
    return count() == 0 ? 0 : samplesOf(count() - 1);
  }
}
