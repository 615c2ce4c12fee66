package io.nativenorm.engine;

import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Floats at an address, with position 0 and a known number. JavaCPP's own ways from one pointer or
 * buffer to another keep the position, unscaled where the type differs: {@code new FloatPointer} of
 * a FloatBuffer at position 7 reads 7 bytes, not 7 floats, from its start (1.5.13).
 */
public final class NativeFloats extends FloatPointer {
  /** Keeps the memory from being collected while this is reachable. */
  @SuppressWarnings("unused") // reachability is its use
  private final Object owner;

  /** What this is the beginning of, whose view serves this too; else null. */
  private final NativeFloats whole;

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
    super((Pointer) null);
    this.address = address;
    this.limit = count;
    this.capacity = count;
    this.owner = owner;
    this.whole = whole;
  }

  /**
   * The remaining floats of a direct buffer.
   *
   * @param direct a direct buffer
   * @return a pointer that keeps the buffer reachable
   */
  public static NativeFloats of(FloatBuffer direct) {
    long start = getDirectBufferAddress(direct);
    long from = start + (long) direct.position() * Float.BYTES;
    return new NativeFloats(from, direct.remaining(), direct);
  }

  /**
   * A part of this memory.
   *
   * @param start first float of the part
   * @param count how many it has
   * @return a pointer that keeps the same owner reachable
   */
  public NativeFloats slice(long start, long count) {
    return new NativeFloats(address + start * Float.BYTES, count, owner);
  }

  /**
   * The beginning of this memory. It shares the {@link #view}, which takes a microsecond to make.
   *
   * @param count how many floats it has
   * @return a pointer that keeps this reachable
   */
  public NativeFloats first(long count) {
    return new NativeFloats(address, count, owner, this);
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
    view().read(start, into, offset, length);
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
