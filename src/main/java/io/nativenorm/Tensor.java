package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.memory.ArenaHold;
import io.nativenorm.engine.memory.ForeignMemory;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Objects;
import org.bytedeco.javacpp.Pointer;
import org.jspecify.annotations.Nullable;

/**
 * An array outside the Java heap, dense but for the ranges that {@link #narrow} makes. Shapes are
 * logical, N, C, then spatial; the {@link Layout} says in which order the elements lie in memory.
 * What NativeNorm allocates is 64-byte aligned; wrapped memory may lie anywhere.
 *
 * <pre>{@code
 * FloatBuffer pixels =
 *     ByteBuffer.allocateDirect(4 * 2 * 3 * 8 * 8).order(ByteOrder.nativeOrder()).asFloatBuffer();
 * try (Tensor made = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
 *     Tensor images = Tensor.wrap(pixels, 2, 3, 8, 8);        // no copy
 *     Tensor nhwc = images.to(Layout.CHANNELS_LAST);          // a copy in another order
 *     Tensor half = made.to(DataType.BF16)) {                 // a copy of another type
 *   half.set(7, 1, 2);
 *   System.out.println(Arrays.toString(half.toArray()));      // 1, 2, 3, 4, 5, 7
 * }
 * }</pre>
 *
 * <p>Closing gives back memory that NativeNorm allocated, as soon as no call and no other tensor on
 * the same memory uses it. It is kept for the next tensors of the process, up to a bound (see
 * {@link NativeNorm}), until nobody has used it for some five seconds, or an allocation would fail
 * otherwise. A tensor that is dropped without closing is freed some time after a garbage
 * collection. Using a closed tensor throws {@link IllegalStateException}. Tensors may be shared
 * between threads, their elements only as plain memory may.
 *
 * <p>Layers compute on {@link DataType#F32}, {@link DataType#BF16} and {@link DataType#F16}, and
 * keep counts as {@link DataType#I64}; tensors of {@link DataType#U8} and {@link DataType#S8}, such
 * as images and masks, are allocated, copied, read and written, and {@link #to} makes others of
 * them. Whatever a tensor's type, a layer computes floats and rounds each result once. Floats that
 * are copied into a tensor of 16 bits are rounded to the nearest of its numbers, ties to even, in
 * F16 from 65520 on to infinity; those copied out of an I64 tensor are its elements rounded to the
 * nearest float, and those copied into one of whole numbers must be some that it has.
 */
public final class Tensor extends TensorViews {
  /** Takes over one hold on the memory; the shape becomes its own. */
  Tensor(Memory memory, Lifetime shared, Layout layout, long[] shape, @Nullable Pieces pieces) {
    super(memory, shared, layout, shape, pieces);
  }

  /** On memory that a caller frees. */
  private static Tensor onForeign(Memory memory, Layout layout, long[] shape) {
    if (memory.isHeld()) {
      ArenaHold.missing()
          .ifPresent(
              missing -> {
                throw new NativeNormException(
                    "an arena cannot be held open during calls here: " + missing);
              });
    }
    return TensorScope.made(new Tensor(memory, new Lifetime(() -> {}), layout, shape, null));
  }

  /**
   * A new tensor of zeros.
   *
   * @param type element type
   * @param layout order of the elements
   * @param shape logical extents, each 0 or more
   * @return a tensor that owns its memory
   * @throws IllegalArgumentException if an extent is negative or there are too many elements
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
    long size = Shapes.size(shape);
    PooledMemory own = MemoryPool.take(type, size);
    return new Tensor(own.first(type, size), new Lifetime(own::close), layout, shape, null);
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
   * <p>On memory of a {@code java.lang.foreign.Arena} (JDK 22 and later) the tensor can be used as
   * the buffer can: once the arena is closed, or on a thread that may not use it, whatever uses the
   * elements throws what the buffer's own {@code get} does. While a call uses them the arena is
   * held open, for 0.2 us more a call: its {@code close} throws {@link IllegalStateException}. A
   * mapped file must keep its length: if it is cut while it is used here, the operating system ends
   * the process (SIGBUS).
   *
   * @param direct a direct buffer in native byte order; if it is read-only, layers only read it
   * @param shape logical extents, with at most as many elements as the buffer has remaining
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the buffer is not direct, not in native order or too short
   * @throws IllegalStateException if the arena of its memory is closed
   * @throws NativeNormException if arenas cannot be held open in this process
   */
  public static Tensor wrap(FloatBuffer direct, long... shape) {
    return wrap(direct, Layout.CHANNELS_FIRST, shape);
  }

