package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.Conversion;
import io.nativenorm.engine.memory.Longs;
import io.nativenorm.engine.memory.Memory;
import java.nio.FloatBuffer;
import java.util.Objects;
import java.util.function.Consumer;
import org.bytedeco.javacpp.Pointer;
import org.jspecify.annotations.Nullable;

/** The elements of a tensor, for as long as it is not closed. */
abstract sealed class TensorElements extends TensorForm implements AutoCloseable
    permits TensorCopies {
  private final Memory memory;

  /** The memory's, which each tensor on it holds until it is closed. */
  private final Lifetime shared;

  private final Lifetime lifetime;

  /** Takes over one hold on the memory; the shape becomes its own. */
  TensorElements(
      Memory memory, Lifetime shared, Layout layout, long[] shape, @Nullable Pieces pieces) {
    super(memory.type(), layout, shape, pieces);
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
   * @return a pointer to the first element, a FloatPointer, for 16 bits a ShortPointer, for 8 a
   *     BytePointer, or for I64 a LongPointer, with the size as capacity
   * @throws IllegalArgumentException if this does not lie in one piece
   * @throws IllegalStateException if this tensor is closed
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public Pointer pointer() {
    acquire();
    release();
    requirePointers();
    return memory().pointer();
  }

  static void requirePointers() {
    NativeAccess.missing()
        .ifPresent(
            missing -> {
              throw new NativeNormException("there are no pointers here: " + missing);
            });
  }

  /**
   * The elements as a buffer, in memory order (see {@link Tensor#toArray}), live: what is written
   * to one is in the other. The memory is kept as long as the buffer, or one made of it, is
   * reachable, also after this tensor and its layer are closed; wrapped memory is kept as far as
   * wrapping it does.
   *
   * @return a direct buffer from position 0 to the size, read-only if this is on a read-only one
   * @throws IllegalArgumentException if the type is not F32, this does not lie in one piece, or
   *     there are more elements than the 2^31 - 1 bytes that a buffer reaches have room for
   * @throws IllegalStateException if this tensor is closed
   */
  public FloatBuffer buffer() {
    boolean fits = pieces() == null && size() <= Integer.MAX_VALUE / Float.BYTES;
    if (dataType() != DataType.F32 || !fits) {
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
    long offset = offset(index);
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

  /**
   * One element.
   *
   * <pre>{@code
   * float first = tensor.get(0, 0, 0);                 // sample, channel, position: in any layout
   * }</pre>
   *
   * @param index one number for each dimension; none for a scalar
   * @return its value; of 16 bits widened, of I64 rounded to the nearest float
   * @throws IndexOutOfBoundsException if there are more or fewer numbers than dimensions, or one is
   *     not within its extent
   * @throws IllegalStateException if this tensor is closed
   */
  public float get(long... index) {
    long offset = offset(index);
    float[] value = new float[1];
    acquire();
    try {
      Conversion.read(memory, offset, value, 0, 1);
    } finally {
      release();
    }
    return value[0];
  }

  /**
   * Writes one element.
   *
   * @param value what it becomes; rounded to 16 bits where the elements are
   * @param index one number for each dimension; none for a scalar
   * @throws IndexOutOfBoundsException if there are more or fewer numbers than dimensions, or one is
   *     not within its extent
   * @throws IllegalArgumentException if the memory is read-only, or the type is one of whole
   *     numbers and the value is none that it can hold
   * @throws IllegalStateException if this tensor is closed
   */
  public void set(float value, long... index) {
    long offset = offset(index);
    requireWritable();
    float[] values = {value};
    acquire();
    try {
      Conversion.requireHeld(dataType(), values, 1);
      Conversion.write(memory, offset, values, 0, 1);
    } finally {
      release();
    }
  }

  private long offset(long[] index) {
    long[] own = Objects.requireNonNull(index, "index").clone();
    return Pieces.place(pieces(), Shapes.offset(own, extents(), layout()));
  }

  /** The memory for an engine, to be used between {@link #acquire} and {@link #release}. */
  Memory memory() {
    if (pieces() != null) {
      throw new IllegalArgumentException(
          "expected a tensor that lies in one piece, but got "
              + this
              + "; to(layout) copies it into one");
    }
    return memory;
  }

  /** The same of any tensor: from its first element to the last, with what is between pieces. */
  Memory span() {
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

  final void requireWritable() {
    if (isReadOnly()) {
      throw new IllegalArgumentException("the tensor " + this + " is on a read-only buffer");
    }
  }

  final ScaledSum.Elements elements() {
    return new ScaledSum.Elements(span(), pieces(), size());
  }

  /** Uses the memory, during which it is not freed and its arena stays open. */
  final void use(Consumer<Memory> use) {
    acquire();
    try {
      if (memory.isHeld()) {
        ArenaHold.during(new Memory[] {memory}, () -> use.accept(memory.whileHeld()));
      } else {
        use.accept(memory);
      }
    } finally {
      release();
    }
  }

  /**
   * Adds another tensor's elements times a factor to this one's: a step of an optimizer.
   *
   * <pre>{@code
   * norm.weight().addScaled(-0.01f, gradients.weight());
   * }</pre>
   *
   * @param factor what each of the other's elements is multiplied by
   * @param other of the same shape and layout; it may be this tensor, or lie on exactly its memory
   *     in the same type, but not overlap it in part. Both are F32, BF16 or F16, also one of each:
   *     product and sum are floats, and the sum is rounded to 16 bits once where this has 16
   * @throws IllegalArgumentException if the other is of another shape, layout or overlaps this in
   *     part, a type is another one, or this is read-only
   * @throws IllegalStateException if a tensor is closed
   */
  public void addScaled(float factor, Tensor other) {
    Objects.requireNonNull(other, "other");
    requireWritable();
    ScaledSum.requireFit(this, other);
    other.acquire();
    try {
      use(open -> ScaledSum.add(elements().in(open), factor, other.elements()));
    } finally {
      other.release();
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
