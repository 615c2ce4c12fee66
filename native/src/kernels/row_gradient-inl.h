// The backward kernel over rows: see row_normalize-inl.h.
#ifndef NATIVENORM_ROW_GRADIENT_INL_H_
#define NATIVENORM_ROW_GRADIENT_INL_H_

#include <math.h>

#include <type_traits>

#include "kernels/accumulators-inl.h"
#include "kernels/constant_row-inl.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/row_parameters-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"
#include "kernels/write-inl.h"

namespace nn {
namespace NN_TARGET {

// What a row's gradient is made of: with d = x - center - offset and s = dy * scale,
// dx = s * weight + x_factor * d + constant, and d * s is its part in the weight's gradient. For RMS d is x and the
// constant 0. The last three tell whether it is outside (exact.h).
struct RowGradient {
  float center;
  float offset;
  float scale;
  float x_factor;
  float constant;
  double inverse;
  double dy;
  double product;

  bool IsPlain(double variance_and_eps) const { return nn::IsPlain(variance_and_eps, dy, product); }
  bool IsOutside(double n, double variance) const {
    const double factor = inverse * inverse * inverse * product / n;  // x_factor's may be 0 as a float
    return nn::IsOutside(inverse, dy, product, n, inverse, factor) || nn::IsConstant(variance, dy);
  }
};

// The mean is center + offset; the offset, the error of rounding the mean to float, comes from one sum more. Up to this
// many standard deviations from 0 it is too small to count: 4 * 2^-25 = 1e-7.
constexpr double kFarMean = 4;

template <bool kResidual, class Set, class T>
HWY_INLINE GradientSums SumGradient(Set set, const T* x, const T* dy, const T* y, const float* weight, size_t length,
                                    float center) {
  constexpr bool kCentered = kHas<nn::kCentered, Set>;
  const Floats c = hn::Set(kFloats, center);
  const RowParameters<kWeight, Set> weights(set, weight);
  Accumulators sum, product, residual;
  SweepBlocks(
      1, length, 0,
      [&](auto lanes, size_t i, size_t k) NN_INLINED {
        Floats g = Cut(set, lanes, dy, y, i);
        if constexpr (kReads<kWeight, Set>) g = hn::Mul(g, weights.At(lanes, i));
        if constexpr (kCentered) {
          const Floats distance = Keep(lanes, hn::Sub(Load(lanes, x + i), c));
          sum.Add(k, g);
          product.AddProduct(k, g, distance);
          if constexpr (kResidual) residual.Add(k, distance);
        } else {
          product.AddProduct(k, g, Load(lanes, x + i));
        }
      },
      [&](size_t block) NN_INLINED {
        if constexpr (kCentered) sum.Flush(block);
        if constexpr (kResidual) residual.Flush(block);
        product.Flush(block);
      });
  GradientSums sums = {0, 0, 0};
  if constexpr (kCentered) {
    Accumulators::Totals(sum, product, &sums.dy, &sums.product);
  } else {
    sums.product = product.Total();
  }
  if constexpr (kResidual) sums.residual = residual.Total();
  return sums;
}

template <bool kResidual, class Set, class T>
HWY_NOINLINE void MeasureGradient(Set set, const T* x, const T* dy, const T* y, const RowsToDifferentiate& rows,
                                  size_t row, const float* weight, RowGradient* gradient) {
  constexpr bool kCentered = kHas<nn::kCentered, Set>;
  const double share = 1 / static_cast<double>(rows.length);
  const double inverse = 1 / sqrt(rows.variance[row] + rows.eps);
  const float center = kCentered && inverse != 0 ? rows.mean[row] : 0;
  GradientSums total = {0, 0, 0};
  for (size_t begin = 0; begin < rows.length; begin += kPiece) {
    const GradientSums piece = SumGradient<kResidual>(set, x + begin, dy + begin, Has<kRelu>(set) ? y + begin : nullptr,
                                                      Has<kWeight>(set) ? weight + begin : nullptr,
                                                      HWY_MIN(kPiece, rows.length - begin), center);
    total.dy += piece.dy;
    total.product += piece.product;
    total.residual += piece.residual;
  }
  const double offset = total.residual * share;
  // Where the variance is not finite the sums may have overflowed.
  const double x_factor =
      inverse == 0 ? 0 : -inverse * inverse * inverse * (total.product - offset * total.dy) * share;
  *gradient = {center,
               static_cast<float>(offset),
               static_cast<float>(inverse),
               static_cast<float>(x_factor),
               static_cast<float>(-inverse * total.dy * share),
               inverse,
               total.dy,
               total.product};
}

// How many rows are differentiated together. A row has five numbers in registers. Those of four rows do not fit into 16
// registers: LayerNorm's gradients of 128x768 then take 207,000 loads instead of 137,000 (AVX2, counted with
// cachegrind).
constexpr size_t kDifferentiatedTogether = kManyRegisters ? 4 : 2;

// Goes once over kRows rows together, so that the weight's and bias's gradients are loaded and stored once for them.
// With kInPairs these and the weight lie in that order.
template <size_t kRows, bool kInPairs, class Set, class T, class Weights>
HWY_INLINE void ApplyGradients(Set set, const T* x, const T* dy, const T* y, T* dx, size_t length,
                               const RowGradient* rows, const Weights& weights, float* weight_gradient,
                               float* bias_gradient, bool begins, bool stream, size_t ahead, bool* finite) {
  constexpr bool kCentered = kHas<nn::kCentered, Set>;
  constexpr bool kSums = kHas<kParameterSums, Set>;
  Floats center[kRows], offset[kRows], scale[kRows], x_factor[kRows], constant[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    center[r] = SetStored<T>(rows[r].center);
    offset[r] = SetStored<T>(rows[r].offset);
    scale[r] = SetStored<T>(rows[r].scale);
    x_factor[r] = SetStored<T>(rows[r].x_factor);
    constant[r] = SetStored<T>(rows[r].constant);
  }
  const bool with_bias = kCentered || bias_gradient != nullptr;
  const Floats kept = hn::BitCast(kFloats, hn::Set(kWords, begins ? 0 : ~0u));
  Floats zeros = hn::Zero(kFloats);  // of a finite number less itself; else NaN
  const auto apply = [&](auto streams, auto lanes, size_t i, size_t k) NN_INLINED {
    constexpr size_t kCount = std::is_same_v<decltype(lanes), Vectors<2>> ? 2 : 1;
    const auto each = [&](const auto& body) NN_INLINED {
      if constexpr (kCount == 1) {
        body(lanes, size_t{0});
      } else {
        body(EvenLanes(), size_t{0});
        body(OddLanes(), size_t{1});
      }
    };
    Floats w[kCount], dw[kCount], db[kCount], values[kRows * kCount];
    each([&](auto of, size_t v) NN_INLINED {
      const auto load = [&](const float* from) NN_INLINED {
        const Floats sum = Load(of, from + i);
        return kRows == 1 ? hn::And(sum, kept) : sum;
      };
      if constexpr (kReads<kWeight, Set>) w[v] = weights.At(of, i);
      if constexpr (kSums) {
        dw[v] = load(weight_gradient);
        db[v] = with_bias ? load(bias_gradient) : hn::Zero(kFloats);
      }
    });
    NN_UNROLLED
    for (size_t r = 0; r < kRows; ++r) {
      const size_t at = r * length + i;
      if (streams) {
        Prefetch(k, x + at + ahead);
        Prefetch(k, dy + at + ahead);
      }
      each([&](auto of, size_t v) NN_INLINED {
        const Floats gradient = Cut(set, of, dy, y, at);
        Floats distance = Load(of, x + at);
        if constexpr (kCentered) distance = hn::Sub(hn::Sub(distance, center[r]), offset[r]);
        const Floats scaled = hn::Mul(gradient, scale[r]);
        if constexpr (kSums) {
          dw[v] = hn::MulAdd(scaled, distance, dw[v]);
          if (with_bias) db[v] = hn::Add(db[v], gradient);
        }
        Floats value = hn::Mul(x_factor[r], distance);
        if constexpr (kCentered) value = hn::MulAdd(x_factor[r], distance, constant[r]);
        value = kReads<kWeight, Set> ? hn::MulAdd(scaled, w[v], value) : hn::Add(scaled, value);
        if constexpr (kCount > 1) {
          values[r * kCount + v] = value;
        } else if (streams) {
          Stream(lanes, value, dx + at);
        } else {
          Store(lanes, value, dx + at);
        }
      });
    }
    if constexpr (kCount > 1) {
      AllHalfWords pairs[kRows];
      NarrowPairs(T(), values, pairs);
      NN_UNROLLED
      for (size_t r = 0; r < kRows; ++r) {
        if (streams) {
          Stream(pairs[r], dx + r * length + i);
        } else {
          Store(pairs[r], dx + r * length + i);
        }
      }
    }
    if constexpr (kSums) {
      if constexpr (kRows == 1) zeros = hn::Or(zeros, hn::Sub(dw[0], dw[0]));
      each([&](auto of, size_t v) NN_INLINED {
        Store(of, dw[v], weight_gradient + i);
        if (with_bias) Store(of, db[v], bias_gradient + i);
      });
    }
  };
  const auto sweep = [&](auto streams) NN_INLINED {
    Sweep<kInPairs ? 2 : 1, kInPairs ? 2 : 1>(
        length, [&](auto lanes, size_t i, size_t k) NN_INLINED { apply(streams, lanes, i, k); });
  };
  if constexpr (kRows == 1) {
    // With loops of their own for both, all kernels of this family took a third longer to compile.
    AlignedSweep<1>(stream ? dx : nullptr, length,
                    [&](auto lanes, size_t i, size_t k) NN_INLINED { apply(stream, lanes, i, k); });
  } else if constexpr (kSums && kRows == kDifferentiatedTogether) {
    Choose(stream, [&](auto streams) NN_INLINED { sweep(std::bool_constant<decltype(streams)::value != 0>()); });
  } else {
    sweep(std::false_type());
  }
  if constexpr (kRows == 1 && kSums) *finite &= hn::AllTrue(kFloats, hn::Eq(zeros, hn::Zero(kFloats)));
}

// False, and nothing is written, if one of them is outside, or if one of several is constant.
template <size_t kRows, bool kInPairs, class Set, class T, class WeightsOf>
HWY_INLINE bool DifferentiateRows(Set set, const T* x, const T* dy, const T* y, T* dx, size_t r,
                                  const RowsToDifferentiate& rows, const WeightsOf& weights_of) {
  constexpr bool kCentered = kHas<nn::kCentered, Set>;
  constexpr bool kSums = kHas<kParameterSums, Set>;
  const bool relu = Has<kRelu>(set);
  const size_t parameters = rows.period == 1 ? 0 : (rows.first_row + r) % rows.period * rows.length;
  const size_t at = r * rows.length;
  const float* weight = Has<kWeight>(set) ? rows.weight + parameters : nullptr;
  float* bias_gradient = kSums && rows.bias_gradient != nullptr ? rows.bias_gradient + parameters : nullptr;
  // Rows of zeros are not outside for RMS, which subtracts no sum.
  for (size_t k = 0; (kCentered || rows.eps < kLeastVariance) && k < kRows; ++k) {
    if (rows.variance[rows.first_row + r + k] != 0) continue;
    if constexpr (kRows > 1) return false;
    if (ConstantRow(x + at, dy + at, relu ? y + at : nullptr, dx + at, rows, rows.first_row + r, weight,
                    bias_gradient)) {
      return true;
    }
  }
  RowGradient found[kRows];
  bool plain = true;
  for (size_t k = 0; k < kRows; ++k) {
    const size_t begin = at + k * rows.length;
    const size_t row = rows.first_row + r + k;
    bool far = false;
    if constexpr (kCentered) {
      const double mean = rows.mean[row];
      far = mean * mean > kFarMean * kFarMean * (rows.variance[row] + rows.eps);
    }
    Choose(far, [&](auto is_far) NN_INLINED {
      constexpr bool kResidual = kCentered && is_far.value;
      const auto all = Only<nn::kCentered | kWeight | kRelu>(set);
      const auto measure = [&](auto options) NN_INLINED {
        MeasureGradient<kResidual>(options, x + begin, dy + begin, relu ? y + begin : nullptr, rows, row, weight,
                                   &found[k]);
      };
      if constexpr (kResidual) {
        measure(LookAt<kWeight | kRelu>(all));
      } else {
        measure(all);
      }
    });
    plain &= found[k].IsPlain(rows.variance[row] + rows.eps);
  }
  for (size_t k = 0; !plain && k < kRows; ++k) {
    if (found[k].IsOutside(static_cast<double>(rows.length), rows.variance[rows.first_row + r + k])) return false;
  }
  ApplyGradients<kRows, kInPairs>(set, x + at, dy + at, relu ? y + at : nullptr, dx + at, rows.length, found,
                                  weights_of(weight), kSums ? rows.weight_gradient + parameters : nullptr,
                                  bias_gradient, rows.begins, rows.stream, kRows * Ahead(rows, r + kRows - 1),
                                  rows.finite);
  return true;
}

// Where cache sets conflict, the first-level cache cannot hold x, dy and dx of four rows (LayerNorm's gradients of
// 128x1024: 90 us instead of 56, AVX2), but of two: one by one, 48x4096 takes 64 us instead of 51 (AVX-512).
// With non-temporal stores they go row by row: of two in turns write-combining buffers are flushed half full (RmsNorm's
// of 640x4096: 3300 us instead of 1300, AVX2). Elsewhere rows together take 0.8 of the time with such stores, too
// (4096x768; BF16 on AVX-512 0.65). Rows share little but the sums: without these AVX-512 takes 1 to 3 % longer one by
// one.
template <class Set, class T>
size_t Together(const RowsToDifferentiate& rows, const T* dx) {
  constexpr bool kSums = kHas<kParameterSums, Set>;
  const bool conflict = SetsConflict<T>(rows.length);
  if (rows.period > 1 || (!kSums && kManyRegisters)) return 1;
  if (rows.stream && (!kSums || conflict || !StreamsAligned(dx, rows.length))) return 1;
  return conflict ? 2 : kDifferentiatedTogether;
}

// Differentiates rows from r on two together, by pairs of vectors, as long as that can be done; how many rows it did. A
// function of its own: its copies take 48 KB of the stack.
template <class Set, class T>
HWY_NOINLINE size_t DifferentiateByPairs(Set set, const T* x, const T* dy, const T* y, T* dx, size_t r,
                                         const RowsToDifferentiate& rows) {
  const RowParameterPairs<kWeight, Set> weights(set, rows.weight, -0.0f, rows.length);
  RowSumPairs<kHas<kParameterSums, Set>> sums(rows);
  const auto weights_of = [&](const float*) NN_INLINED -> const auto& { return weights; };
  const size_t first = r;
  while (r + 2 <= rows.rows && DifferentiateRows<2, true>(set, x, dy, y, dx, r, sums.Paired(), weights_of)) r += 2;
  sums.Store();
  return r - first;
}

// dx, and the rows' parts in the gradients of weight and bias, which are added to these.
template <class Set, class T>
size_t row_gradient(Set set, const T* x, const T* dy, const T* y, T* dx, const RowsToDifferentiate& rows) {
  const size_t together = Together<Set>(rows, dx);
  const auto weights_of = [&](const float* weight) NN_INLINED { return RowParameters<kWeight, Set>(set, weight); };
  const auto differentiate = [&](size_t r, size_t count) NN_INLINED {
    if constexpr (kHas<kParameterSums, Set> || !kManyRegisters) {
      if (count == 2) return DifferentiateRows<2, false>(set, x, dy, y, dx, r, rows, weights_of);
      if (count > 2) return DifferentiateRows<kDifferentiatedTogether, false>(set, x, dy, y, dx, r, rows, weights_of);
    }
    return DifferentiateRows<1, false>(set, x, dy, y, dx, r, rows, weights_of);
  };
  size_t r = 0, alone = 0;
  while (r < rows.rows) {
    if constexpr (kHasPairs<T>) {
      constexpr size_t kLeast = 8;
      if (r >= alone && together == 2 && rows.rows - r >= kLeast && rows.length <= kMostPaired) {
        r += DifferentiateByPairs(set, x, dy, y, dx, r, rows);
        if (r == rows.rows) break;
      }
    }
    const size_t count = r >= alone && r + together <= rows.rows ? together : 1;
    if (differentiate(r, count)) {
      r += count;
    } else if (count > 1) {
      alone = r + count;
    } else {
      break;
    }
  }
  return r;
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ROW_GRADIENT_INL_H_
