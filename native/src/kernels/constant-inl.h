// Kernels: gradients of constant units, where x is its mean everywhere. With g = dy * weight, dx = (g - sum(g) / n) /
// sqrt(eps) is 0 for a g that is constant too. In floats it would be the sum's rounding over sqrt(eps), so sums are in
// doubles. Such units are common (padding of a batch, channels whose activation is 0): by ExactBackward, layer
// normalization of 128x768 took 20 times as long as of others, batch normalization of 16x28x28x64 50 times (AVX2).
#ifndef NATIVENORM_CONSTANT_INL_H_
#define NATIVENORM_CONSTANT_INL_H_

#include <math.h>

#include "kernels/accumulators-inl.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/simd-inl.h"
#include "kernels/spans-inl.h"

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

template <class T>
void constant_sums(const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride, float center,
                   GradientSums* sums, size_t step) {
  const size_t together = step == 0 ? runs : 1;
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    for (size_t run = 0; run < runs; run += together) {
      DoubleSum sum;
      Sameness same(center);
      for (size_t r = run; r < run + together; ++r) {
        SweepAccumulators(length, [&](auto lanes, size_t i, auto k) NN_INLINED {
          const size_t at = r * stride + i;
          same.Add(k, lanes, Load(lanes, x + at));
          sum.Add(k, Cut<relu.value>(lanes, dy, y, at));
        });
      }
      sums[run * step] = {sum.Total(), same.IsTrue() ? 0.0 : NAN, 0};
    }
  });
}

// The gradient of a constant row (for RMS one of zeros), and its part in the bias's gradient if that is not null.
// False, and nothing is written, if the row is not constant or its sums leave the range of floats.
template <bool kWeight, bool kRelu, class T>
HWY_NOINLINE bool ConstantRow(const T* x, const T* dy, const T* y, T* dx, const RowsToDifferentiate& rows, size_t row,
                              const float* weight, float* bias_gradient) {
  Sameness same(rows.centered ? rows.mean[row] : 0);
  double total = 0;
  for (size_t begin = 0; begin < rows.length; begin += kPiece) {
    DoubleSum sum;
    SweepAccumulators(HWY_MIN(kPiece, rows.length - begin), [&](auto lanes, size_t i, auto k) NN_INLINED {
      same.Add(k, lanes, Load(lanes, x + begin + i));
      const Floats gradient = Cut<kRelu>(lanes, dy, y, begin + i);
      if constexpr (kWeight) {
        sum.AddProduct(k, gradient, Load(lanes, weight + begin + i));
      } else {
        sum.Add(k, gradient);
      }
    });
    total += sum.Total();
  }
  const double inverse = InverseOfConstant(rows.eps);
  if (!same.IsTrue() || !(fabs(total) * (1 + inverse) <= kMostFactor)) return false;
  const Doubles mean = hn::Set(kDoubles, rows.centered ? total / static_cast<double>(rows.length) : 0);
  const Doubles factor = hn::Set(kDoubles, inverse);
  constexpr hn::Half<FloatTag> half;
  Choose(rows.stream, [&](auto streaming) NN_INLINED {
    Write<streaming.value>(dx, rows.length, [&](auto lanes, size_t i, auto) NN_INLINED {
      const Floats gradient = Cut<kRelu>(lanes, dy, y, i);
      if (bias_gradient != nullptr) {
        Store(lanes, hn::Add(Load(lanes, bias_gradient + i), gradient), bias_gradient + i);
      }
      Doubles lower = LowerDoubles(gradient), upper = UpperDoubles(gradient);
      if constexpr (kWeight) {
        const Floats w = Load(lanes, weight + i);
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
