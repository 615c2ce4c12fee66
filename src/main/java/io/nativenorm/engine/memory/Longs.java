package io.nativenorm.engine.memory;

import java.nio.ByteOrder;

/**
 * 64-bit integers in memory that is addressed as floats. Loads and stores of floats keep all bits,
 * those of NaN too, on every processor with float registers of 32 bits.
 */
public final class Longs {
  /** Which of an element's two floats has its lower bits. */
  private static final int LOW = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? 0 : 1;

  private Longs() {}

  /**
   * Reads an element.
   *
   * @param memory of longs
   * @param index its position
   * @return its value
   */
  public static long get(Memory memory, long index) {
    FloatView halves = memory.view();
    long low = Float.floatToRawIntBits(halves.get(2 * index + LOW)) & 0xFFFF_FFFFL;
    long high = Float.floatToRawIntBits(halves.get(2 * index + 1 - LOW));
    return high << 32 | low;
  }

  /**
   * Writes an element.
   *
   * @param memory of longs
   * @param index its position
   * @param value its new value
   */
  public static void put(Memory memory, long index, long value) {
    FloatView halves = memory.view();
    halves.put(2 * index + LOW, Float.intBitsToFloat((int) value));
    halves.put(2 * index + 1 - LOW, Float.intBitsToFloat((int) (value >>> 32)));
  }

  /**
   * Whether a long can be what a float is.
   *
   * @param value any float
   * @return true for a whole number within the range of longs
   */
  public static boolean isWhole(float value) {
    return value == Math.rint(value) && value >= -0x1p63f && value < 0x1p63f;
  }

  /** Copies some elements out, each rounded to the nearest float. */
  static void read(Memory memory, long start, float[] into, int offset, int count) {
    for (int i = 0; i < count; i++) {
      into[offset + i] = get(memory, start + i);
    }
  }

  /**
   * Copies some elements out to be rounded once more, to a type of 16 bits: each that no float is
   * becomes the one towards 0 or the one after it, whichever has an odd last bit. So it keeps the
   * side of a tie that it is on, where the nearest float may be the tie itself.
   */
  static void readForRounding(Memory memory, long start, float[] into, int count) {
    for (int i = 0; i < count; i++) {
      into[i] = odd(get(memory, start + i));
    }
  }

  private static float odd(long value) {
    float nearest = (float) value;
    long back = (long) nearest; // of 2^63, which is nearest to the last longs, the last long
    if (back == value) {
      return nearest;
    }
    boolean isAway = value < 0 ? back < value : back > value;
    int bits = Float.floatToRawIntBits(nearest);
    return Float.intBitsToFloat((isAway ? bits - 1 : bits) | 1);
  }

  /** Copies whole numbers in. */
  static void write(Memory memory, long start, float[] from, int offset, int count) {
    for (int i = 0; i < count; i++) {
      put(memory, start + i, (long) from[offset + i]);
    }
  }
}
