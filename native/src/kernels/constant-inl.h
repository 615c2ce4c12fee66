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
    NN_UNROLLED
    for (size_t k = 0; k < 2 * kSumVectors; ++k) accumulators_[k] = hn::Zero(kDoubles);
  }

  HWY_INLINE void Add(size_t k, Floats v) {
    accumulators_[2 * k] = hn::Add(accumulators_[2 * k], LowerDoubles(v));
    accumulators_[2 * k + 1] = hn::Add(accumulators_[2 * k + 1], UpperDoubles(v));
  }
  HWY_INLINE void AddProduct(size_t k, Floats a, Floats b) {
    accumulators_[2 * k] = hn::MulAdd(LowerDoubles(a), LowerDoubles(b), accumulators_[2 * k]);
    accumulators_[2 * k + 1] = hn::MulAdd(UpperDoubles(a), UpperDoubles(b), accumulators_[2 * k + 1]);
  }

  // f[j] = (d[j] + d[16 + j]) + (d[8 + j] + d[24 + j]), t[j] = f[j] + f[4 + j], (t[0] + t[1]) + (t[2] + t[3])
  HWY_INLINE double Total() const {
    HWY_ALIGN double d[kAccumulators];
    NN_UNROLLED
    for (size_t k = 0; k < 2 * kSumVectors; ++k) hn::Store(accumulators_[k], kDoubles, d + k * hn::Lanes(kDoubles));
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
    NN_UNROLLED
    for (size_t k = 0; k < kSumVectors; ++k) bits_[k] = hn::Zero(kFloats);
  }

  template <class Lanes>
  HWY_INLINE void Add(size_t k, Lanes lanes, Floats x) {
    bits_[k] = hn::Or(bits_[k], Keep(lanes, hn::Sub(x, center_)));
  }

  HWY_INLINE bool IsTrue() const {
    Floats bits = bits_[0];
    NN_UNROLLED
    for (size_t k = 1; k < kSumVectors; ++k) bits = hn::Or(bits, bits_[k]);
    return hn::AllTrue(kFloats, hn::Eq(bits, hn::Zero(kFloats)));
  }

 private:
  Floats center_;
  Floats bits_[kSumVectors];  // of all distances
};

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_CONSTANT_INL_H_
