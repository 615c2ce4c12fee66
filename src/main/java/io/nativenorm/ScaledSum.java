package io.nativenorm;

import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

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
    if (Overlap.isPartial(sum, other)) {
      throw new IllegalArgumentException(
          "addScaled: the tensors must be apart or the same, but overlap in part");
    }
  }

  /** Both are in use; the sum's memory is held, the other's may not be. */
  static void add(Elements sum, float factor, Elements other) {
    ArenaHold.during(
        new Memory[] {other.memory},
        () -> addHeld(sum, factor, other.in(other.memory.whileHeld())));
  }

  private static void addHeld(Elements sum, float factor, Elements other) {
    int size = (int) Math.min(CHUNK, sum.size);
    float[] sums = new float[size];
    float[] summands = new float[size];
    for (long at = 0; at < sum.size; at += size) {
      int count = (int) Math.min(size, sum.size - at);
      sum.read(at, sums, count);
      other.read(at, summands, count);
      for (int i = 0; i < count; i++) {
        sums[i] += factor * summands[i];
      }
      sum.write(at, sums, count);
    }
  }

  /** The elements of a tensor, in one piece or in some. */
  record Elements(Memory memory, @Nullable Pieces pieces, long size) {
    Elements in(Memory held) {
      return new Elements(held, pieces, size);
    }

    void read(long at, float[] into, int count) {
      if (pieces == null) {
        memory.read(at, into, 0, count);
      } else {
        pieces.view(memory).read(at, into, 0, count);
      }
    }

    void write(long at, float[] from, int count) {
      if (pieces == null) {
        memory.write(at, from, 0, count);
      } else {
        pieces.view(memory).write(at, from, 0, count);
      }
    }
  }
}
