package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.memory.Conversion;
import io.nativenorm.engine.memory.Longs;
import io.nativenorm.engine.memory.Memory;
import java.nio.FloatBuffer;
import java.util.Objects;
import org.bytedeco.javacpp.Pointer;

/** The elements of a tensor, for as long as it is not closed. */
abstract sealed class TensorElements extends TensorForm implements AutoCloseable
    permits TensorCopies {
  private final Memory memory;

  /** The memory's, which each tensor on it holds until it is closed. */
  private final Lifetime shared;

  private final Lifetime lifetime;

  /** Takes over one hold on the memory; the shape becomes its own. */
  TensorElements(Memory memory, Lifetime shared, Layout layout, long[] shape) {
    super(memory.type(), layout, shape);
    this.memory = memory;
    this.shared = shared;
    this.lifetime = new Lifetime(shared::release);
  }

  /**
   * The memory itself, for native code. It is valid until this tensor is closed, and only while the
   * pointer itself, or this tensor, is reachable: what is made of the pointer, such as its {@code
   * asBuffer()}, another pointer or an indexer, does not keep the memory, which then is the next
   * tensor's. {@link #buffer()} does.
   *
   * @return a pointer to the first element, a FloatPointer, for 16 bits a ShortPointer, or for I64
   *     a LongPointer, with the size as capacity
   * @throws IllegalStateException if this tensor is closed
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public Pointer pointer() {
    acquire();
    release();
    requirePointers();
    return memory.pointer();
  }

  static void requirePointers() {
    NativeAccess.missing()
        .ifPresent(
            missing -> {
              throw new NativeNormException("there are no pointers here: " + missing);
            });
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
    if (dataType() != DataType.F32 || size() > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException("a FloatBuffer cannot hold the tensor " + this);
    }
    acquire();
    try {
      return lend(shareMemory());
    } finally {
      release();
    }
  }

  private FloatBuffer lend(Lifetime held) {
    try {
      return memory.lend((int) size(), held::release);
    } catch (RuntimeException | Error e) {
      held.release();
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
    long offset =
        Shapes.offset(Objects.requireNonNull(index, "index").clone(), extents(), layout());
    if (dataType() != DataType.I64) {
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

  /** One more hold on the memory, which is in use. */
  Lifetime shareMemory() {
    shared.acquire();
    return shared;
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
   * @throws IllegalArgumentException if there are more or fewer, the memory is read-only, or this
   *     is an I64 tensor and one is not a whole number that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public void copyFrom(float[] values) {
    Objects.requireNonNull(values, "values");
    requireLength(values.length, size(), "values");
    if (isReadOnly()) {
      throw new IllegalArgumentException("the tensor " + this + " is on a read-only buffer");
    }
    acquire();
    try {
      // Whether longs can be what they are is looked at before they are written.
      float[] own = dataType() == DataType.I64 ? values.clone() : values;
      Conversion.write(memory, 0, own, own.length);
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
    requireLength(values.length, size(), "places");
    acquire();
    try {
      Conversion.read(memory, 0, values, values.length);
    } finally {
      release();
    }
  }

  static void requireLength(long length, long size, String what) {
    if (length != size) {
      throw new IllegalArgumentException(
          "expected " + size + " " + what + " for the tensor's elements, but got " + length);
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
}
