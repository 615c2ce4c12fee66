package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/**
 * Access to native elements as floats, one by one or some at once; the memory must stay reachable
 * while its view is used. JavaCPP's indexers do the same over {@code sun.misc.Unsafe}, which makes
 * JDK 24 and later print warnings.
 */
public abstract class FloatView {
  /** Elements of a buffer, which addresses 2^31 - 1 bytes at most: 2^28. */
  private static final int PART_BITS = 28;

  static final int PART = 1 << PART_BITS;

  /** What is copied in one step: 1 MB, since a copy holds off the collector until it is done. */
  private static final int CHUNK = 1 << 18;

  FloatView() {}

  /** A view of memory whose elements are of a type. */
  static FloatView of(Memory memory, DataType type) {
    return switch (type) {
      case BF16 -> new Bf16View(memory);
      case F16 -> new F16View(memory);
      case S8, U8 -> new ByteView(memory, type);
      case F32, I64 -> new F32View(memory);
    };
  }

  /** Whether elements of a type are read and written as this does it. */
  abstract boolean isOf(DataType type);

  /** How many parts so many elements have. */
  static int parts(long count) {
    return (int) ((count + PART - 1) >>> PART_BITS);
  }

  /** Which part an element is in. */
  static int part(long index) {
    return (int) (index >>> PART_BITS);
  }

  /** Where in its part an element is. */
  static int inPart(long index) {
    return (int) index & PART - 1;
  }

  /** The first element of a part. */
  static long startOf(int part) {
    return (long) part << PART_BITS;
  }

  /** How many of so many elements a part has. */
  static int lengthOf(int part, long count) {
    return (int) Math.min(PART, count - startOf(part));
  }

  /**
   * Reads an element.
   *
   * @param index its position
   * @return its value
   */
  public abstract float get(long index);

  /**
   * Writes an element.
   *
   * @param index its position
   * @param value its new value
   */
  public abstract void put(long index, float value);

  /** Writes an element of another such view, bit by bit. */
  abstract void move(long index, FloatView from, long at);

  /**
   * Copies elements out.
   *
   * @param start the first of them
   * @param into where they go, from {@code offset} on
   * @param offset first place in the array
   * @param length how many
   */
  public final void read(long start, float[] into, int offset, int length) {
    for (int done = 0; done < length; ) {
      long at = start + done;
      int count = stepFrom(at, length - done);
      readPart(part(at), inPart(at), into, offset + done, count);
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
  public final void write(long start, float[] from, int offset, int length) {
    for (int done = 0; done < length; ) {
      long at = start + done;
      int count = stepFrom(at, length - done);
      writePart(part(at), inPart(at), from, offset + done, count);
      done += count;
    }
  }

  abstract void readPart(int part, int start, float[] into, int offset, int length);

  abstract void writePart(int part, int start, float[] from, int offset, int length);

  /** How many elements the next step copies: never over the end of a part. */
  private static int stepFrom(long at, int left) {
    return Math.min(Math.min(left, CHUNK), PART - inPart(at));
  }
}