  /**
   * The same in either order, as {@link #wrap(FloatBuffer, long...)} makes it.
   *
   * @param direct a direct buffer in native byte order; if it is read-only, layers only read it
   * @param layout order of the elements
   * @param shape logical extents, with at most as many elements as the buffer has remaining
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the buffer is not direct, not in native order or too short
   * @throws IllegalStateException if the arena of its memory is closed
   * @throws NativeNormException if arenas cannot be held open in this process
   */
  public static Tensor wrap(FloatBuffer direct, Layout layout, long... shape) {
    Objects.requireNonNull(direct, "direct");
    Objects.requireNonNull(layout, "layout");
    long[] extents = ownCopy(shape);
    return onForeign(ForeignMemory.of(direct, Shapes.size(extents)), layout, extents);
  }

  /**
   * A tensor on a buffer's memory from its position on, as {@link #wrap(FloatBuffer, long...)}
   * makes it.
   *
   * @param direct a direct buffer in native byte order, which a new ByteBuffer is not: {@code
   *     order(ByteOrder.nativeOrder())}, but for elements of 8 bits; aligned to the size of an
   *     element at its position; if it is read-only, layers only read it
   * @param type element type
   * @param layout order of the elements
   * @param shape logical extents, with at most as many elements as the buffer has room for from its
   *     position to its limit
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the buffer is not direct, not in native order, not aligned
   *     or too short
   * @throws IllegalStateException if the arena of its memory is closed
   * @throws NativeNormException if arenas cannot be held open in this process
   */
  public static Tensor wrap(ByteBuffer direct, DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(direct, "direct");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = ownCopy(shape);
    return onForeign(ForeignMemory.of(direct, type, Shapes.size(extents)), layout, extents);
  }

  /**
   * A tensor on memory that the caller owns, from the pointer's position on. Nothing is copied. The
   * memory must stay valid while the tensor is used; the pointer stays reachable while the tensor
   * is, and using the tensor after {@code memory.close()} throws. What else ends the memory cannot
   * be seen here: another pointer to it, the arena of a buffer it was taken from, or a mapped file
   * that is cut, for which the operating system ends the process (SIGBUS).
   *
   * @param memory where the elements are, aligned to their size
   * @param type element type
   * @param layout order of the elements
   * @param shape logical extents
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the pointer's address is 0; if its capacity is known and
   *     position, limit or shape go beyond it. Unknown is the capacity of an address that native
   *     code gave, as {@code Pointer.malloc} does: such memory is taken to be as large as the shape
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no pointers
   */
  public static Tensor wrap(Pointer memory, DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(memory, "memory");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = ownCopy(shape);
    requirePointers();
    return onForeign(ForeignMemory.of(memory, type, Shapes.size(extents)), layout, extents);
  }

  /**
   * A tensor on memory at an address that the caller knows. Nothing is copied; the owner stays
   * reachable while the tensor is. Of a mapped file of any size, on JDK 22 and later:
   *
   * <pre>{@code
   * try (Arena arena = Arena.ofShared()) {                    // JDK 22 and later
   *   MemorySegment file = channel.map(READ_ONLY, 0, channel.size(), arena);
   *   long start = file.address() + offset;
   *   Tensor weights = Tensor.wrap(start, file, DataType.BF16, Layout.CHANNELS_FIRST, 64, 768);
   * }
   * }</pre>
   *
   * <p>An owner that can tell is asked. Of a {@code java.lang.foreign.MemorySegment}, on JDK 22 and
   * later, and of a direct buffer the memory must be a part, and it ends as {@link
   * #wrap(FloatBuffer, long...)} says: with the segment's arena, which is held open during a call.
   * If it is read-only, so is the tensor. A {@link Pointer} tells whether it was closed, when a
   * call begins. Of any other owner, and of segments before JDK 22, where they were previews,
   * nothing is known: the memory must be there, and of the size that the shape says, while the
   * tensor is used.
   *
   * @param address of the first element, aligned to its size
   * @param owner what keeps the memory there
   * @param type element type
   * @param layout order of the elements
   * @param shape logical extents
   * @return a tensor on that memory
   * @throws IllegalArgumentException if the address is 0 or not aligned; if the owner is a segment
   *     or buffer on the Java heap, or such that the shape's memory is no part of its own
   * @throws IllegalStateException if the arena of the memory, or a pointer that owns it, is closed
   * @throws NativeNormException if JavaCPP's library is missing, so that there are no addresses, or
   *     if arenas cannot be held open in this process
   */
  public static Tensor wrap(
      long address, Object owner, DataType type, Layout layout, long... shape) {
    Objects.requireNonNull(owner, "owner");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(layout, "layout");
    long[] extents = ownCopy(shape);
    requirePointers();
    return onForeign(ForeignMemory.at(address, owner, type, Shapes.size(extents)), layout, extents);
  }
}
