// IEEE 754's binary16, for plain loops; kernels have it as vectors of floats (storage-inl.h).
#ifndef NATIVENORM_F16_H_
#define NATIVENORM_F16_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace nn {

struct f16 {
  uint16_t bits;

  f16() = default;
  // Rounded to the nearest, ties to even; from 65520 on to infinity. A NaN stays one, and quiet.
  explicit f16(float value) {
    const float size = fabsf(value);
    const uint32_t all = BitsOf(size), sign = BitsOf(value) >> 16 & 0x8000;
    uint32_t half;
    if (size != size) {
      half = 0x7E00 | (all >> 13 & 0x3FF);
    } else if (size >= 65520) {
      half = 0x7C00;
    } else if (size < 0x1p-14f) {
      half = BitsOf(size + 0.5f) - BitsOf(0.5f);  // 0.5's last bit is 2^-24, the smallest number
    } else {
      half = (all - kMoreBias + 0xFFF + (all >> 13 & 1)) >> 13;
    }
    bits = static_cast<uint16_t>(sign | half);
  }
  // By way of a float, as kernels round.
  explicit f16(double value) : f16(static_cast<float>(value)) {}

  operator float() const {
    const uint32_t size = bits & 0x7FFF, sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    // Multiplied, subnormal numbers become normal ones.
    const uint32_t wide = size >= 0x7C00 ? 0x7F800000 | size << 13 : BitsOf(FloatOf(size << 13) * 0x1p112f);
    return FloatOf(sign | wide);
  }

 private:
  static constexpr uint32_t kMoreBias = (127 - 15) << 23;  // of a float's exponent

  static uint32_t BitsOf(float value) {
    uint32_t found;
    memcpy(&found, &value, sizeof found);
    return found;
  }
  static float FloatOf(uint32_t bits) {
    float found;
    memcpy(&found, &bits, sizeof found);
    return found;
  }
};

}  // namespace nn

#endif  // NATIVENORM_F16_H_
