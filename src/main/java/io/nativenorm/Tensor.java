package io.nativenorm;

import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.ForeignMemory;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Objects;
import org.bytedeco.javacpp.Pointer;

/**
 * A dense array outside the Java heap. Shapes are logical, N, C, then spatial; the {@link Layout}
 * says in which order the elements lie in memory. What NativeNorm allocates is 64-byte aligned;
 * wrapped memory may lie anywhere.
 *
 * <p>Closing gives back memory that NativeNorm allocated, as soon as no call and no other tensor on
 * the same memory uses it. It is kept for the next tensors of the process, up to a bound (see
 * {@link NativeNorm}), until nobody has used it for some five seconds, or an allocation would fail
 * otherwise. A tensor that is dropped without closing is freed some time after a garbage
 * collection. Using a closed tensor throws {@link IllegalStateException}. Tensors may be shared
 * between threads, their elements only as plain memory may.
 *
 * <p>This version computes on {@link DataType#F32}, {@link DataType#BF16} and {@link DataType#F16},
 * and keeps counts as {@link DataType#I64}; other types are refused. Whatever a tensor's type, a
 * layer computes floats and rounds each result once. Floats that are copied into a tensor of 16
 * bits are rounded to the nearest of its numbers, ties to even, in F16 from 65520 on to infinity;
 * those copied out of an I64 tensor are its elements rounded to the nearest float, and those copied
 * in must be whole numbers.
 */
public final class Tensor extends TensorElements {
  private Tensor(Memory memory, Lifetime shared, Layout layout, long[] shape) {
    super(memory, shared, layout, shape);
  }

  /** On memory that a caller frees. */
  private static Tensor onForeign(Memory memory, Layout layout, long[] shape) {
    return new Tensor(memory, new Lifetime(() -> {}), layout, shape);
  }

  /**
   * A new tensor of zeros.
   *
   * @param type element type; F32, BF16, F16 or I64 in this version
   * @param layout order of the elements
   * @param shape logical extents, each 0 or more
   * @return a tensor that owns its memory
   * @throws IllegalArgumentException if an extent is negative, there are too many elements or the
   *     type is not supported
   */
  public static Tensor allocate(DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    Tensor tensor = uninitialized(type, layout, ownCopy(shape));
    tensor.memory().setAll(0);
    return TensorScope.made(tensor);
  }

  /** A new tensor whose elements are all going to be written; the shape becomes its own. */
  static Tensor uninitialized(DataType type, Layout layout, long... shape) {
    requireSupported(type);
    long size = Shapes.size(shape);
    PooledMemory own = MemoryPool.take(type, size);
    return new Tensor(own.first(type, size), new Lifetime(own::close), layout, shape);
  }

  /**
   * A new F32 tensor of zeros, channels first.
   *
   * @param shape logical extents; none for a scalar
   * @return a tensor that owns its memory
   * @throws IllegalArgumentException if an extent is negative or there are too many elements
   */
  public static Tensor zeros(long... shape) {
    return allocate(DataType.F32, Layout.CHANNELS_FIRST, shape);
  }

  /**
   * A new F32 tensor, channels first, with a copy of the values.
   *
   * @param values the elements, last dimension fastest
   * @param shape logical extents
   * @return a tensor that owns its memory
   * @throws IllegalArgumentException if the shape does not have as many elements as values
   */
  public static Tensor of(float[] values, long... shape) {
    Objects.requireNonNull(values, "values");
    long[] extents = ownCopy(shape);
    requireLength(values.length, Shapes.size(extents), "values");
    Tensor tensor = uninitialized(DataType.F32, Layout.CHANNELS_FIRST, extents);
    tensor.copyFrom(values);
    return TensorScope.made(tensor);
  }

  private static long[] ownCopy(long[] shape) {
    return Objects.requireNonNull(shape, "shape").clone();
  }

