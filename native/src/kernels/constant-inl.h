// What kernels share: sums for gradients of constant units, where x is its mean everywhere. With g = dy * weight, dx =
// (g - sum(g) / n) / sqrt(eps) is 0 for a g that is constant too. In floats it would be the sum's rounding over
// sqrt(eps), so sums are in doubles. Such units are common (padding of a batch, channels whose activation is 0): by
// ExactBackward, layer normalization of 128x768 took 20 times as long as of others, batch normalization of 16x28x28x64
// 50 times (AVX2).
#ifndef NATIVENORM_CONSTANT_INL_H_
#define NATIVENORM_CONSTANT_INL_H_

#include "kernels/accumulators-inl.h"
#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

// sum(dy) or sum(dy * weight) over a piece in doubles, in which products of floats are exact: 32 accumulators of them.
class DoubleSum {
 public:
  HWY_INLINE DoubleSum() {
    Repeat<2 * kSumVectors>([&](auto k) NN_INLINED { accumulators_[k.value] = hn::Zero(kDoubles); });
  }

  template <size_t kIndex>
  HWY_INLINE void Add(Index<kIndex>, Floats v) {
    accumulators_[2 * kIndex] = hn::Add(accumulators_[2 * kIndex], LowerDoubles(v));
    accumulators_[2 * kIndex + 1] = hn::Add(accumulators_[2 * kIndex + 1], UpperDoubles(v));
  }
  template <size_t kIndex>
  HWY_INLINE void AddProduct(Index<kIndex>, Floats a, Floats b) {
    accumulators_[2 * kIndex] = hn::MulAdd(LowerDoubles(a), LowerDoubles(b), accumulators_[2 * kIndex]);
    accumulators_[2 * kIndex + 1] = hn::MulAdd(UpperDoubles(a), UpperDoubles(b), accumulators_[2 * kIndex + 1]);
  }

  // f[j] = (d[j] + d[16 + j]) + (d[8 + j] + d[24 + j]), t[j] = f[j] + f[4 + j], (t[0] + t[1]) + (t[2] + t[3])
  HWY_INLINE double Total() const {
    HWY_ALIGN double d[kAccumulators];
    Repeat<2 * kSumVectors>([&](auto k) NN_INLINED {
      hn::Store(accumulators_[k.value], kDoubles, d + k.value * hn::Lanes(kDoubles));
    });
    double t[4];
    for (size_t j = 0; j < 4; ++j) {
      t[j] = ((d[j] + d[16 + j]) + (d[8 + j] + d[24 + j])) + ((d[4 + j] + d[20 + j]) + (d[12 + j] + d[28 + j]));
    }
    return (t[0] + t[1]) + (t[2] + t[3]);
  }

 private:
  Doubles accumulators_[2 * kSumVectors];
};

// Whether all x are the center.
class Sameness {
 public:
  HWY_INLINE explicit Sameness(float center) : center_(hn::Set(kFloats, center)) {
    Repeat<kSumVectors>([&](auto k) NN_INLINED { bits_[k.value] = hn::Zero(kFloats); });
  }

  template <size_t kIndex, class Lanes>
  HWY_INLINE void Add(Index<kIndex>, Lanes lanes, Floats x) {
    bits_[kIndex] = hn::Or(bits_[kIndex], Keep(lanes, hn::Sub(x, center_)));
  }

  HWY_INLINE bool IsTrue() const {
    Floats bits = bits_[0];
    Repeat<kSumVectors - 1>([&](auto k) NN_INLINED { bits = hn::Or(bits, bits_[k.value + 1]); });
    return hn::AllTrue(kFloats, hn::Eq(bits, hn::Zero(kFloats)));
  }

 private:
  Floats center_;
  Floats bits_[kSumVectors];  // of all distances
};

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_CONSTANT_INL_H_
