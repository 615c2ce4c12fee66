// Kernels: from the sums of columns (column_sums-inl.h) to parameters, and the matrices written with these.
#ifndef NATIVENORM_COLUMNS_INL_H_
#define NATIVENORM_COLUMNS_INL_H_

#include <math.h>

#include "kernels/column_sums-inl.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/matrix-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"

namespace nn {
namespace NN_TARGET {

// Parameters up to this size stay in the range of floats with any usual factor.
constexpr double kMostUsual = 1e20;

// A loop of its own, as compilers vectorize it.
inline bool AreUsual(const float* parameters, size_t columns) {
  int unusual = 0;
  for (size_t j = 0; parameters != nullptr && j < columns; ++j) {
    unusual |= !(fabsf(parameters[j]) <= static_cast<float>(kMostUsual));
  }
  return unusual == 0;
}

template <class Set, class T>
bool column_affines(Set, const double* mean, const double* variance, size_t columns, double eps, const float* weight,
                    const float* bias, float* center, float* scale, float* shift) {
  int unusual = !AreUsual(weight, columns) | !AreUsual(bias, columns), outside = 0;
  for (size_t j = 0; j < columns; ++j) {
    unusual |= !((variance[j] + eps >= kLeastVariance) & (fabs(mean[j]) <= kMostUsual));
  }
  Choose(weight != nullptr, [&](auto with_weight) NN_INLINED {
    Choose(bias != nullptr, [&](auto with_bias) NN_INLINED {
      for (size_t j = 0; j < columns; ++j) {
        const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + eps);
        const double normal_mean = inverse == 0 ? 0 : mean[j];
        const float c = static_cast<float>(normal_mean);
        const double factor = with_weight.value ? inverse * weight[j] : inverse;
        center[j] = c;
        scale[j] = static_cast<float>(factor);
        shift[j] = static_cast<float>((with_bias.value ? bias[j] : 0) - (normal_mean - c) * factor);
      }
    });
  });
  for (size_t j = 0; unusual != 0 && j < columns; ++j) {
    const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + eps);
    if (!IsOutside(inverse, center[j], scale[j], shift[j])) continue;
    scale[j] = NAN;
    outside = 1;
  }
  return outside != 0;
}

template <class Set, class T>
void update_running(Set, float* running, const float* batch, size_t samples, size_t columns, double share,
                    double factor) {
  constexpr size_t kTogether = 64;
  const double old = 1 - share, count = static_cast<double>(samples);
  for (size_t begin = 0; begin < columns; begin += kTogether) {
    const size_t n = HWY_MIN(kTogether, columns - begin);
    double sums[kTogether];
    for (size_t j = 0; j < n; ++j) sums[j] = 0.0 + batch[begin + j];  // -0 becomes 0
    for (size_t sample = 1; sample < samples; ++sample) {
      for (size_t j = 0; j < n; ++j) sums[j] += batch[sample * columns + begin + j];
    }
    for (size_t j = 0; samples > 1 && j < n; ++j) sums[j] /= count;
    for (size_t j = 0; j < n; ++j) {
      running[begin + j] = static_cast<float>(old * running[begin + j] + factor * sums[j]);
    }
  }
}

template <class Set, class T>
bool column_gradients(Set, const ColumnGradientSums& sums, const double* mean, const double* variance, size_t columns,
                      double eps, const float* weight, double n, bool given, float* center, float* dy_factor,
                      float* x_factor, float* constant, float* dy_center) {
  const double share = given ? 0 : 1 / n;
  int unusual = !AreUsual(weight, columns), outside = 0;
  for (size_t j = 0; j < columns; ++j) unusual |= !IsPlain(variance[j] + eps, sums.dy[j], sums.product[j]);
  for (size_t j = 0; dy_center != nullptr && j < columns; ++j) dy_center[j] = 0;
  // With the check the loop is not vectorized: 1024 columns take 20 us longer.
  Choose(unusual != 0, [&](auto checks) NN_INLINED {
    Choose(weight != nullptr, [&](auto with_weight) NN_INLINED {
      for (size_t j = 0; j < columns; ++j) {
        if constexpr (checks.value) {
          if (dy_center != nullptr && variance[j] == 0 && sums.product[j] == 0) {
            const double w = with_weight.value ? weight[j] : 1, g_mean = w * (sums.dy[j] / n);
            const double inverse = InverseOfConstant(eps);
            const bool is_outside = IsConstantOutside(inverse, g_mean);
            const Gradient g = GradientOfConstant(static_cast<float>(mean[j]), inverse, w, g_mean);
            center[j] = g.center;
            dy_factor[j] = is_outside ? NAN : g.dy_factor;
            x_factor[j] = g.x_factor;
            constant[j] = g.constant;
            dy_center[j] = g.dy_center;
            outside |= is_outside;
            continue;
          }
        }
        const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + eps);
        const double offset = given || inverse == 0 ? 0 : sums.residual[j] * share;
        const double product = inverse == 0 ? 0 : sums.product[j] - offset * sums.dy[j];
        const double factor = with_weight.value ? inverse * weight[j] : inverse;
        const double x_part = -factor * inverse * inverse * product * share;
        center[j] = inverse == 0 ? 0 : static_cast<float>(mean[j]);
        dy_factor[j] = static_cast<float>(factor);
        x_factor[j] = static_cast<float>(x_part);
        constant[j] = static_cast<float>(-factor * sums.dy[j] * share - x_part * offset);
        if constexpr (checks.value) {
          if (IsOutside(inverse, sums.dy[j], sums.product[j], n, factor, x_part) ||
              (!given && IsConstant(variance[j], sums.dy[j]))) {
            dy_factor[j] = NAN;
            outside = 1;
          }
        }
        sums.product[j] = inverse * product;
      }
    });
  });
  return outside != 0;
}

