package io.nativenorm.engine.memory;

import java.nio.FloatBuffer;

/**
 * Access to native floats, one by one or some at once. JavaCPP's indexers do the same over {@code
 * sun.misc.Unsafe}, which makes JDK 24 and later print warnings.
 */
public final class FloatView {
  /** A buffer addresses 2^31 - 1 bytes at most. */
  private static final int PART_BITS = 28;

  private static final int PART = 1 << PART_BITS;

  /** What is copied in one step: 1 MB, since a copy holds off the collector until it is done. */
  private static final int CHUNK = 1 << 18;

  private final FloatBuffer[] parts;

  /** A view of all floats of a memory, which must stay reachable while the view is used. */
  FloatView(Memory memory) {
    long count = memory.floats();
    parts = new FloatBuffer[(int) ((count + PART - 1) >>> PART_BITS)];
    for (int i = 0; i < parts.length; i++) {
      long start = (long) i << PART_BITS;
      parts[i] = memory.buffer(start, (int) Math.min(PART, count - start));
    }
  }

  /**
   * Reads an element.
   *
   * @param index its position
   * @return its value
   */
  public float get(long index) {
    return parts[(int) (index >>> PART_BITS)].get((int) index & PART - 1);
  }

  /**
   * Writes an element.
   *
   * @param index its position
   * @param value its new value
   */
  public void put(long index, float value) {
    parts[(int) (index >>> PART_BITS)].put((int) index & PART - 1, value);
  }

  /**
   * Copies elements out.
   *
   * @param start the first of them
   * @param into where they go, from {@code offset} on
   * @param offset first place in the array
   * @param length how many
   */
  public void read(long start, float[] into, int offset, int length) {
    for (int done = 0; done < length; ) {
      long at = start + done;
      int count = stepFrom(at, length - done);
      parts[(int) (at >>> PART_BITS)].get((int) at & PART - 1, into, offset + done, count);
      done += count;
    }
  }

  /**
   * Copies elements in.
   *
   * @param start the first place for them
   * @param from where they come from, from {@code offset} on
   * @param offset the first of them in the array
   * @param length how many
   */
  public void write(long start, float[] from, int offset, int length) {
    for (int done = 0; done < length; ) {
      long at = start + done;
      int count = stepFrom(at, length - done);
      parts[(int) (at >>> PART_BITS)].put((int) at & PART - 1, from, offset + done, count);
      done += count;
    }
  }

  /** How many floats the next step copies: never over the end of a part. */
  private static int stepFrom(long at, int left) {
    int inPart = PART - ((int) at & PART - 1);
    return Math.min(Math.min(left, CHUNK), inPart);
  }
}
