// The gradient of a row that is constant (constant-inl.h).
#ifndef NATIVENORM_CONSTANT_ROW_INL_H_
#define NATIVENORM_CONSTANT_ROW_INL_H_

#include <math.h>

#include "kernels/constant-inl.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"
#include "kernels/write-inl.h"

namespace nn {
namespace NN_TARGET {

// The gradient of a constant row (for RMS one of zeros), and its part in the bias's gradient if that is not null.
// False, and nothing is written, if the row is not constant or its sums leave the range of floats. What there is of
// weight and y is asked in the loops: one body instead of eight, with which a call takes 6 % longer where half of the
// rows are constant.
template <class T>
HWY_NOINLINE bool ConstantRow(const T* x, const T* dy, const T* y, T* dx, const RowsToDifferentiate& rows, size_t row,
                              const float* weight, float* bias_gradient) {
  const auto cut = [&](auto lanes, size_t i) NN_INLINED {
    return y == nullptr ? Load(lanes, dy + i) : Cut(OptionSet<kRelu, 0>(), lanes, dy, y, i);
  };
  const auto weight_at = [&](auto lanes, size_t i)
                             NN_INLINED { return weight == nullptr ? hn::Set(kFloats, 1) : Load(lanes, weight + i); };
  Sameness same(rows.centered ? rows.mean[row] : 0);
  double total = 0;
  for (size_t begin = 0; begin < rows.length; begin += kPiece) {
    DoubleSum sum;
    SweepAccumulators(HWY_MIN(kPiece, rows.length - begin), [&](auto lanes, size_t i, size_t k) NN_INLINED {
      same.Add(k, lanes, Load(lanes, x + begin + i));
      sum.AddProduct(k, cut(lanes, begin + i), weight_at(lanes, begin + i));
    });
    total += sum.Total();
  }
  const double inverse = InverseOfConstant(rows.eps);
  if (!same.IsTrue() || !(fabs(total) * (1 + inverse) <= kMostFactor)) return false;
  const Doubles mean = hn::Set(kDoubles, rows.centered ? total / static_cast<double>(rows.length) : 0);
  const Doubles factor = hn::Set(kDoubles, inverse);
  constexpr hn::Half<FloatTag> half;
  Choose(rows.stream, [&](auto streaming) NN_INLINED {
    Write<streaming.value, 1>(dx, rows.length, [&](auto lanes, size_t i, size_t) NN_INLINED {
      const Floats gradient = cut(lanes, i), w = weight_at(lanes, i);
      if (bias_gradient != nullptr) {
        Store(lanes, hn::Add(Load(lanes, bias_gradient + i), gradient), bias_gradient + i);
      }
      const Doubles lower = hn::Mul(LowerDoubles(gradient), LowerDoubles(w));
      const Doubles upper = hn::Mul(UpperDoubles(gradient), UpperDoubles(w));
      return hn::Combine(kFloats, hn::DemoteTo(half, hn::Mul(hn::Sub(upper, mean), factor)),
                         hn::DemoteTo(half, hn::Mul(hn::Sub(lower, mean), factor)));
    });
  });
  return true;
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_CONSTANT_ROW_INL_H_
