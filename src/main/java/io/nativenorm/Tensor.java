package io.nativenorm;

import io.nativenorm.engine.BufferPool;
import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.NativeFloats;
import io.nativenorm.engine.NativeMemory;
import java.nio.ByteOrder;
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
 * <p>This version computes {@link DataType#F32} only; other types are refused.
 */
public final class Tensor implements AutoCloseable {
  /** Memory that several tensors may lie on, each holding it until it is closed. */
  private static final class Storage {
    private final Lifetime lifetime;
    private final boolean readOnly;

    /** The pointer a caller wrapped, which the caller may free; null if the memory is ours. */
    private final Pointer wrapped;

    Storage(Runnable free, boolean readOnly, Pointer wrapped) {
      this.lifetime = new Lifetime(free);
      this.readOnly = readOnly;
      this.wrapped = wrapped;
    }
  }

  private final long[] shape;
  private final long size;
  private final DataType dataType;
  private final Layout layout;
  private final NativeFloats floats;
  private final Storage storage;
  private final Lifetime lifetime;

  /** Takes over one hold on the storage. */
  private Tensor(
      DataType dataType, Layout layout, NativeFloats floats, Storage storage, long[] shape) {
    this.shape = shape;
    this.size = Shapes.size(shape);
    this.dataType = dataType;
    this.layout = layout;
    this.floats = floats;
    this.storage = storage;
    this.lifetime = new Lifetime(storage.lifetime::release);
  }

  /**
   * A new tensor of zeros.
   *
   * @param type element type; F32 in this version
   * @param layout order of the elements
   * @param shape logical extents, each 0 or more
   * @return a tensor that owns its memory
   * @throws IllegalArgumentException if an extent is negative, there are too many elements or the
   *     type is not supported
   */
  public static Tensor allocate(DataType type, Layout layout, long... shape) {
    Tensor tensor = uninitialized(type, layout, shape.clone());
    tensor.floats.setAll(0);
    return tensor;
  }

  /** A new tensor whose elements are all going to be written; the shape becomes its own. */
  static Tensor uninitialized(DataType type, Layout layout, long... shape) {
    requireSupported(type);
    Objects.requireNonNull(layout, "layout");
    long size = Shapes.size(shape);
    BufferPool.Buffer memory = BufferPool.take(size);
    Storage storage = new Storage(memory::close, false, null);
    return new Tensor(type, layout, memory.floats().first(size), storage, shape);
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
    long[] extents = shape.clone();
    requireLength(values.length, Shapes.size(extents), "values");
    Tensor tensor = uninitialized(DataType.F32, Layout.CHANNELS_FIRST, extents);
    tensor.copyFrom(values);
    return tensor;
  }

  /**
   * An F32 tensor, channels first, on a buffer's memory from its position on. Nothing is copied;
   * the buffer stays reachable while the tensor is.
   *
   * @param direct a direct buffer in native byte order; if it is read-only, layers only read it
   * @param shape logical extents, with at most as many elements as the buffer has remaining
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the buffer is not direct, not in native order or too short
   */
  public static Tensor wrap(FloatBuffer direct, long... shape) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException(
          "wrap expects a direct FloatBuffer, but got one on the Java heap; Tensor.of copies");
    }
    if (direct.order() != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          "wrap expects a buffer in native byte order, but got "
              + direct.order()
              + "; set ByteBuffer.order(ByteOrder.nativeOrder()) before asFloatBuffer()");
    }
    long[] extents = shape.clone();
    long size = Shapes.size(extents);
    FloatBuffer own = direct.slice(); // nobody else moves its position and limit
    requireRoom(own.capacity(), size);
    Storage storage = new Storage(() -> {}, own.isReadOnly(), null);
    NativeFloats floats = NativeMemory.of(own).slice(0, size);
    return new Tensor(DataType.F32, Layout.CHANNELS_FIRST, floats, storage, extents);
  }

  /**
   * A tensor on memory that the caller owns, from the pointer's position on. Nothing is copied. The
   * memory must stay valid while the tensor is used; the pointer stays reachable while the tensor
   * is, and using the tensor after {@code memory.close()} throws.
   *
   * @param memory where the elements are, aligned to their size
   * @param type element type; F32 in this version
   * @param layout order of the elements
   * @param shape logical extents
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the pointer is null, has a known capacity that is too
   *     small, or the type is not supported
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public static Tensor wrap(Pointer memory, DataType type, Layout layout, long... shape) {
    requireSupported(type);
    Objects.requireNonNull(layout, "layout");
    requirePointers();
    if (memory == null || memory.isNull()) {
      throw new IllegalArgumentException("wrap expects memory, but got a null pointer");
    }
    long[] extents = shape.clone();
    long size = Shapes.size(extents);
    long position = memory.position();
    long limit = memory.limit();
    long address = memory.address() + position * memory.sizeof();
    if (address % type.bytes() != 0) {
      throw new IllegalArgumentException(
          "wrap expects memory aligned to "
              + type.bytes()
              + " bytes, but got address 0x"
              + Long.toHexString(address));
    }
    if (limit > 0) { // 0 if JavaCPP does not know how long it is
      long bytes = (limit - position) * memory.sizeof();
      requireRoom(bytes / type.bytes(), size);
    }
    Storage storage = new Storage(() -> {}, false, memory);
    NativeFloats floats = new NativeFloats(address, size, memory);
    return new Tensor(type, layout, floats, storage, extents);
  }

  private static void requireSupported(DataType type) {
    if (type != DataType.F32) {
      throw new IllegalArgumentException(
          "this version supports DataType F32 only, but got " + type);
    }
  }

  private static void requirePointers() {
    NativeAccess.missing()
        .ifPresent(
            missing -> {
              throw new NativeNormException("there are no pointers here: " + missing);
            });
  }

  private static void requireRoom(long available, long size) {
    if (available < size) {
      throw new IllegalArgumentException(
          "the shape has " + size + " elements, but the memory has room for " + available);
    }
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
   * The memory itself, for native code. It is valid until this tensor is closed.
   *
   * @return a pointer to the first element, with the size as capacity
   * @throws IllegalStateException if this tensor is closed
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public Pointer pointer() {
    acquire();
    release();
    requirePointers();
    return floats.slice(0, size);
  }

  /** The memory for an engine, to be used between {@link #acquire} and {@link #release}. */
  NativeFloats floats() {
    return floats;
  }

  boolean isReadOnly() {
    return storage.readOnly;
  }

  /** Keeps the memory from being freed. */
  void acquire() {
    if (!lifetime.acquire()) {
      throw new IllegalStateException("the tensor " + this + " is closed");
    }
    if (storage.wrapped != null && storage.wrapped.isNull()) {
      lifetime.release();
      throw new IllegalStateException("the memory under the tensor " + this + " was freed");
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
   * @throws IllegalArgumentException if there are more or fewer, or the memory is read-only
   * @throws IllegalStateException if this tensor is closed
   */
  public void copyFrom(float[] values) {
    requireLength(values.length, size, "values");
    if (isReadOnly()) {
      throw new IllegalArgumentException("the tensor " + this + " is on a read-only buffer");
    }
    acquire();
    try {
      floats.write(0, values, 0, values.length);
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
    requireLength(values.length, size, "places");
    acquire();
    try {
      floats.read(0, values, 0, values.length);
    } finally {
      release();
    }
  }

  /**
   * A copy in another element type.
   *
   * @param type the wanted type; F32 in this version
   * @return a new tensor that owns its memory, even if the type is the same
   * @throws IllegalArgumentException if the type is not supported
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(DataType type) {
    requireSupported(type);
    return to(layout);
  }

  /**
   * A copy in another physical order.
   *
   * @param wanted the order of the copy
   * @return a new tensor of the same shape that owns its memory, even if the order is the same
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor to(Layout wanted) {
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
    if (target.layout == layout || rank() < 3) {
      floats.copyTo(target.floats);
    } else if (target.layout == Layout.CHANNELS_LAST) {
      Transposition.toChannelsLast(shape, floats, target.floats);
    } else {
      Transposition.toChannelsFirst(shape, floats, target.floats);
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
    long[] extents = newShape.clone();
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

  /** The elements in the shape's order. */
  float[] inOrder() {
    try (Tensor ordered = in(Layout.CHANNELS_FIRST)) {
      return ordered.toArray();
    }
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
      // Cannot fail: this handle holds the storage while it is acquired.
      storage.lifetime.acquire();
      return new Tensor(dataType, order, floats, storage, extents);
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
    return dataType + " " + layout + " " + Arrays.toString(shape);
  }
}
