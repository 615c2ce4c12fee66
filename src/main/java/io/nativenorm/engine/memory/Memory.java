package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.Pointer;

/**
 * Elements of one type outside the heap: where they are, how many bytes they take, and what keeps
 * them there. What is read and written here are floats: an element of 16 bits is one, rounded, one
 * of 8 bits a whole number, and an I64 element is two of them, as loads and stores of floats keep
 * all bits.
 */
public final class Memory {
  /**
   * The made-up address of the next memory whose own is unknown. No two such ranges overlap, so
   * that overlaps of operands are found. Nothing reads there: without addresses no native engine is
   * available.
   */
  private static final AtomicLong NEXT_NAME = new AtomicLong(1L << 48);

  /**
   * Floats whose copy through JNI costs less than a {@link #view}, which takes a microsecond: the
   * check of one row's statistics was a third of its time.
   */
  private static final int SHORT = 1 << 10;

  private final long address;
  private final long bytes;
  private final DataType type;

  /** What keeps the memory there, and may end it: a buffer or a pointer, of ours or a caller's. */
  private final Object owner;

  /** What this is the beginning of, whose view serves this too; else null. */
  private final Memory whole;

  /**
   * The memory itself where its address cannot be known: bytes of our own, or a caller's floats;
   * else null.
   */
  private final Buffer buffer;

  /** Made when first asked for; two threads may make two, which are as good. */
  private FloatView view;

  private Memory(
      long address, long bytes, DataType type, Object owner, Memory whole, Buffer buffer) {
    this.address = address;
    this.bytes = bytes;
    this.type = type;
    this.owner = owner;
    this.whole = whole;
    this.buffer = buffer;
  }

  /**
   * Memory at an address.
   *
   * @param address of the first element
   * @param type of the elements
   * @param elements how many there are
   * @param owner the pointer or buffer whose memory this is, or null
   */
  Memory(long address, DataType type, long elements, Object owner) {
    this(address, elements * type.bytes(), type, owner, null, null);
  }

  /** All floats of a direct buffer, whose address JavaCPP tells where it has its library. */
  static Memory of(FloatBuffer direct) {
    return of(direct, DataType.F32, direct.capacity());
  }

  /** The same of the elements of a type that fit into a buffer of bytes, of ours or a caller's. */
  static Memory of(ByteBuffer direct, DataType type) {
    return of(direct, type, direct.capacity() / type.bytes());
  }

  private static Memory of(Buffer direct, DataType type, long elements) {
    if (NativeMemory.HAS_POINTERS) {
      return new Memory(FloatsAt.addressOf(direct), type, elements, ArenaMemory.ownerOf(direct));
    }
    long bytes = elements * type.bytes();
    long name = NEXT_NAME.getAndAdd(bytes + Float.BYTES);
    return new Memory(name, bytes, type, direct, null, direct);
  }

  /**
   * Where the memory is.
   *
   * @return the address of the first element; where addresses cannot be known a number that no
   *     other memory has
   */
  public long address() {
    return address;
  }

  /**
   * The size.
   *
   * @return how many bytes the elements take
   */
  public long bytes() {
    return bytes;
  }

  /**
   * The type.
   *
   * @return that of the elements
   */
  public DataType type() {
    return type;
  }

  /**
   * The number of elements.
   *
   * @return 0 or more
   */
  public long elements() {
    return bytes / type.bytes();
  }

  /**
   * Throws if the owner has ended the memory. Of a buffer an element is read: where the memory is
   * an arena's, that throws once the arena is closed, or on a thread that may not use it. The read
   * takes a nanosecond, also of a buffer without an arena.
   *
   * @param tensor what lies on this memory, for the message
   * @throws IllegalStateException if the memory is gone
   */
  public void requireThere(Object tensor) {
    Keepers.requireThere(owner, tensor);
  }

  /**
   * Whether nobody may write here.
   *
   * @return true on a caller's read-only buffer
   */
  public boolean isReadOnly() {
    return Keepers.isReadOnly(owner);
  }

  /**
   * Whether native code may use this only within {@link ArenaHold#during}.
   *
   * @return true where another thread may end the memory meanwhile, and can be kept from it
   */
  public boolean isHeld() {
    return owner instanceof ArenaMemory;
  }

  /**
   * The same memory within a hold.
   *
   * @return what needs none, as long as it lasts
   */
  public Memory whileHeld() {
    return isHeld() ? new Memory(address, bytes, type, null, null, null) : this;
  }

  /** What is held. */
  Object segment() {
    return ((ArenaMemory) owner).segment();
  }

  /**
   * A part of this memory.
   *
   * @param start first element of the part
   * @param count how many it has
   * @return memory of the same owner
   */
  public Memory slice(long start, long count) {
    long from = start * type.bytes();
    long size = count * type.bytes();
    return new Memory(
        address + from, size, type, owner, null, buffer == null ? null : part(from, size));
  }

  /** Whether Java code may use the address. */
  private boolean isPlain() {
    return buffer == null && !isHeld();
  }

