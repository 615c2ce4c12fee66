// Kernels over rows that are normalized each by itself, with a weight and a bias for each element: layer and RMS
// normalization, and group normalization without spatial extent.
#ifndef NATIVENORM_ROWS_INL_H_
#define NATIVENORM_ROWS_INL_H_

#include <math.h>

#include "kernels.h"
#include "simd-inl.h"
#include "spans-inl.h"

namespace nn {
namespace NN_TARGET {

// xhat = (x - center) * scale + shift of one row.
struct RowAffine {
  float center;
  float scale;
  float shift;
};

template <class T>
double MeanSquare(const T* x, size_t length) {
  Sum squares;
  SweepBlocks(
      1, length, 0,
      [&](auto part, size_t i, auto k) {
        const Floats v = Load(part, x + i);
        squares.AddProduct(k, v, v);
      },
      [&] { squares.Flush(); });
  const double n = static_cast<double>(length);
  Moments around_zero;
  if (Judge({0, squares.Total()}, n, 0, true, &around_zero) == Trust::kGood) return around_zero.m2 / n;
  double sum = 0;
  for (size_t i = 0; i < length; ++i) sum += static_cast<double>(ToFloat(x[i])) * ToFloat(x[i]);
  return sum / n;
}

// The statistics of a row, stored where they are asked for.
template <bool kCentered, class T>
HWY_INLINE RowAffine Measure(const T* x, const RowsForward& rows, size_t row) {
  Moments found = {0, 0};
  const double n = static_cast<double>(rows.length);
  if constexpr (kCentered) {
    found = moments(x, 1, rows.length, 0);
    found.m2 /= n;
  } else {
    found.m2 = MeanSquare(x, rows.length);
  }
  const float variance = static_cast<float>(found.m2);
  if (rows.mean != nullptr) rows.mean[row] = static_cast<float>(found.mean);
  if (rows.variance != nullptr) rows.variance[row] = variance;
  const double inverse = 1 / sqrt(variance + rows.eps);
  // A variance beyond the largest float: all of the row is 0, also where x - center would overflow.
  const float center = inverse == 0 ? 0 : static_cast<float>(found.mean);
  const double rounded_away = inverse == 0 ? 0 : found.mean - center;
  return {center, static_cast<float>(inverse), static_cast<float>(-rounded_away * inverse)};
}

// Goes once over kRows rows together, so that weight and bias are loaded once for them, and asks for the rows after
// them: while these are written, memory would have nothing to read.
template <size_t kRows, bool kCentered, bool kWeight, bool kBias, bool kRelu, class T>
HWY_INLINE void NormalizeRows(const T* x, T* y, size_t length, const RowAffine* rows, const float* weight,
                              const float* bias, bool stream) {
  const auto body = [&](auto part, size_t i, auto streaming) {
    Floats w = hn::Zero(kFloats), b = hn::Zero(kFloats);
    if constexpr (kWeight) w = Load(part, weight + i);
    if constexpr (kBias) b = Load(part, bias + i);
    Repeat<kRows>([&](auto r) {
      const RowAffine& row = rows[r.value];
      const size_t at = r.value * length + i;
      const Floats v = Load(part, x + at);
      hwy::Prefetch(x + kRows * length + at);
      const Floats scale = hn::Set(kFloats, row.scale);
      Floats result = hn::Mul(v, scale);
      if constexpr (kCentered) {
        result = hn::MulAdd(hn::Sub(v, hn::Set(kFloats, row.center)), scale, hn::Set(kFloats, row.shift));
      }
      if constexpr (kWeight && kBias) {
        result = hn::MulAdd(result, w, b);
      } else if constexpr (kWeight) {
        result = hn::Mul(result, w);
      } else if constexpr (kBias) {
        result = hn::Add(result, b);
      }
      if constexpr (kRelu) result = Relu(result);
      if constexpr (streaming.value) {
        Stream(part, result, y + at);
      } else {
        Store(part, result, y + at);
      }
    });
  };
  if (stream && (kRows == 1 || length % kLanes == 0)) {
    AlignedSweep(y, length, [&](auto part, size_t i, auto) { body(part, i, Index<true>()); });
  } else {
    Sweep(length, [&](auto part, size_t i, auto) { body(part, i, Index<false>()); });
  }
}

template <bool kCentered, bool kWeight, bool kBias, bool kRelu, size_t kRows, class T>
HWY_INLINE void ForwardRows(const T* x, T* y, size_t r, const RowsForward& rows) {
  const size_t at = r * rows.length;
  const size_t parameters = rows.period == 1 ? 0 : (rows.first_row + r) % rows.period * rows.length;
  RowAffine found[kRows];
  for (size_t k = 0; k < kRows; ++k) {
    found[k] = Measure<kCentered>(x + at + k * rows.length, rows, rows.first_row + r + k);
  }
  NormalizeRows<kRows, kCentered, kWeight, kBias, kRelu>(x + at, y + at, rows.length, found,
                                                         kWeight ? rows.weight + parameters : nullptr,
                                                         kBias ? rows.bias + parameters : nullptr, rows.stream);
}

constexpr size_t kRowsTogether = 4;
// The longest rows that are still in the first-level cache, four of them, when they are written.
constexpr size_t kTogetherLength = 2048;

// y = (x - mean) / sqrt(variance + eps) * weight + bias
template <class T>
void rows_forward(const T* x, T* y, const RowsForward& rows) {
  Choose(rows.centered, [&](auto centered) {
    Choose(rows.weight != nullptr, [&](auto with_weight) {
      Choose(rows.bias != nullptr, [&](auto with_bias) {
        Choose(rows.relu, [&](auto with_relu) {
          constexpr bool kCentered = centered.value, kWeight = with_weight.value;
          constexpr bool kBias = with_bias.value, kRelu = with_relu.value;
          const bool together = rows.period == 1 && rows.length <= kTogetherLength;
          size_t r = 0;
          for (; together && r + kRowsTogether <= rows.rows; r += kRowsTogether) {
            ForwardRows<kCentered, kWeight, kBias, kRelu, kRowsTogether>(x, y, r, rows);
          }
          for (; r < rows.rows; ++r) ForwardRows<kCentered, kWeight, kBias, kRelu, 1>(x, y, r, rows);
        });
      });
    });
  });
}

// What a row's gradient is made of: xhat = (x - center) * scale + shift, and
// dx = scale * g + x_factor * (x - center) + constant with g = dy * weight.
struct RowGradient {
  float center;
  float scale;
  float shift;
  float x_factor;
  float constant;
};

template <bool kCentered, bool kWeight, bool kRelu, class T>
HWY_INLINE RowGradient MeasureGradient(const T* x, const T* dy, const T* y, const RowsBackward& rows, size_t row,
                                       const float* weight) {
  const double n = static_cast<double>(rows.length);
  const double inverse = 1 / sqrt(rows.variance[row] + rows.eps);
  const float center = kCentered && inverse != 0 ? rows.mean[row] : 0;
  const Floats c = hn::Set(kFloats, center);
  Sum sum, product, residual;
  SweepBlocks(
      1, rows.length, 0,
      [&](auto part, size_t i, auto k) {
        Floats g = Cut<kRelu>(part, dy, y, i);
        if constexpr (kWeight) g = hn::Mul(g, Load(part, weight + i));
        if constexpr (kCentered) {
          const Floats distance = Keep(part, hn::Sub(Load(part, x + i), c));
          sum.Add(k, g);
          product.AddProduct(k, g, distance);
          residual.Add(k, distance);
        } else {
          product.AddProduct(k, g, Load(part, x + i));
        }
      },
      [&] {
        if constexpr (kCentered) {
          sum.Flush();
          residual.Flush();
        }
        product.Flush();
      });
  const double dy_sum = kCentered ? sum.Total() : 0;
  const double offset = kCentered && inverse != 0 ? residual.Total() / n : 0;  // the mean is center + offset
  const double products = inverse == 0 ? 0 : product.Total();  // else it may have overflowed
  const double x_factor = -inverse * inverse * inverse * (products - offset * dy_sum) / n;
  return {center, static_cast<float>(inverse), static_cast<float>(-offset * inverse), static_cast<float>(x_factor),
          static_cast<float>(-inverse * dy_sum / n - x_factor * offset)};
}

// Goes once over kRows rows together, so that the weight's and bias's gradients are loaded and stored once for them.
template <size_t kRows, bool kWeight, bool kSums, bool kRelu, class T>
HWY_INLINE void ApplyGradients(const T* x, const T* dy, const T* y, T* dx, size_t length, const RowGradient* rows,
                               const float* weight, float* weight_gradient, float* bias_gradient, bool stream) {
  const auto body = [&](auto part, size_t i, auto streaming) {
    Floats w = hn::Zero(kFloats), dw = hn::Zero(kFloats), db = hn::Zero(kFloats);
    if constexpr (kWeight) w = Load(part, weight + i);
    if constexpr (kSums) {
      dw = Load(part, weight_gradient + i);
      db = Load(part, bias_gradient + i);
    }
    Repeat<kRows>([&](auto r) {
      const RowGradient& row = rows[r.value];
      const size_t at = r.value * length + i;
      const Floats gradient = Cut<kRelu>(part, dy, y, at);
      const Floats distance = hn::Sub(Load(part, x + at), hn::Set(kFloats, row.center));
      const Floats scale = hn::Set(kFloats, row.scale);
      if constexpr (kSums) {
        const Floats xhat = hn::MulAdd(distance, scale, hn::Set(kFloats, row.shift));
        dw = hn::MulAdd(gradient, xhat, dw);
        db = hn::Add(db, gradient);
      }
      const Floats g = kWeight ? hn::Mul(gradient, w) : gradient;
      const Floats rest = hn::MulAdd(hn::Set(kFloats, row.x_factor), distance, hn::Set(kFloats, row.constant));
      const Floats value = hn::MulAdd(scale, g, rest);
      if constexpr (streaming.value) {
        Stream(part, value, dx + at);
      } else {
        Store(part, value, dx + at);
      }
    });
    if constexpr (kSums) {
      Store(part, dw, weight_gradient + i);
      Store(part, db, bias_gradient + i);
    }
  };
  if (stream && (kRows == 1 || length % kLanes == 0)) {
    AlignedSweep(dx, length, [&](auto part, size_t i, auto) { body(part, i, Index<true>()); });
  } else {
    Sweep(length, [&](auto part, size_t i, auto) { body(part, i, Index<false>()); });
  }
}

template <bool kCentered, bool kWeight, bool kSums, bool kRelu, size_t kRows, class T>
HWY_INLINE void BackwardRows(const T* x, const T* dy, const T* y, T* dx, size_t r, const RowsBackward& rows) {
  const size_t parameters = rows.period == 1 ? 0 : (rows.first_row + r) % rows.period * rows.length;
  const size_t at = r * rows.length;
  const float* weight = kWeight ? rows.weight + parameters : nullptr;
  RowGradient found[kRows];
  for (size_t k = 0; k < kRows; ++k) {
    const size_t begin = at + k * rows.length;
    found[k] = MeasureGradient<kCentered, kWeight, kRelu>(x + begin, dy + begin, kRelu ? y + begin : nullptr, rows,
                                                         rows.first_row + r + k, weight);
  }
  ApplyGradients<kRows, kWeight, kSums, kRelu>(x + at, dy + at, kRelu ? y + at : nullptr, dx + at, rows.length, found,
                                               weight, kSums ? rows.weight_gradient + parameters : nullptr,
                                               kSums ? rows.bias_gradient + parameters : nullptr, rows.stream);
}

// dx, and what is added to the gradients of weight and bias.
template <class T>
void rows_backward(const T* x, const T* dy, const T* y, T* dx, const RowsBackward& rows) {
  Choose(rows.centered, [&](auto centered) {
    Choose(rows.weight != nullptr, [&](auto with_weight) {
      Choose(rows.weight_gradient != nullptr, [&](auto with_sums) {
        Choose(y != nullptr, [&](auto relu) {
          size_t r = 0;
          for (; rows.period == 1 && r + kRowsTogether <= rows.rows; r += kRowsTogether) {
            BackwardRows<centered.value, with_weight.value, with_sums.value, relu.value, kRowsTogether>(x, dy, y, dx,
                                                                                                      r, rows);
          }
          for (; r < rows.rows; ++r) {
            BackwardRows<centered.value, with_weight.value, with_sums.value, relu.value, 1>(x, dy, y, dx, r, rows);
          }
        });
      });
    });
  });
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ROWS_INL_H_
