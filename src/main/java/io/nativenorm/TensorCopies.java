package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.Memory;
import java.util.Objects;

/** Copies of a tensor in another type or order. */
abstract sealed class TensorCopies extends TensorElements permits Tensor {
  TensorCopies(Memory memory, Lifetime shared, Layout layout, long[] shape) {
    super(memory, shared, layout, shape);
  }

  static void requireSupported(DataType type) {
    if (!Storage.COMPUTED.contains(type) && type != DataType.I64) {
      throw new IllegalArgumentException(
          "this version supports " + Storage.COMPUTED + " and, for counts, I64, but got " + type);
    }
  }

  /**
   * A copy in another element type, made by as many {@link NativeNorm#threads} as it is worth.
   *
   * @param type the wanted type; F32, BF16, F16 or I64 in this version
   * @return a new tensor that owns its memory, even if the type is the same
   * @throws IllegalArgumentException if the type is not supported, or I64 and an element is not a
   *     whole number that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(DataType type) {
    Objects.requireNonNull(type, "type");
    requireSupported(type);
    acquire();
    try {
      Tensor copy = Tensor.uninitialized(type, layout(), extents());
      try {
        convert(this, copy);
        return TensorScope.made(copy);
      } catch (RuntimeException | Error e) {
        copy.close();
        throw e;
      }
    } finally {
      release();
    }
  }

  /**
   * A copy in another physical order, made by as many {@link NativeNorm#threads} as it is worth.
   *
   * @param wanted the order of the copy
   * @return a new tensor of the same shape that owns its memory, even if the order is the same
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(Layout wanted) {
    Objects.requireNonNull(wanted, "wanted");
    return TensorScope.made(copy(wanted));
  }

  /** A copy that no scope closes. */
  final Tensor copy(Layout wanted) {
    acquire();
    try {
      Tensor copy = Tensor.uninitialized(dataType(), wanted, extents());
      reorder(this, copy);
      return copy;
    } finally {
      release();
    }
  }

  private static void convert(TensorElements from, TensorElements to) {
    Engines.memoryWork().convert(from.memory(), to.memory(), NativeNorm.threads());
  }

  /** Copies into a tensor of the same shape and type, in its order; both are in use. */
  static void reorder(TensorElements from, TensorElements to) {
    if (from.size() == 0) {
      return; // 2^40 samples without an element would be gone through one by one
    }
    if (from.layout() == to.layout() || from.rank() < 3) {
      convert(from, to);
    } else {
      reorder(from.extents(), from.memory(), to.memory(), to.layout(), NativeNorm.threads());
    }
  }

  /** Copies the elements of a shape with spatial dimensions into the other order. */
  static void reorder(long[] shape, Memory from, Memory to, Layout wanted, int threads) {
    long samples = shape[0];
    long channels = shape[1];
    long positions = from.elements() / samples / channels;
    boolean last = wanted == Layout.CHANNELS_LAST;
    Engines.memoryWork()
        .transpose(
            from, to, samples, last ? channels : positions, last ? positions : channels, threads);
  }
}
