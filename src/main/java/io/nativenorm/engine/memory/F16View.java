package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/**
 * IEEE 754 binary16: 5 bits of exponent, 10 of fraction. Java has its conversions from release 20
 * on.
 */
final class F16View extends SixteenBitView {
  /** Bits that a float's fraction has more. */
  private static final int MORE = 23 - 10;

  /** What a float's exponent has more added to it, in place. */
  private static final int BIAS = 127 - 15 << 23;

  private static final int INFINITY = 0x7C00;
  private static final int QUIET = 0x200;

  /** The bits of floats: of infinity, of what is nearer to 2^16 than to 65504, and of 2^-14. */
  private static final int INFINITE_FLOAT = 0xFF << 23;

  private static final int TOO_LARGE = Float.floatToRawIntBits(65520);
  private static final int LEAST_NORMAL = Float.floatToRawIntBits(0x1p-14f);

  /** The exponent of a float of 24 bits whose last is 2^-24, the least number of these. */
  private static final int SUBNORMAL_EXPONENT = 127 - 24 + 23;

  F16View(Memory memory) {
    super(memory);
  }

  @Override
  boolean isOf(DataType type) {
    return type == DataType.F16;
  }

  @Override
  float widen(short bits) {
    int sign = (bits & 0x8000) << 16;
    int size = bits & 0x7FFF;
    int wide;
    if (size >= INFINITY) {
      wide = INFINITE_FLOAT | (size > INFINITY ? size | QUIET : size) << MORE;
    } else if (size >= 1 << 10) {
      wide = (size << MORE) + BIAS;
    } else {
      wide = Float.floatToRawIntBits(size * 0x1p-24f);
    }
    return Float.intBitsToFloat(sign | wide);
  }

  /** A NaN stays one: it is cut off, and made quiet as a conversion does. */
  @Override
  short round(float value) {
    int bits = Float.floatToRawIntBits(value);
    int size = bits & 0x7FFF_FFFF;
    int half;
    if (size > INFINITE_FLOAT) {
      half = INFINITY | QUIET | (size >>> MORE & 0x3FF);
    } else if (size >= TOO_LARGE) {
      half = INFINITY;
    } else if (size >= LEAST_NORMAL) {
      half = shifted(size - BIAS, MORE);
    } else {
      // Below half of the least number nothing is left, whatever the fraction is.
      int shift = SUBNORMAL_EXPONENT - (size >>> 23);
      half = shift > 24 ? 0 : shifted(size & 0x7F_FFFF | 1 << 23, shift);
    }
    return (short) (bits >>> 16 & 0x8000 | half);
  }

  /** Without its last bits, rounded to the nearest, ties to even. */
  private static int shifted(int bits, int shift) {
    return bits + (1 << shift - 1) - 1 + (bits >>> shift & 1) >>> shift;
  }
}
