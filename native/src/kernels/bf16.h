// bfloat16, the upper half of a float, for plain loops; kernels have it as vectors of floats (storage-inl.h).
#ifndef NATIVENORM_BF16_H_
#define NATIVENORM_BF16_H_

#include <stdint.h>
#include <string.h>

namespace nn {

struct bf16 {
  uint16_t bits;

  bf16() = default;
  // Rounded to the nearest, ties to even. A NaN is cut off, and made quiet as a conversion does.
  explicit bf16(float value) {
    uint32_t all;
    memcpy(&all, &value, sizeof all);
    const uint32_t upper = all >> 16;
    bits = static_cast<uint16_t>(value != value ? upper | 0x40 : (all + 0x7FFF + (upper & 1)) >> 16);
  }
  // By way of a float, as kernels round.
  explicit bf16(double value) : bf16(static_cast<float>(value)) {}

  operator float() const {
    const uint32_t all = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &all, sizeof value);
    return value;
  }
};

}  // namespace nn

#endif  // NATIVENORM_BF16_H_
