// Gradients of units where x is its mean everywhere: dx = (g - sum(g) / n) / sqrt(eps), with g = dy * weight, is 0 for
// a g that is constant too. In floats it would be the sum's rounding over sqrt(eps), so sums are in doubles. Such units
// are no exceptions (what pads a batch, channels whose activation is 0): with what ExactBackward does for them, layer
// normalization of 128x768 took 20 times as long as of others, batch normalization of 16x28x28x64 50 times (AVX2).
#ifndef NATIVENORM_CONSTANT_INL_H_
#define NATIVENORM_CONSTANT_INL_H_

#include <math.h>

#include "exact.h"
#include "kernels.h"
#include "simd-inl.h"
#include "spans-inl.h"

namespace nn {
namespace NN_TARGET {

// sum(dy) or sum(dy * weight) in doubles, in which products of floats are exact.
class DoubleSum {
 public:
  HWY_INLINE DoubleSum() {
    Repeat<2 * kUnroll>([&](auto k) NN_INLINED { sums_[k.value] = hn::Zero(kDoubles); });
  }

  template <size_t kIndex>
  HWY_INLINE void Add(Index<kIndex>, Floats v) {
    sums_[2 * kIndex] = hn::Add(sums_[2 * kIndex], LowerDoubles(v));
    sums_[2 * kIndex + 1] = hn::Add(sums_[2 * kIndex + 1], UpperDoubles(v));
  }
  template <size_t kIndex>
  HWY_INLINE void AddProduct(Index<kIndex>, Floats a, Floats b) {
    sums_[2 * kIndex] = hn::MulAdd(LowerDoubles(a), LowerDoubles(b), sums_[2 * kIndex]);
    sums_[2 * kIndex + 1] = hn::MulAdd(UpperDoubles(a), UpperDoubles(b), sums_[2 * kIndex + 1]);
  }

  HWY_INLINE double Total() const {
    Doubles total = sums_[0];
    Repeat<2 * kUnroll - 1>([&](auto k) NN_INLINED { total = hn::Add(total, sums_[k.value + 1]); });
    return hn::GetLane(hn::SumOfLanes(kDoubles, total));
  }

 private:
  Doubles sums_[2 * kUnroll];
};

// Whether all x are the center.
class Sameness {
 public:
  HWY_INLINE explicit Sameness(float center) : center_(hn::Set(kFloats, center)) {
    Repeat<kUnroll>([&](auto k) NN_INLINED { bits_[k.value] = hn::Zero(kFloats); });
  }

  template <size_t kIndex, class Extent>
  HWY_INLINE void Add(Index<kIndex>, Extent part, Floats x) {
    bits_[kIndex] = hn::Or(bits_[kIndex], Keep(part, hn::Sub(x, center_)));
  }

  HWY_INLINE bool IsTrue() const {
    const Floats bits = hn::Or(hn::Or(bits_[0], bits_[1]), hn::Or(bits_[2], bits_[3]));
    return hn::AllTrue(kFloats, hn::Eq(bits, hn::Zero(kFloats)));
  }

 private:
  Floats center_;
  Floats bits_[kUnroll];  // of all distances
};

template <class T>
void constant_sums(const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride, float center,
                   GradientSums* sums, size_t step) {
  const size_t together = step == 0 ? runs : 1;
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    for (size_t run = 0; run < runs; run += together) {
      DoubleSum sum;
      Sameness same(center);
      for (size_t r = run; r < run + together; ++r) {
        Sweep(length, [&](auto part, size_t i, auto k) NN_INLINED {
          const size_t at = r * stride + i;
          same.Add(k, part, Load(part, x + at));
          sum.Add(k, Cut<relu.value>(part, dy, y, at));
        });
      }
      sums[run * step] = {sum.Total(), same.IsTrue() ? 0.0 : NAN, 0};
    }
  });
}

// A row, and what it adds to the bias's gradient, if not null; for RMS one of zeros. False, and nothing is written, if
// it is not constant or its sums leave the range of floats.
template <bool kWeight, bool kRelu, class T>
HWY_NOINLINE bool ConstantRow(const T* x, const T* dy, const T* y, T* dx, const RowsBackward& rows, size_t row,
                              const float* weight, float* bias_gradient) {
  DoubleSum sum;
  Sameness same(rows.centered ? rows.mean[row] : 0);
  Sweep(rows.length, [&](auto part, size_t i, auto k) NN_INLINED {
    same.Add(k, part, Load(part, x + i));
    const Floats gradient = Cut<kRelu>(part, dy, y, i);
    if constexpr (kWeight) {
      sum.AddProduct(k, gradient, Load(part, weight + i));
    } else {
      sum.Add(k, gradient);
    }
  });
  const double total = sum.Total(), inverse = InverseOfConstant(rows.eps);
  if (!same.IsTrue() || !(fabs(total) * (1 + inverse) <= kMostFactor)) return false;
  const Doubles mean = hn::Set(kDoubles, rows.centered ? total / static_cast<double>(rows.length) : 0);
  const Doubles factor = hn::Set(kDoubles, inverse);
  constexpr hn::Half<FloatTag> half;
  Choose(rows.stream, [&](auto streaming) NN_INLINED {
    Write<streaming.value>(dx, rows.length, [&](auto part, size_t i, auto) NN_INLINED {
      const Floats gradient = Cut<kRelu>(part, dy, y, i);
      if (bias_gradient != nullptr) {
        Store(part, hn::Add(Load(part, bias_gradient + i), gradient), bias_gradient + i);
      }
      Doubles lower = LowerDoubles(gradient), upper = UpperDoubles(gradient);
      if constexpr (kWeight) {
        const Floats w = Load(part, weight + i);
        lower = hn::Mul(lower, LowerDoubles(w));
        upper = hn::Mul(upper, UpperDoubles(w));
      }
      return hn::Combine(kFloats, hn::DemoteTo(half, hn::Mul(hn::Sub(upper, mean), factor)),
                         hn::DemoteTo(half, hn::Mul(hn::Sub(lower, mean), factor)));
    });
  });
  return true;
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_CONSTANT_INL_H_
