package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/** bfloat16: the upper half of a float. */
final class Bf16View extends SixteenBitView {
  private static final int QUIET = 0x40;

  Bf16View(Memory memory) {
    super(memory);
  }

  @Override
  boolean isOf(DataType type) {
    return type == DataType.BF16;
  }

  @Override
  float widen(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** A NaN stays one: it is cut off, and made quiet as a conversion does. */
  @Override
  short round(float value) {
    int bits = Float.floatToRawIntBits(value);
    int upper = bits >>> 16;
    return (short) (Float.isNaN(value) ? upper | QUIET : (bits + 0x7FFF + (upper & 1)) >>> 16);
  }
}
