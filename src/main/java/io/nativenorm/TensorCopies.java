package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.memory.Conversion;
import io.nativenorm.engine.memory.Memory;
import java.nio.FloatBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Copies of a tensor's elements: in arrays, in another type or order. */
abstract sealed class TensorCopies extends TensorElements permits TensorViews {
  TensorCopies(
      Memory memory, Lifetime shared, Layout layout, long[] shape, @Nullable Pieces pieces) {
    super(memory, shared, layout, shape, pieces);
  }

  /**
   * Copies the elements out in memory order: for {@link Layout#CHANNELS_LAST} the channel is
   * fastest. {@code to(CHANNELS_FIRST)} gives them in the shape's order.
   *
   * @return a new array of all elements
   * @throws IllegalStateException if this tensor is closed
   * @throws IllegalArgumentException if there are more elements than an array can hold
   */
  public float[] toArray() {
    if (size() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("a Java array cannot hold " + size() + " elements");
    }
    float[] values = new float[(int) size()];
    copyTo(values);
    return values;
  }

  /**
   * Copies values in, in memory order (see {@link #toArray}).
   *
   * @param values as many as this tensor has elements
   * @throws IllegalArgumentException if there are more or fewer, the memory is read-only, or the
   *     type is one of whole numbers and one is none that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public void copyFrom(float[] values) {
    Objects.requireNonNull(values, "values");
    requireLength(values.length, size(), "values");
    requireWritable();
    // Whether longs can be what they are is looked at before they are written.
    write(Conversion.holdsAnyFloat(dataType()) ? values : values.clone());
  }

  /**
   * Copies values in, in memory order (see {@link #toArray}).
   *
   * <pre>{@code
   * norm.weight().copyFrom(file.asFloatBuffer().position(offset).limit(offset + 768));
   * }</pre>
   *
   * @param values from its position to its limit, which stay, as many as this tensor has elements;
   *     on the heap or direct, in any byte order
   * @throws IllegalArgumentException if there are more or fewer, the memory is read-only, or the
   *     type is one of whole numbers and one is none that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public void copyFrom(FloatBuffer values) {
    FloatBuffer own = Objects.requireNonNull(values, "values").slice();
    requireLength(own.capacity(), size(), "values");
    requireWritable();
    if (Conversion.holdsAnyFloat(dataType())) {
      use(
          open ->
              forEachPiece(
                  (place, at, count) -> Conversion.write(open, place, own, (int) at, (int) count)));
    } else {
      float[] all = new float[own.capacity()];
      own.get(0, all);
      write(all);
    }
  }

  /** All of them or, if one cannot be held, nothing; nobody else writes to whole numbers. */
  private void write(float[] values) {
    use(
        open -> {
          Conversion.requireHeld(dataType(), values, values.length);
          forEachPiece(
              (place, at, count) -> Conversion.write(open, place, values, (int) at, (int) count));
        });
  }

  private void forEachPiece(Pieces.Use use) {
    Pieces.forEach(pieces(), size(), use);
  }

  /**
   * Copies the elements out in memory order (see {@link #toArray}).
   *
   * @param values an array of as many elements as this tensor has
   * @throws IllegalArgumentException if it has more or fewer
   * @throws IllegalStateException if this tensor is closed
   */
  public void copyTo(float[] values) {
    Objects.requireNonNull(values, "values");
    requireLength(values.length, size(), "places");
    use(
        open ->
            forEachPiece(
                (place, at, count) -> Conversion.read(open, place, values, (int) at, (int) count)));
  }

  static void requireLength(long length, long size, String what) {
    if (length != size) {
      throw new IllegalArgumentException(
          "expected " + size + " " + what + " for the tensor's elements, but got " + length);
    }
  }

  /**
   * A copy in another element type, made by as many {@link NativeNorm#threads} as it is worth.
   *
   * @param type the wanted type
   * @return a new tensor that owns its memory, even if the type is the same
   * @throws IllegalArgumentException if the type is one of whole numbers, and an element is none
   *     that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(DataType type) {
    Objects.requireNonNull(type, "type");
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

  /** To memory in one piece. */
  private static void convert(TensorElements from, TensorElements to) {
    MemoryWork work = Engines.memoryWork();
    int threads = NativeNorm.threads();
    if (from.pieces() == null) {
      work.convert(from.memory(), to.memory(), threads);
      return;
    }
    Pieces.forEach(
        from.pieces(),
        from.size(),
        (place, at, count) ->
            work.convert(from.span().slice(place, count), to.memory().slice(at, count), threads));
  }

  /** Copies into a tensor of the same shape and type, in its order; both are in use. */
  static void reorder(TensorCopies from, TensorCopies to) {
    if (from.size() == 0) {
      return; // 2^40 samples without an element would be gone through one by one
    }
    if (from.layout() == to.layout() || from.rank() < 3) {
      convert(from, to);
    } else if (from.pieces() == null) {
      reorder(from.extents(), from.memory(), to.memory(), to.layout(), NativeNorm.threads());
    } else {
      try (Tensor close = from.copy(from.layout())) {
        reorder(close, to);
      }
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
