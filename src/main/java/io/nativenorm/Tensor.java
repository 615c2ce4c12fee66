package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.memory.ForeignMemory;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.nio.FloatBuffer;
import java.util.Arrays;
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
 * <p>This version computes {@link DataType#F32} only, and keeps counts as {@link DataType#I64};
 * other types are refused. Floats that are copied out of an I64 tensor are its elements rounded to
 * the nearest float; those copied in must be whole numbers.
 */
public final class Tensor implements AutoCloseable {
  private final long[] shape;
  private final long size;
  private final DataType dataType;
  private final Layout layout;
  private final Memory memory;

  /** The memory's, which each tensor on it holds until it is closed. */
  private final Lifetime shared;

  private final Lifetime lifetime;

  /** Takes over one hold on the memory. */
  private Tensor(Memory memory, Lifetime shared, Layout layout, long[] shape) {
    this.shape = shape;
    this.size = Shapes.size(shape);
    this.dataType = memory.type();
    this.layout = layout;
    this.memory = memory;
    this.shared = shared;
    this.lifetime = new Lifetime(shared::release);
  }

  /** On memory that a caller frees. */
  private static Tensor onForeign(Memory memory, Layout layout, long[] shape) {
    return new Tensor(memory, new Lifetime(() -> {}), layout, shape);
  }

  /**
   * A new tensor of zeros.
   *
   * @param type element type; F32 or I64 in this version
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
    return tensor;
  }

  /** A new tensor whose elements are all going to be written; the shape becomes its own. */
  static Tensor uninitialized(DataType type, Layout layout, long... shape) {
    requireSupported(type);
    long size = Shapes.size(shape);
    PooledMemory own = MemoryPool.take(type, size);
    return new Tensor(own.memory().first(type, size), new Lifetime(own::close), layout, shape);
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
    return tensor;
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
    return onForeign(foreign, Layout.CHANNELS_FIRST, extents);
  }

  /**
   * A tensor on memory that the caller owns, from the pointer's position on. Nothing is copied. The
   * memory must stay valid while the tensor is used; the pointer stays reachable while the tensor
   * is, and using the tensor after {@code memory.close()} throws. What else ends the memory cannot
   * be seen here: another pointer to it, the arena of a buffer it was taken from, or a mapped file
   * that is cut, for which the operating system ends the process (SIGBUS).
   *
   * @param memory where the elements are, aligned to their size
   * @param type element type; F32 or I64 in this version
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
    return onForeign(ForeignMemory.of(memory, type, Shapes.size(extents)), layout, extents);
  }

  private static void requireSupported(DataType type) {
    if (type != DataType.F32 && type != DataType.I64) {
      throw new IllegalArgumentException(
          "this version supports DataType F32 and, for counts, I64, but got " + type);
    }
  }

  private static void requirePointers() {
    NativeAccess.missing()
        .ifPresent(
            missing -> {
              throw new NativeNormException("there are no pointers here: " + missing);
            });
  }

  private static void requireLength(long length, long size, String what) {
    if (length != size) {
      throw new IllegalArgumentException(
          "expected " + size + " " + what + " for the tensor's elements, but got " + length);
    }
  }

  /**
   * The logical extents.
   *
   * @return a copy of the shape
   */
  public long[] shape() {
    return shape.clone();
  }

  /** The shape itself, which no one may write to: tensors share it. */
  long[] extents() {
    return shape;
  }

  /**
   * The number of dimensions.
   *
   * @return the shape's length
   */
  public int rank() {
    return shape.length;
  }

  /**
   * The number of elements.
   *
   * @return the product of the extents, 1 for a scalar
   */
  public long size() {
    return size;
  }

  /**
   * The element type.
   *
   * @return the type
   */
  public DataType dataType() {
    return dataType;
  }

  /**
   * The physical order.
   *
   * @return the layout
   */
  public Layout layout() {
    return layout;
  }

  /**
   * The memory itself, for native code. It is valid until this tensor is closed, and only while the
   * pointer itself, or this tensor, is reachable: what is made of the pointer, such as its {@code
   * asBuffer()}, another pointer or an indexer, does not keep the memory, which then is the next
   * tensor's. {@link #buffer()} does.
   *
   * @return a pointer to the first element, a FloatPointer or for I64 a LongPointer, with the size
   *     as capacity
   * @throws IllegalStateException if this tensor is closed
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public Pointer pointer() {
    acquire();
    release();
    requirePointers();
    return memory.pointer();
  }

  /**
   * The elements as a buffer, in memory order (see {@link #toArray}), live: what is written to one
   * is in the other. The memory is kept as long as the buffer, or one made of it, is reachable,
   * also after this tensor and its layer are closed; wrapped memory is kept as far as wrapping it
   * does.
   *
   * @return a direct buffer from position 0 to the size, read-only if this is on a read-only one
   * @throws IllegalArgumentException if the type is not F32, or there are more elements than the
   *     2^31 - 1 bytes that a buffer reaches have room for
   * @throws IllegalStateException if this tensor is closed
   */
  public FloatBuffer buffer() {
    if (dataType != DataType.F32 || size > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException("a FloatBuffer cannot hold the tensor " + this);
    }
    acquire();
    try {
      shared.acquire();
      return lend();
    } finally {
      release();
    }
  }

  private FloatBuffer lend() {
    try {
      return memory.lend((int) size, shared::release);
    } catch (RuntimeException | Error e) {
      shared.release();
      throw e;
    }
  }

  /**
   * One element of an I64 tensor.
   *
   * @param index one number for each dimension; none for a scalar
   * @return its value
   * @throws IllegalArgumentException if the type is not I64
   * @throws IndexOutOfBoundsException if there are more or fewer numbers than dimensions, or one is
   *     not within its extent
   * @throws IllegalStateException if this tensor is closed
   */
  public long getLong(long... index) {
    long offset = Shapes.offset(Objects.requireNonNull(index, "index").clone(), shape, layout);
    if (dataType != DataType.I64) {
      throw new IllegalArgumentException("getLong reads I64 tensors only, but this is " + this);
    }
    acquire();
    try {
      return Longs.get(memory, offset);
    } finally {
      release();
    }
  }

  /** The memory for an engine, to be used between {@link #acquire} and {@link #release}. */
  Memory memory() {
    return memory;
  }

  boolean isReadOnly() {
    return memory.isReadOnly();
  }

  /** Keeps the memory from being freed. */
  void acquire() {
    if (!lifetime.acquire()) {
      throw new IllegalStateException("the tensor " + this + " is closed");
    }
    try {
      memory.requireThere(this);
    } catch (RuntimeException | Error e) {
      lifetime.release();
      throw e;
    }
  }

  void release() {
    lifetime.release();
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
    if (size > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("a Java array cannot hold " + size + " elements");
    }
    float[] values = new float[(int) size];
    copyTo(values);
    return values;
  }

  /**
   * Copies values in, in memory order (see {@link #toArray}).
   *
   * @param values as many as this tensor has elements
   * @throws IllegalArgumentException if there are more or fewer, the memory is read-only, or this
   *     is an I64 tensor and one is not a whole number that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public void copyFrom(float[] values) {
    Objects.requireNonNull(values, "values");
    requireLength(values.length, size, "values");
    if (isReadOnly()) {
      throw new IllegalArgumentException("the tensor " + this + " is on a read-only buffer");
    }
    acquire();
    try {
      if (dataType == DataType.I64) {
        Longs.write(memory, values.clone());
      } else {
        memory.write(0, values, 0, values.length);
      }
    } finally {
      release();
    }
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
    requireLength(values.length, size, "places");
    acquire();
    try {
      if (dataType == DataType.I64) {
        Longs.read(memory, values);
      } else {
        memory.read(0, values, 0, values.length);
      }
    } finally {
      release();
    }
  }

  /**
   * A copy in another element type.
   *
   * @param type the wanted type; F32 or I64 in this version
   * @return a new tensor that owns its memory, even if the type is the same
   * @throws IllegalArgumentException if the type is not supported or, where it is another one,
   *     there are more elements than an array can hold or I64 cannot hold one of them
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(DataType type) {
    Objects.requireNonNull(type, "type");
    requireSupported(type);
    if (type == dataType) {
      return to(layout);
    }
    float[] values = toArray();
    Tensor copy = uninitialized(type, layout, shape);
    try {
      copy.copyFrom(values);
      return copy;
    } catch (RuntimeException | Error e) {
      copy.close();
      throw e;
    }
  }

  /**
   * A copy in another physical order.
   *
   * @param wanted the order of the copy
   * @return a new tensor of the same shape that owns its memory, even if the order is the same
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(Layout wanted) {
    Objects.requireNonNull(wanted, "wanted");
    acquire();
    try {
      Tensor copy = uninitialized(dataType, wanted, shape);
      copyElementsTo(copy);
      return copy;
    } finally {
      release();
    }
  }

  /** Copies into a tensor of the same shape and type, in its order; both are acquired. */
  void copyElementsTo(Tensor target) {
    if (size == 0) {
      return; // 2^40 samples without an element would be gone through one by one
    }
    if (target.layout == layout || rank() < 3) {
      memory.copyTo(target.memory());
    } else if (target.layout == Layout.CHANNELS_LAST) {
      Transposition.toChannelsLast(shape, dataType, memory, target.memory());
    } else {
      Transposition.toChannelsFirst(shape, dataType, memory, target.memory());
    }
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
    if (Shapes.size(extents) != size) {
      throw new IllegalArgumentException(
          "shape " + Shapes.text(extents) + " is invalid for input of size " + size);
    }
    if (layout == Layout.CHANNELS_LAST && rank() > 2) {
      try (Tensor ordered = to(Layout.CHANNELS_FIRST)) {
        return ordered.sharing(Layout.CHANNELS_FIRST, extents);
      }
    }
    return sharing(Layout.CHANNELS_FIRST, extents);
  }

  /** This tensor in an order: another handle on the same memory, or a copy. */
  Tensor in(Layout wanted) {
    return wanted == layout || rank() < 3 ? sharing(wanted, shape) : to(wanted);
  }

  /** Another handle on the same memory, which keeps it. */
  Tensor share() {
    return sharing(layout, shape);
  }

  private Tensor sharing(Layout order, long[] extents) {
    acquire();
    try {
      shared.acquire();
      return new Tensor(memory, shared, order, extents);
    } finally {
      release();
    }
  }

  /**
   * Whether {@link #close} was called.
   *
   * @return true once closed
   */
  public boolean isClosed() {
    return lifetime.isClosed();
  }

  /** Ends the use of this tensor. Closing again does nothing. */
  @Override
  public void close() {
    lifetime.close();
  }

  /** Type, layout and shape; not the elements. */
  @Override
  public String toString() {
    return text(dataType, layout, shape);
  }

  static String text(DataType type, Layout layout, long[] shape) {
    return type + " " + layout + " " + Arrays.toString(shape);
  }
}
