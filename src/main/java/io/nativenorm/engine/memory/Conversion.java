package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.FloatBuffer;
import java.util.Arrays;

/** Copies of elements as floats and in other types, each rounded once where it is written. */
public final class Conversion {
  /** Elements that are converted at once: 16 KB of floats. */
  private static final int CHUNK = 1 << 12;

  private Conversion() {}

  /**
   * Copies all elements, bit by bit where the type is the same; each is rounded once.
   *
   * @param from where they are
   * @param to as many, which do not overlap
   * @throws IllegalArgumentException if a whole number of the other type cannot be what an element
   *     is; some were copied then
   */
  public static void copy(Memory from, Memory to) {
    if (from.type() == to.type()) {
      from.copyTo(to);
      return;
    }
    float[] chunk = new float[(int) Math.min(CHUNK, from.elements())];
    for (long at = 0; at < from.elements(); at += chunk.length) {
      int count = (int) Math.min(chunk.length, from.elements() - at);
      if (from.type() == DataType.I64 && to.type() != DataType.F32) {
        Longs.readForRounding(from, at, chunk, count);
      } else {
        read(from, at, chunk, 0, count);
      }
      if (from.type() == DataType.BF16) {
        makeQuiet(chunk, count);
      }
      requireHeld(to.type(), chunk, count);
      write(to, at, chunk, 0, count);
    }
  }

  /** Copies from buffers to buffers. */
  static void copyBits(Memory from, Memory to) {
    boolean ofFloats = Memory.isOfFloats(from.type());
    long all = ofFloats ? from.floats() : from.bytes();
    for (long at = 0; at < all; at += FloatView.PART) {
      int count = (int) Math.min(FloatView.PART, all - at);
      if (ofFloats) {
        to.floats(at, count).put(from.floats(at, count));
      } else {
        to.bytes(at, count).put(from.bytes(at, count));
      }
    }
  }

  /** Sets all elements, or of longs both halves. */
  static void fill(Memory memory, float value) {
    long all = Memory.isOfFloats(memory.type()) ? memory.floats() : memory.elements();
    float[] values = new float[(int) Math.min(all, CHUNK)];
    Arrays.fill(values, value);
    for (long at = 0; at < all; at += values.length) {
      memory.write(at, values, 0, (int) Math.min(values.length, all - at));
    }
  }

  /** BF16 is widened by a shift, which keeps a signaling NaN; F16's view makes it quiet. */
  private static void makeQuiet(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      if (Float.isNaN(values[i])) {
        values[i] = Float.intBitsToFloat(Float.floatToRawIntBits(values[i]) | 0x40_0000);
      }
    }
  }

  /**
   * Whether elements of a type can be what any float is, at most rounded.
   *
   * @param type the type
   * @return false for whole numbers
   */
  public static boolean holdsAnyFloat(DataType type) {
    return type != DataType.I64 && type != DataType.S8 && type != DataType.U8;
  }

  /**
   * Throws unless elements of a type can be what some floats are, at most rounded.
   *
   * @param type the type
   * @param values the floats, from 0 on
   * @param count how many
   * @throws IllegalArgumentException if a whole number of that type cannot be what one of them is
   */
  public static void requireHeld(DataType type, float[] values, int count) {
    for (int i = 0; !holdsAnyFloat(type) && i < count; i++) {
      if (!holds(type, values[i])) {
        throw new IllegalArgumentException(
            (type == DataType.U8 ? "a " : "an ")
                + type
                + " tensor takes whole numbers"
                + (type == DataType.I64
                    ? ""
                    : type == DataType.U8 ? " from 0 to 255" : " from -128 to 127")
                + ", but got "
                + values[i]);
      }
    }
  }

  private static boolean holds(DataType type, float value) {
    return switch (type) {
      case U8 -> Longs.isWhole(value) && value >= 0 && value <= 255;
      case S8 -> Longs.isWhole(value) && value >= Byte.MIN_VALUE && value <= Byte.MAX_VALUE;
      default -> Longs.isWhole(value);
    };
  }

  /**
   * Copies elements out.
   *
   * @param memory where they are
   * @param start the first of them
   * @param into where they go, from {@code offset} on
   * @param offset first place in the array
   * @param count how many
   */
  public static void read(Memory memory, long start, float[] into, int offset, int count) {
    if (memory.type() == DataType.I64) {
      Longs.read(memory, start, into, offset, count);
    } else {
      memory.read(start, into, offset, count);
    }
  }

  /**
   * Copies elements in, each of which must be {@link #requireHeld held}.
   *
   * @param memory where they go
   * @param start the first of them
   * @param from where they are, from {@code offset} on
   * @param offset the first of them in the array
   * @param count how many
   */
  public static void write(Memory memory, long start, float[] from, int offset, int count) {
    if (memory.type() == DataType.I64) {
      Longs.write(memory, start, from, offset, count);
    } else {
      memory.write(start, from, offset, count);
    }
  }

  /**
   * The same from a buffer.
   *
   * @param memory where they go
   * @param start the first of them
   * @param from where they are, from {@code offset} on
   * @param offset the first of them in the buffer
   * @param count how many
   */
  public static void write(Memory memory, long start, FloatBuffer from, int offset, int count) {
    float[] chunk = new float[Math.min(CHUNK, count)];
    for (int done = 0; done < count; done += chunk.length) {
      int length = Math.min(chunk.length, count - done);
      from.get(offset + done, chunk, 0, length);
      write(memory, start + done, chunk, 0, length);
    }
  }
}
