package io.nativenorm.engine;

import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Floats at an address, with position 0 and a known number. JavaCPP's own ways from one pointer or
 * buffer to another keep the position, unscaled where the type differs: {@code new FloatPointer} of
 * a FloatBuffer at position 7 reads 7 bytes, not 7 floats, from its start (1.5.13).
 */
public final class NativeFloats extends FloatPointer {
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

  /** As many as are written in one step: 64 KB. */
  private static final int FILLED = 1 << 14;

  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final Object owner;

  /** What this is the beginning of, whose view serves this too; else null. */
  private final NativeFloats whole;

  /** The memory itself where its address cannot be known; else null. */
  private final FloatBuffer buffer;

  /** Made when first asked for; two threads may make two, which are as good. */
  private FloatView view;

  /**
   * Creates a pointer.
   *
   * @param address of the first float
   * @param count how many there are
   * @param owner what the memory belongs to, or null
   */
  public NativeFloats(long address, long count, Object owner) {
    this(address, count, owner, null);
  }

  private NativeFloats(long address, long count, Object owner, NativeFloats whole) {
    this(address, count, owner, whole, null);
  }

  private NativeFloats(
      long address, long count, Object owner, NativeFloats whole, FloatBuffer buffer) {
    super((Pointer) null);
    this.address = address;
    this.limit = count;
    this.capacity = count;
    this.owner = owner;
    this.whole = whole;
    this.buffer = buffer;
  }

  /**
   * The remaining floats of a direct buffer.
   *
   * @param direct a direct buffer
   * @return a pointer that keeps the buffer reachable
   */
  static NativeFloats of(FloatBuffer direct) {
    long start = getDirectBufferAddress(direct);
    long from = start + (long) direct.position() * Float.BYTES;
    return new NativeFloats(from, direct.remaining(), direct);
  }

  /** All of a direct buffer, where JavaCPP has no library to tell its address. */
  static NativeFloats withoutAddress(FloatBuffer direct) {
    long count = direct.capacity();
    long name = NEXT_NAME.getAndAdd((count + 1) * Float.BYTES);
    return new NativeFloats(name, count, null, null, direct);
  }

  /**
   * A part of this memory.
   *
   * @param start first float of the part
   * @param count how many it has
   * @return a pointer that keeps the same owner reachable
   */
  public NativeFloats slice(long start, long count) {
    FloatBuffer part = buffer == null ? null : buffer.slice((int) start, (int) count);
    return new NativeFloats(address + start * Float.BYTES, count, owner, null, part);
  }

  /**
   * The beginning of this memory. It shares the {@link #view}, which takes a microsecond to make.
   *
   * @param count how many floats it has
   * @return a pointer that keeps this reachable
   */
  public NativeFloats first(long count) {
    return new NativeFloats(address, count, owner, this, buffer);
  }

  /** Tells when buffers that were lent are gone; its thread begins with the first. */
  private static final class Lent {
    static final Cleaner CLEANER = Cleaner.create();

    private Lent() {}
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
    if (buffer != null) {
      return buffer.slice(0, count);
    }
    // All that is made of it refers to this first one: JDK 17 to 25 keep it as their attachment.
    ByteBuffer first = asByteBuffer();
    Lent.CLEANER.register(first, release);
    return first.asFloatBuffer().slice(0, count);
  }

  /** A buffer over all of this memory, at most 2^31 - 1 bytes. */
  FloatBuffer buffer() {
    return buffer == null ? asBuffer() : buffer;
  }

  /**
   * Sets all floats.
   *
   * @param value what they become
   */
  public void setAll(float value) {
    if (buffer == null && value == 0) {
      memset(this, 0, capacity * Float.BYTES);
      return;
    }
    float[] values = new float[(int) Math.min(capacity, FILLED)];
    Arrays.fill(values, value);
    for (long i = 0; i < capacity; i += values.length) {
      write(i, values, 0, (int) Math.min(values.length, capacity - i));
    }
  }

  /**
   * Copies all floats.
   *
   * @param target where to, with as many floats
   */
  public void copyTo(NativeFloats target) {
    if (buffer == null) {
      memcpy(target, this, capacity * Float.BYTES);
    } else {
      target.buffer.put(0, buffer, 0, (int) capacity);
    }
  }

  /**
   * Element by element access, for as long as this is reachable.
   *
   * @return the same view for every caller: asking again allocates nothing
   */
  public FloatView view() {
    if (whole != null) {
      return whole.view();
    }
    FloatView made = view;
    if (made == null) {
      made = new FloatView(this);
      view = made;
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
    if (start == 0 && length <= SHORT && view == null && whole == null && buffer == null) {
      get(into, offset, length);
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
