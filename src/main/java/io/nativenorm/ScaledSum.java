package io.nativenorm;

import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;

/** {@link Tensor#addScaled}: what it takes, and its loop. */
final class ScaledSum {
  /**
   * Elements that are summed at once: 16 KB of floats of each tensor, which stay in the L1 cache.
   */
  private static final int CHUNK = 1 << 12;

  private ScaledSum() {}

  static void requireFit(TensorElements sum, TensorElements other) {
    boolean alike = sum.layout() == other.layout() && Arrays.equals(sum.extents(), other.extents());
    boolean ofFloats =
        Storage.COMPUTED.contains(sum.dataType()) && Storage.COMPUTED.contains(other.dataType());
    if (!alike || !ofFloats) {
      throw new IllegalArgumentException(
          "addScaled expects tensors of one shape and layout and of types in "
              + Storage.COMPUTED
              + ", but got "
              + other
              + " for "
              + sum);
    }
    if (Overlap.isPartial(sum.memory(), other.memory())) {
      throw new IllegalArgumentException(
          "addScaled: the tensors must be apart or the same, but overlap in part");
    }
  }

  /** Both are in use; the sum's memory is held, the other's may not be. */
  static void add(Memory sum, float factor, Memory other) {
    ArenaHold.during(new Memory[] {other}, () -> addHeld(sum, factor, other.whileHeld()));
  }

  private static void addHeld(Memory sum, float factor, Memory other) {
    int size = (int) Math.min(CHUNK, sum.elements());
    float[] sums = new float[size];
    float[] summands = new float[size];
    for (long at = 0; at < sum.elements(); at += size) {
      int count = (int) Math.min(size, sum.elements() - at);
      sum.read(at, sums, 0, count);
      other.read(at, summands, 0, count);
      for (int i = 0; i < count; i++) {
        sums[i] += factor * summands[i];
      }
      sum.write(at, sums, 0, count);
    }
  }
}
