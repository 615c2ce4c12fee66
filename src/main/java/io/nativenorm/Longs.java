package io.nativenorm;

import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import java.nio.ByteOrder;

/**
 * 64-bit integers in memory that is addressed as floats. Loads and stores of floats keep all bits,
 * those of NaN too, on every processor with float registers of 32 bits.
 */
final class Longs {
  /** Which of an element's two floats has its lower bits. */
  private static final int LOW = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? 0 : 1;

  private Longs() {}

  static long get(Memory memory, long index) {
    FloatView halves = memory.view();
    long low = Float.floatToRawIntBits(halves.get(2 * index + LOW)) & 0xFFFF_FFFFL;
    long high = Float.floatToRawIntBits(halves.get(2 * index + 1 - LOW));
    return high << 32 | low;
  }

  static void put(Memory memory, long index, long value) {
    FloatView halves = memory.view();
    halves.put(2 * index + LOW, Float.intBitsToFloat((int) value));
    halves.put(2 * index + 1 - LOW, Float.intBitsToFloat((int) (value >>> 32)));
  }

  /** Whether a float is a whole number that a long can hold. */
  static boolean isWhole(float value) {
    return value == Math.rint(value) && value >= -0x1p63f && value < 0x1p63f;
  }

  /** Copies out, each rounded to the nearest float. */
  static void read(Memory memory, float[] into) {
    for (int i = 0; i < into.length; i++) {
      into[i] = get(memory, i);
    }
  }

  /** Copies whole numbers in, all of them or, if one is none, nothing. */
  static void write(Memory memory, float[] from) {
    for (float value : from) {
      if (!isWhole(value)) {
        throw new IllegalArgumentException("an I64 tensor takes whole numbers, but got " + value);
      }
    }
    for (int i = 0; i < from.length; i++) {
      put(memory, i, (long) from[i]);
    }
  }
}
