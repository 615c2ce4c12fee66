package io.nativenorm;

import io.nativenorm.engine.Slot;
import org.jspecify.annotations.Nullable;

/**
 * A tensor that a pass keeps from forward to backward: another handle on a caller's, a caller's
 * array, or memory of its own. The next forward brings another; if it is the same again, nothing is
 * allocated.
 */
final class Kept implements AutoCloseable {
  /** The caller's that {@link #tensor} is a handle on; null with memory of its own. */
  private @Nullable Tensor source;

  private @Nullable Tensor tensor;
  private float @Nullable [] array;

  /** Keeps the memory of a tensor in use. */
  void keep(Tensor from) {
    if (tensor == null || source != from) {
      Tensor handle = from.share();
      close();
      tensor = handle;
      source = from;
    }
  }

  void keep(float[] from) {
    close();
    array = from;
  }

  /** Memory of its own, of any content unless it was there before. */
  Tensor own(DataType type, long[] shape) {
    if (tensor == null || source != null) {
      Tensor made = Tensor.uninitialized(type, Layout.CHANNELS_FIRST, shape);
      close();
      tensor = made;
    }
    return tensor;
  }

  /** Whether what a caller gave was copied into it. */
  boolean isOwn() {
    return tensor != null && source == null;
  }

  /** What of this backward reads; null with an array, or of nothing. */
  @Nullable Tensor tensor() {
    return tensor;
  }

  /** Null but with an array. */
  float @Nullable [] array() {
    return array;
  }

  void putInto(LentArrays operands, Slot slot) {
    Tensor kept = tensor;
    if (kept != null) {
      operands.put(slot, kept.span());
    } else if (array != null) {
      operands.read(slot, array);
    }
  }

  @Override
  public void close() {
    if (tensor != null) {
      tensor.close();
    }
    tensor = null;
    source = null;
    array = null;
  }
}