  /**
   * An F32 tensor, channels first, on a buffer's memory from its position on. Nothing is copied;
   * the buffer stays reachable while the tensor is.
   *
   * <p>On memory of a {@code java.lang.foreign.Arena} the tensor can be used as the buffer can:
   * once the arena is closed, or on a thread that may not use it, whatever uses the elements throws
   * what the buffer's own {@code get} does. That is looked at when a call begins; an arena that is
   * closed during a call takes the memory from under it. A mapped file must keep its length: if it
   * is cut while it is used here, the operating system ends the process (SIGBUS).
   *
   * @param direct a direct buffer in native byte order; if it is read-only, layers only read it
   * @param shape logical extents, with at most as many elements as the buffer has remaining
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the buffer is not direct, not in native order or too short
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static Tensor wrap(FloatBuffer direct, long... shape) {
    Objects.requireNonNull(direct, "direct");
    long[] extents = ownCopy(shape);
    Memory foreign = ForeignMemory.of(direct, Shapes.size(extents));
    return TensorScope.made(onForeign(foreign, Layout.CHANNELS_FIRST, extents));
  }

  /**
   * A tensor on a buffer's memory from its position on, as {@link #wrap(FloatBuffer, long...)}
   * makes it.
   *
   * @param direct a direct buffer in native byte order, which a new ByteBuffer is not: {@code
   *     order(ByteOrder.nativeOrder())}; aligned to the size of an element at its position; if it
   *     is read-only, layers only read it
   * @param type element type; F32, BF16, F16 or I64 in this version
   * @param layout order of the elements
   * @param shape logical extents, with at most as many elements as the buffer has room for from its
   *     position to its limit
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the buffer is not direct, not in native order, not aligned
   *     or too short, or the type is not supported
   * @throws IllegalStateException if the arena of its memory is closed
   */
  public static Tensor wrap(ByteBuffer direct, DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(direct, "direct");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = ownCopy(shape);
    requireSupported(type);
    Memory foreign = ForeignMemory.of(direct, type, Shapes.size(extents));
    return TensorScope.made(onForeign(foreign, layout, extents));
  }

  /**
   * A tensor on memory that the caller owns, from the pointer's position on. Nothing is copied. The
   * memory must stay valid while the tensor is used; the pointer stays reachable while the tensor
   * is, and using the tensor after {@code memory.close()} throws. What else ends the memory cannot
   * be seen here: another pointer to it, the arena of a buffer it was taken from, or a mapped file
   * that is cut, for which the operating system ends the process (SIGBUS).
   *
   * @param memory where the elements are, aligned to their size
   * @param type element type; F32, BF16, F16 or I64 in this version
   * @param layout order of the elements
   * @param shape logical extents
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the pointer's address is 0; if its capacity is known and
   *     position, limit or shape go beyond it; or if the type is not supported. Unknown is the
   *     capacity of an address that native code gave, as {@code Pointer.malloc} does: such memory
   *     is taken to be as large as the shape
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public static Tensor wrap(Pointer memory, DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(memory, "memory");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = ownCopy(shape);
    requireSupported(type);
    requirePointers();
    Memory foreign = ForeignMemory.of(memory, type, Shapes.size(extents));
    return TensorScope.made(onForeign(foreign, layout, extents));
  }

  private static void requireSupported(DataType type) {
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
      Tensor copy = uninitialized(type, layout(), extents());
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

  private Tensor copy(Layout wanted) {
    acquire();
    try {
      Tensor copy = uninitialized(dataType(), wanted, extents());
      reorder(this, copy);
      return copy;
    } finally {
      release();
    }
  }

  private static void convert(Tensor from, Tensor to) {
    Engines.memoryWork().convert(from.memory(), to.memory(), NativeNorm.threads());
  }

  /** Copies into a tensor of the same shape and type, in its order; both are in use. */
  static void reorder(Tensor from, Tensor to) {
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

  /**
   * The same elements in another shape, in the logical order of the old one.
   *
   * @param newShape extents with the same product
   * @return a tensor of its own to close: on the same memory where the order allows it, which is
   *     always for {@link Layout#CHANNELS_FIRST}; a channels-first copy else
   * @throws IllegalArgumentException if the number of elements differs
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor reshape(long... newShape) {
    long[] extents = Objects.requireNonNull(newShape, "newShape").clone();
    if (Shapes.size(extents) != size()) {
      throw new IllegalArgumentException(
          "shape " + Shapes.text(extents) + " is invalid for input of size " + size());
    }
    if (layout() == Layout.CHANNELS_LAST && rank() > 2) {
      try (Tensor ordered = copy(Layout.CHANNELS_FIRST)) {
        return TensorScope.made(ordered.sharing(Layout.CHANNELS_FIRST, extents));
      }
    }
    return TensorScope.made(sharing(Layout.CHANNELS_FIRST, extents));
  }

  /** This tensor in an order: another handle on the same memory, or a copy. */
  Tensor in(Layout wanted) {
    return wanted == layout() || rank() < 3 ? sharing(wanted, extents()) : copy(wanted);
  }

  /** Another handle on the same memory, which keeps it. */
  Tensor share() {
    return sharing(layout(), extents());
  }

  private Tensor sharing(Layout order, long[] extents) {
    acquire();
    try {
      return new Tensor(memory(), shareMemory(), order, extents);
    } finally {
      release();
    }
  }
}
