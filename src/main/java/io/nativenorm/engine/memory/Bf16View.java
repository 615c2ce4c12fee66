package io.nativenorm.engine.memory;

import java.nio.ShortBuffer;

/** bfloat16, the upper half of a float: widened exactly, rounded to the nearest, ties to even. */
final class Bf16View extends FloatView {
  private static final int QUIET = 0x40;

  private final ShortBuffer[] parts;

  Bf16View(Memory memory) {
    long count = memory.bytes() / Short.BYTES;
    parts = new ShortBuffer[parts(count)];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = memory.shorts(startOf(i), lengthOf(i, count));
    }
  }

  private static float widen(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** A NaN stays one: it is cut off, and made quiet as a conversion does. */
  private static short round(float value) {
    int bits = Float.floatToRawIntBits(value);
    int upper = bits >>> 16;
    return (short) (Float.isNaN(value) ? upper | QUIET : (bits + 0x7FFF + (upper & 1)) >>> 16);
  }

  @Override
  public float get(long index) {
    return widen(parts[part(index)].get(inPart(index)));
  }

  @Override
  public void put(long index, float value) {
    parts[part(index)].put(inPart(index), round(value));
  }

  @Override
  void readPart(int part, int start, float[] into, int offset, int length) {
    ShortBuffer from = parts[part];
    for (int i = 0; i < length; i++) {
      into[offset + i] = widen(from.get(start + i));
    }
  }

  @Override
  void writePart(int part, int start, float[] from, int offset, int length) {
    ShortBuffer to = parts[part];
    for (int i = 0; i < length; i++) {
      to.put(start + i, round(from[offset + i]));
    }
  }
}