// y = (x - center) * scale + shift
template <class Set, class T>
HWY_NOINLINE void NormalizeMatrix(Set set, const T* x, T* y, size_t rows, size_t columns, size_t stride,
                                  const ColumnAffine& affine) {
  if (kHas<kStream, Set> && !StreamsAligned(y, stride)) {
    return NormalizeMatrix(Only<~unsigned{kStream}>(set), x, y, rows, columns, stride, affine);
  }
  struct Vector {
    Floats center, scale, shift;
  };
  const auto load = [&](size_t j) NN_INLINED {
    return Vector{hn::LoadU(kFloats, affine.center + j), hn::LoadU(kFloats, affine.scale + j),
                  hn::LoadU(kFloats, affine.shift + j)};
  };
  const auto value = [&](auto lanes, size_t at, const Vector& v) NN_INLINED {
    const Floats result = hn::MulAdd(hn::Sub(Load(lanes, x + at), v.center), v.scale, v.shift);
    return Has<kRelu>(set) ? Relu(result) : result;
  };
  WriteMatrix<kHas<kStream, Set>, kUnroll, Vector>(y, rows, columns, stride, load, value);
}

template <class Set, class T>
void column_normalize(Set set, const T* x, T* y, size_t rows, size_t columns, size_t stride,
                      const ColumnAffine& affine) {
  if (const size_t folds = Folds(rows, columns, stride); folds > 1) {
    const FoldedParameters<3> folded(columns, folds, {affine.center, affine.scale, affine.shift});
    const auto& [center, scale, shift] = folded.arrays;
    NormalizeMatrix(set, x, y, rows / folds, columns * folds, columns * folds, {center, scale, shift});
    const size_t done = (rows - rows % folds) * columns;
    x += done;
    y += done;
    rows %= folds;
  }
  NormalizeMatrix(set, x, y, rows, columns, stride, affine);
}

// dx = dy_factor * (dy - dy_center) + x_factor * (x - center) + constant
template <bool kConstants, class Set, class T>
HWY_NOINLINE void DifferentiateMatrix(Set set, const T* x, const T* dy, const T* y, T* dx, size_t rows, size_t columns,
                                      size_t stride, const ColumnGradient& g) {
  if (kHas<kStream, Set> && !StreamsAligned(dx, stride)) {
    return DifferentiateMatrix<kConstants>(Only<~unsigned{kStream}>(set), x, dy, y, dx, rows, columns, stride, g);
  }
  struct Vector {
    Floats center, dy_factor, x_factor, constant, dy_center;
  };
  const auto load = [&](size_t j) NN_INLINED {
    return Vector{hn::LoadU(kFloats, g.center + j), hn::LoadU(kFloats, g.dy_factor + j),
                  hn::LoadU(kFloats, g.x_factor + j), hn::LoadU(kFloats, g.constant + j),
                  kConstants ? hn::LoadU(kFloats, g.dy_center + j) : hn::Zero(kFloats)};
  };
  const auto value = [&](auto lanes, size_t at, const Vector& v) NN_INLINED {
    const Floats distance = hn::Sub(Load(lanes, x + at), v.center);
    const Floats rest = hn::MulAdd(v.x_factor, distance, v.constant);
    Floats gradient = Cut(set, lanes, dy, y, at);
    if constexpr (kConstants) gradient = hn::Sub(gradient, v.dy_center);
    return hn::MulAdd(v.dy_factor, gradient, rest);
  };
  WriteMatrix<kHas<kStream, Set>, kGradientVectors, Vector>(dx, rows, columns, stride, load, value);
}

template <bool kConstants, class Set, class T>
HWY_INLINE void DifferentiateColumns(Set set, const T* x, const T* dy, const T* y, T* dx, size_t rows, size_t columns,
                                     size_t stride, const ColumnGradient& g) {
  if (const size_t folds = Folds(rows, columns, stride); folds > 1) {
    const FoldedParameters<5> folded(columns, folds, {g.center, g.dy_factor, g.x_factor, g.constant, g.dy_center});
    const auto& [center, dy_factor, x_factor, constant, dy_center] = folded.arrays;
    DifferentiateMatrix<kConstants>(set, x, dy, y, dx, rows / folds, columns * folds, columns * folds,
                                    {center, dy_factor, x_factor, constant, dy_center});
    const size_t done = (rows - rows % folds) * columns;
    x += done;
    dy += done;
    if (Has<kRelu>(set)) y += done;
    dx += done;
    rows %= folds;
  }
  DifferentiateMatrix<kConstants>(set, x, dy, y, dx, rows, columns, stride, g);
}

// Columns that may be constant are rare: with bodies of their own for all options, and not only some, this family took
// 8 % longer to compile.
template <class Set, class T>
void column_gradient(Set set, const T* x, const T* dy, const T* y, T* dx, size_t rows, size_t columns, size_t stride,
                     const ColumnGradient& g) {
  if (g.dy_center == nullptr) {
    DifferentiateColumns<false>(set, x, dy, y, dx, rows, columns, stride, g);
  } else {
    DifferentiateColumns<true>(LookAt<kRelu>(Only<kRelu | kStream>(set)), x, dy, y, dx, rows, columns, stride, g);
  }
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_COLUMNS_INL_H_