  /** Some bytes where Java code must not use the address, or it cannot be known; else null. */
  private Buffer part(long from, long size) {
    if (owner instanceof ArenaMemory arena) {
      return arena.buffer(address + from, (int) size);
    }
    if (buffer instanceof ByteBuffer own) {
      return own.slice((int) from, (int) size).order(ByteOrder.nativeOrder());
    }
    return buffer == null
        ? null
        : ((FloatBuffer) buffer).slice((int) from / Float.BYTES, (int) size / Float.BYTES);
  }

  /**
   * The beginning of this memory. It shares the {@link #view}, which takes a microsecond to make.
   *
   * @param other the type of its elements
   * @param count how many it has
   * @return memory of the same owner
   */
  public Memory first(DataType other, long count) {
    return new Memory(address, count * other.bytes(), other, owner, this, buffer);
  }

  /**
   * A buffer over the beginning of this memory, for others, who keep it as long as they like.
   *
   * @param count how many floats it has
   * @param release called when neither the buffer nor one made of it is reachable any more. Where
   *     the memory is a buffer itself that cannot be told, and it is never called: the collector
   *     frees such memory when it is not used
   * @return a direct buffer
   */
  public FloatBuffer lend(int count, Runnable release) {
    if (!isPlain()) {
      return floats(0, count);
    }
    FloatBuffer part = Keepers.part(owner, address, count);
    return part == null ? LentBuffers.of(this, count, release) : part;
  }

  /**
   * A pointer for a caller's native code.
   *
   * @return a FloatPointer, for 16 bits a ShortPointer, for 8 a BytePointer, or for I64 a
   *     LongPointer, with the number of elements as capacity, that keeps this reachable
   */
  public Pointer pointer() {
    return switch (type) {
      case F32 -> new FloatsAt(this);
      case BF16, F16 -> new ShortsAt(this);
      case S8, U8 -> new BytesAt(this);
      case I64 -> new LongsAt(this);
    };
  }

  /** A buffer over some floats, at most 2^31 - 1 bytes of them. */
  FloatBuffer floats(long start, int count) {
    Buffer part = part(start * Float.BYTES, (long) count * Float.BYTES);
    if (part == null) {
      return new FloatsAt(address + start * Float.BYTES, count, this).asBuffer();
    }
    return part instanceof ByteBuffer own ? own.asFloatBuffer() : (FloatBuffer) part;
  }

  /** The same of 16-bit elements. */
  ShortBuffer shorts(long start, int count) {
    Buffer part = part(start * Short.BYTES, (long) count * Short.BYTES);
    return part == null
        ? new ShortsAt(address + start * Short.BYTES, count, this).asBuffer()
        : ((ByteBuffer) part).asShortBuffer();
  }

  /** The same of 8-bit elements. */
  ByteBuffer bytes(long start, int count) {
    Buffer part = part(start, count);
    return part == null ? new BytesAt(address + start, count, this).asBuffer() : (ByteBuffer) part;
  }

  /** Whether an element is one float or, as a long is, two. */
  static boolean isOfFloats(DataType type) {
    return type.bytes() >= Float.BYTES;
  }

  /** How many floats the bytes are. */
  long floats() {
    return bytes / Float.BYTES;
  }

  /**
   * Sets all floats.
   *
   * @param value what they become
   */
  public void setAll(float value) {
    if (isPlain() && value == 0) {
      Pointer.memset(new FloatsAt(this), 0, bytes);
      return;
    }
    Conversion.fill(this, value);
  }

  /**
   * Copies all elements.
   *
   * @param target where to, with as many bytes or more
   */
  public void copyTo(Memory target) {
    if (isPlain() && target.isPlain()) {
      Pointer.memcpy(new FloatsAt(target), new FloatsAt(this), bytes);
    } else {
      Conversion.copyBits(this, target);
    }
  }

  /**
   * Float by float access, for as long as this is reachable.
   *
   * @return the same view for every caller: asking again allocates nothing
   */
  public FloatView view() {
    Memory known = whole == null ? this : whole;
    FloatView made = known.view;
    if (made == null || !made.isOf(type)) {
      made = FloatView.of(known, type);
      known.view = made;
    }
    return made;
  }

  /**
   * Copies floats out.
   *
   * @param start the first of them
   * @param into where they go, from {@code offset} on
   * @param offset first place in the array
   * @param length how many
   */
  public void read(long start, float[] into, int offset, int length) {
    boolean fresh = view == null && whole == null && isPlain();
    if (start == 0 && length <= SHORT && fresh && isOfFloats(type)) {
      new FloatsAt(this).get(into, offset, length);
    } else {
      view().read(start, into, offset, length);
    }
  }

  /**
   * Copies floats in.
   *
   * @param start the first place for them
   * @param from where they come from, from {@code offset} on
   * @param offset the first of them in the array
   * @param length how many
   */
  public void write(long start, float[] from, int offset, int length) {
    view().write(start, from, offset, length);
  }
}
