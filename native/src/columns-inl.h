// Kernels over the columns of a matrix, each with a mean of its own: channels-last normalization. Up to kNarrow columns
// have their sums and parameters in registers, over blocks of rows. Wider matrices go by groups of a few rows: as many
// streams through memory, which processors foresee, where strips of columns would jump from page to page and, with
// rows of 4096 bytes, all meet in the same eight lines of the first-level cache (1.3 to 3 times slower).
#ifndef NATIVENORM_COLUMNS_INL_H_
#define NATIVENORM_COLUMNS_INL_H_

#include <math.h>

#include <initializer_list>

#include "exact.h"
#include "kernels.h"
#include "matrix-inl.h"
#include "simd-inl.h"
#include "spans-inl.h"

namespace nn {
namespace NN_TARGET {

HWY_INLINE void AddInto(double* totals, Floats v) {
  hn::StoreU(hn::Add(hn::LoadU(kDoubles, totals), LowerDoubles(v)), kDoubles, totals);
  totals += kLanes / 2;
  hn::StoreU(hn::Add(hn::LoadU(kDoubles, totals), UpperDoubles(v)), kDoubles, totals);
}

// Sums of kSums quantities for each column of a strip. A strip of one vector has four rows in flight.
template <size_t kSums, size_t kVectors>
struct StripSums {
  static constexpr size_t kRows = kVectors >= kUnroll ? 1 : kUnroll / kVectors;
  Floats sums[kSums][kRows][kVectors];

  HWY_INLINE StripSums() {
    Repeat<kSums>([&](auto s) NN_INLINED {
      Repeat<kRows>([&](auto r) NN_INLINED {
        Repeat<kVectors>([&](auto v) NN_INLINED { sums[s.value][r.value][v.value] = hn::Zero(kFloats); });
      });
    });
  }

  // body(row, row in flight) over rows.
  template <class Body>
  HWY_INLINE void ForRows(size_t rows, const Body& body) {
    size_t row = 0;
    for (; row + kRows <= rows; row += kRows) {
      Repeat<kRows>([&](auto r) NN_INLINED { body(row + r.value, r); });
    }
    for (; row < rows; ++row) body(row, Index<0>());
  }

  template <size_t kSum>
  HWY_INLINE void AddTo(Index<kSum>, double* totals) {
    Repeat<kVectors>([&](auto v) NN_INLINED {
      Floats sum = sums[kSum][0][v.value];
      Repeat<kRows - 1>([&](auto r) NN_INLINED { sum = hn::Add(sum, sums[kSum][r.value + 1][v.value]); });
      AddInto(totals + v.value * kLanes, sum);
    });
  }
};

// Adds up kSums quantities for each column of a wide matrix: body(part, row, column, sums) for each vector.
template <size_t kSums, class Body>
HWY_INLINE void SumWide(size_t rows, size_t columns, double* const* totals, const Body& body) {
  constexpr size_t kChunk = 512;  // columns whose float sums stay in the first-level cache
  HWY_ALIGN float sums[kSums][kChunk];
  for (size_t begin = 0; begin < columns; begin += kChunk) {
    const size_t width = HWY_MIN(kChunk, columns - begin);
    const auto flush = [&]() NN_INLINED {
      Repeat<kSums>([&](auto s) NN_INLINED {
        for (size_t j = 0; j < width; j += kLanes) {
          AddInto(totals[s.value] + begin + j, hn::Load(kFloats, sums[s.value] + j));
          hn::Store(hn::Zero(kFloats), kFloats, sums[s.value] + j);
        }
      });
    };
    Repeat<kSums>([&](auto s) NN_INLINED {
      for (size_t j = 0; j < kChunk; ++j) sums[s.value][j] = 0;
    });
    size_t pending = 0;
    ForGroups<kGroup>(rows, false, [&](auto group, size_t first) NN_INLINED {
      ForVectors(width, [&](auto part, size_t j) NN_INLINED {
        Floats v[kSums];
        Repeat<kSums>([&](auto s) NN_INLINED { v[s.value] = hn::Load(kFloats, sums[s.value] + j); });
        Repeat<group.value>([&](auto r) NN_INLINED { body(part, first + r.value, begin + j, v); });
        Repeat<kSums>([&](auto s) NN_INLINED { hn::Store(v[s.value], kFloats, sums[s.value] + j); });
      });
      pending += group.value;
      if (pending >= kBlockRows) {
        flush();
        pending = 0;
      }
    });
    flush();
  }
}

// sum(x - pivot) and sum((x - pivot)^2) of each column; without a pivot of 0.
template <bool kPivot, class T>
HWY_INLINE void SumColumnsAround(const T* x, size_t rows, size_t columns, size_t stride, const float* pivot,
                                 double* sums, double* squares) {
  for (size_t j = 0; j < PaddedColumns(columns); ++j) sums[j] = squares[j] = 0;
  if (columns > kNarrow) {
    double* const totals[] = {sums, squares};
    SumWide<2>(rows, columns, totals, [&](auto part, size_t row, size_t j, Floats* v) NN_INLINED {
      Floats distance = Load(part, x + row * stride + j);
      if constexpr (kPivot) distance = hn::Sub(distance, hn::LoadU(kFloats, pivot + j));
      v[0] = hn::Add(v[0], distance);
      v[1] = hn::MulAdd(distance, distance, v[1]);
    });
    return;
  }
  ForBlocks(rows, [&](size_t first, size_t count) NN_INLINED {
    ForStrips<kUnroll>(columns, [&](auto width, auto part, size_t j) NN_INLINED {
      constexpr size_t kVectors = width.value;
      Floats center[kVectors];
      if constexpr (kPivot) {
        Repeat<kVectors>([&](auto v)
                             NN_INLINED { center[v.value] = hn::LoadU(kFloats, pivot + j + v.value * kLanes); });
      }
      StripSums<2, kVectors> strip;
      strip.ForRows(count, [&](size_t row, auto r) NN_INLINED {
        const T* from = x + (first + row) * stride + j;
        Repeat<kVectors>([&](auto v) NN_INLINED {
          Floats distance = Load(part, from + v.value * kLanes);
          if constexpr (kPivot) distance = hn::Sub(distance, center[v.value]);
          strip.sums[0][r.value][v.value] = hn::Add(strip.sums[0][r.value][v.value], distance);
          strip.sums[1][r.value][v.value] = hn::MulAdd(distance, distance, strip.sums[1][r.value][v.value]);
        });
      });
      strip.AddTo(Index<0>(), sums + j);
      strip.AddTo(Index<1>(), squares + j);
    });
  });
}

// What stands for the sum of squares of a column whose float sums will not do.
constexpr double kDistrusted = -1;

// The moments of columns from their sums, in their place; false if some are distrusted. The same as Judge, in a form
// that compilers vectorize.
inline bool FinishColumns(size_t columns, double n, double* sums, double* squares) {
  const double share = 1 / n;
  int distrusted = 0;
  for (size_t j = 0; j < columns; ++j) {
    const double offset = sums[j] * share;
    const double excess = sums[j] * offset;
    const double m2 = squares[j] - excess;
    const bool trusted = squares[j] <= kLargestSum && excess <= kTrustedRatio * m2;
    distrusted |= !trusted;
    sums[j] = offset;
    squares[j] = trusted ? m2 : kDistrusted;
  }
  return distrusted == 0;
}

// Measures those of some columns again that are distrusted; the others keep every bit.
template <class T>
void MeasureDistrusted(const T* x, size_t rows, size_t columns, size_t stride, float* pivot, double* mean, double* m2) {
  constexpr size_t kColumns = kUnroll * kLanes;
  static_assert(kColumns % kColumnPadding == 0);
  double sums[kColumns], squares[kColumns];
  for (size_t begin = 0; begin < columns; begin += kColumns) {
    const size_t count = HWY_MIN(kColumns, columns - begin);
    bool all_good = true;
    for (size_t j = begin; j < begin + count; ++j) all_good &= m2[j] != kDistrusted;
    if (all_good) continue;
    SumColumnsAround<true>(x + begin, rows, count, stride, pivot + begin, sums, squares);
    for (size_t j = begin; j < begin + count; ++j) {
      if (m2[j] != kDistrusted) continue;
      Moments found;
      const Trust trust =
          Judge({sums[j - begin], squares[j - begin]}, static_cast<double>(rows), pivot[j], true, &found);
      if (trust == Trust::kDoubles) found = DoubleMoments(x + j, rows, 1, stride);
      mean[j] = found.mean;
      m2[j] = found.m2;
    }
  }
}

template <class T>
void column_moments(const T* x, size_t rows, size_t columns, size_t stride, float* pivot, double* mean, double* m2) {
  const size_t folds = Folds(rows, columns, stride), rest = folds > 1 ? rows % folds : rows;
  SumColumnsAround<false>(x + (rows - rest) * stride, rest, columns, stride, pivot, mean, m2);
  if (folds > 1) {
    FoldedSums<2> folded;
    SumColumnsAround<false>(x, rows / folds, columns * folds, columns * folds, pivot, folded.arrays[0],
                            folded.arrays[1]);
    folded.AddTo(columns, folds, {mean, m2});
  }
  if (FinishColumns(columns, static_cast<double>(rows), mean, m2)) return;
  const size_t padded = PaddedColumns(columns);
  for (size_t j = 0; j < padded; ++j) pivot[j] = j < columns ? static_cast<float>(mean[j]) : 0;
  MeasureDistrusted(x, rows, columns, stride, pivot, mean, m2);
}

// Parameters so large, if any, leave the range of floats with no usual factor.
constexpr double kMostUsual = 1e20;

// A loop of its own, as compilers vectorize it.
inline bool AreUsual(const float* parameters, size_t columns) {
  int unusual = 0;
  for (size_t j = 0; parameters != nullptr && j < columns; ++j) {
    unusual |= !(fabsf(parameters[j]) <= static_cast<float>(kMostUsual));
  }
  return unusual == 0;
}

template <class T>
bool column_affines(const double* mean, const double* variance, size_t columns, double eps, const float* weight,
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

template <class T>
bool column_gradients(ColumnGradientSums sums, const double* mean, const double* variance, size_t columns, double eps,
                      const float* weight, double n, bool given, float* center, float* dy_factor, float* x_factor,
                      float* constant, float* dy_center) {
  const double share = given ? 0 : 1 / n;
  int unusual = !AreUsual(weight, columns), outside = 0;
  for (size_t j = 0; j < columns; ++j) unusual |= !IsPlain(variance[j] + eps, sums.dy[j], sums.product[j]);
  for (size_t j = 0; dy_center != nullptr && j < columns; ++j) dy_center[j] = 0;
  // The check is not for vectors; with it 1024 columns take 20 us longer.
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

template <bool kStream, class Extent, class T>
HWY_INLINE void Put(Extent part, Floats value, T* to) {
  if constexpr (kStream) {
    Stream(part, value, to);
  } else {
    Store(part, value, to);
  }
}

// y = (x - center) * scale + shift
template <class T>
void column_normalize(const T* x, T* y, size_t rows, size_t columns, size_t stride, ColumnAffine affine, bool relu,
                      bool stream) {
  if (const size_t folds = Folds(rows, columns, stride); folds > 1) {
    const FoldedParameters<3> folded(columns, folds, {affine.center, affine.scale, affine.shift});
    const auto& [center, scale, shift] = folded.arrays;
    column_normalize(x, y, rows / folds, columns * folds, columns * folds, {center, scale, shift}, relu, stream);
    const size_t done = (rows - rows % folds) * columns;
    x += done;
    y += done;
    rows %= folds;
  }
  const bool aligned = reinterpret_cast<uintptr_t>(y) % (kLanes * sizeof(T)) == 0 && stride % kLanes == 0;
  Choose(relu, [&](auto with_relu) NN_INLINED {
    Choose(stream && aligned, [&](auto streaming) NN_INLINED {
      const auto write = [&](auto part, size_t at, Floats center, Floats scale, Floats shift) NN_INLINED {
        Floats value = hn::MulAdd(hn::Sub(Load(part, x + at), center), scale, shift);
        if constexpr (with_relu.value) value = Relu(value);
        Put<streaming.value>(part, value, y + at);
      };
      if (GoesByRows<streaming.value>(columns, kNarrow)) {
        ForGroups<kWrittenGroup<streaming.value>>(rows, Meet<T>(stride), [&](auto group, size_t first) NN_INLINED {
          ForVectors(columns, [&](auto part, size_t j) NN_INLINED {
            const Floats center = hn::LoadU(kFloats, affine.center + j);
            const Floats scale = hn::LoadU(kFloats, affine.scale + j);
            const Floats shift = hn::LoadU(kFloats, affine.shift + j);
            Repeat<group.value>([&](auto r)
                                    NN_INLINED { write(part, (first + r.value) * stride + j, center, scale, shift); });
          });
        });
        if constexpr (streaming.value) hwy::FlushStream();
        return;
      }
      ForBlocks(rows, [&](size_t first, size_t count) NN_INLINED {
        ForStrips<kUnroll>(columns, [&](auto width, auto part, size_t j) NN_INLINED {
          constexpr size_t kVectors = width.value;
          Floats center[kVectors], scale[kVectors], shift[kVectors];
          Repeat<kVectors>([&](auto v) NN_INLINED {
            const size_t at = j + v.value * kLanes;
            center[v.value] = hn::LoadU(kFloats, affine.center + at);
            scale[v.value] = hn::LoadU(kFloats, affine.scale + at);
            shift[v.value] = hn::LoadU(kFloats, affine.shift + at);
          });
          for (size_t row = first; row < first + count; ++row) {
            Repeat<kVectors>([&](auto v) NN_INLINED {
              write(part, row * stride + j + v.value * kLanes, center[v.value], scale[v.value], shift[v.value]);
            });
          }
        });
      });
      if constexpr (streaming.value) hwy::FlushStream();
    });
  });
}

// Three sums and a center of each: 16 registers have room for two vectors' with what else is needed.
constexpr size_t kGradientVectors = kManyRegisters ? kUnroll : 2;
// Columns of one strip. Half a row at a time would be read in jumps: gradients of 262144x32 took 15 % longer (AVX2).
constexpr size_t kGradientNarrow = kGradientVectors * kLanes;

// Without folds. kConstants: also those sums that are for what may be constant.
template <bool kConstants, class T>
void SumGradients(const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride, const float* center,
                  ColumnGradientSums totals) {
  constexpr size_t kSums = kConstants ? 4 : 3;
  double* const sums[] = {totals.dy, totals.product, totals.residual, totals.spread};
  for (double* array : {sums[0], sums[1], sums[2], sums[3], totals.exact_dy}) {
    for (size_t j = 0; array != nullptr && j < PaddedColumns(columns); ++j) array[j] = 0;
  }
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    if (columns > kGradientNarrow) {
      SumWide<kSums>(rows, columns, sums, [&](auto part, size_t row, size_t j, Floats* v) NN_INLINED {
        const size_t at = row * stride + j;
        const Floats distance = hn::Sub(Load(part, x + at), hn::LoadU(kFloats, center + j));
        const Floats gradient = Cut<relu.value>(part, dy, y, at);
        v[0] = hn::Add(v[0], gradient);
        v[1] = hn::MulAdd(gradient, distance, v[1]);
        v[2] = hn::Add(v[2], distance);
        if constexpr (kConstants) {
          v[3] = hn::Add(v[3], hn::Abs(distance));
          AddInto(totals.exact_dy + j, gradient);
        }
      });
      return;
    }
    ForBlocks(rows, [&](size_t first, size_t count) NN_INLINED {
      ForStrips<kGradientVectors>(columns, [&](auto width, auto part, size_t j) NN_INLINED {
        constexpr size_t kVectors = width.value;
        Floats c[kVectors];
        Repeat<kVectors>([&](auto v) NN_INLINED { c[v.value] = hn::LoadU(kFloats, center + j + v.value * kLanes); });
        StripSums<kSums, kVectors> strip;
        strip.ForRows(count, [&](size_t row, auto r) NN_INLINED {
          Repeat<kVectors>([&](auto v) NN_INLINED {
            const size_t at = (first + row) * stride + j + v.value * kLanes;
            const Floats distance = hn::Sub(Load(part, x + at), c[v.value]);
            const Floats gradient = Cut<relu.value>(part, dy, y, at);
            auto& sums = strip.sums;
            sums[0][r.value][v.value] = hn::Add(sums[0][r.value][v.value], gradient);
            sums[1][r.value][v.value] = hn::MulAdd(gradient, distance, sums[1][r.value][v.value]);
            sums[2][r.value][v.value] = hn::Add(sums[2][r.value][v.value], distance);
            if constexpr (kConstants) {
              sums[3][r.value][v.value] = hn::Add(sums[3][r.value][v.value], hn::Abs(distance));
              AddInto(totals.exact_dy + j + v.value * kLanes, gradient);
            }
          });
        });
        Repeat<kSums>([&](auto s) NN_INLINED { strip.AddTo(s, sums[s.value] + j); });
      });
    });
  });
}

template <class T>
void column_gradient_sums(const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride,
                          const float* center, ColumnGradientSums totals) {
  if (const size_t folds = Folds(rows, columns, stride); folds > 1) {
    const size_t rest = rows % folds, done = (rows - rest) * columns;
    column_gradient_sums(x + done, dy + done, y == nullptr ? y : y + done, rest, columns, stride, center, totals);
    const FoldedParameters<1> centers(columns, folds, {center});
    FoldedSums<5> folded;
    auto& [sums, products, residuals, exact, spread] = folded.arrays;
    const bool constants = totals.exact_dy != nullptr;
    column_gradient_sums(x, dy, y, rows / folds, columns * folds, columns * folds, centers.arrays[0],
                         {sums, products, residuals, constants ? exact : nullptr, constants ? spread : nullptr});
    folded.AddTo(columns, folds, {totals.dy, totals.product, totals.residual, totals.exact_dy, totals.spread});
    return;
  }
  Choose(totals.exact_dy != nullptr, [&](auto constants) NN_INLINED {
    SumGradients<constants.value>(x, dy, y, rows, columns, stride, center, totals);
  });
}

// Without folds.
template <bool kConstants, class T>
void WriteGradients(const T* x, const T* dy, const T* y, T* dx, size_t rows, size_t columns, size_t stride,
                    ColumnGradient g, bool stream) {
  const bool aligned = reinterpret_cast<uintptr_t>(dx) % (kLanes * sizeof(T)) == 0 && stride % kLanes == 0;
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    Choose(stream && aligned, [&](auto streaming) NN_INLINED {
      // The parameters of a vector of columns.
      struct Vector {
        Floats center, dy_factor, x_factor, constant, dy_center;
      };
      const auto load = [&](size_t j) NN_INLINED {
        return Vector{hn::LoadU(kFloats, g.center + j), hn::LoadU(kFloats, g.dy_factor + j),
                      hn::LoadU(kFloats, g.x_factor + j), hn::LoadU(kFloats, g.constant + j),
                      kConstants ? hn::LoadU(kFloats, g.dy_center + j) : hn::Zero(kFloats)};
      };
      const auto write = [&](auto part, size_t at, const Vector& v) NN_INLINED {
        const Floats distance = hn::Sub(Load(part, x + at), v.center);
        const Floats rest = hn::MulAdd(v.x_factor, distance, v.constant);
        Floats gradient = Cut<relu.value>(part, dy, y, at);
        if constexpr (kConstants) gradient = hn::Sub(gradient, v.dy_center);
        Put<streaming.value>(part, hn::MulAdd(v.dy_factor, gradient, rest), dx + at);
      };
      if (GoesByRows<streaming.value>(columns, kGradientNarrow)) {
        ForGroups<kWrittenGroup<streaming.value>>(rows, Meet<T>(stride), [&](auto group, size_t first) NN_INLINED {
          ForVectors(columns, [&](auto part, size_t j) NN_INLINED {
            const Vector v = load(j);
            Repeat<group.value>([&](auto r) NN_INLINED { write(part, (first + r.value) * stride + j, v); });
          });
        });
        if constexpr (streaming.value) hwy::FlushStream();
        return;
      }
      ForBlocks(rows, [&](size_t first, size_t count) NN_INLINED {
        ForStrips<kGradientVectors>(columns, [&](auto width, auto part, size_t j) NN_INLINED {
          constexpr size_t kVectors = width.value;
          Vector vectors[kVectors];
          Repeat<kVectors>([&](auto v) NN_INLINED { vectors[v.value] = load(j + v.value * kLanes); });
          for (size_t row = first; row < first + count; ++row) {
            Repeat<kVectors>([&](auto v) NN_INLINED {
              write(part, row * stride + j + v.value * kLanes, vectors[v.value]);
            });
          }
        });
      });
      if constexpr (streaming.value) hwy::FlushStream();
    });
  });
}

// dx = dy_factor * (dy - dy_center) + x_factor * (x - center) + constant
template <class T>
void column_gradient(const T* x, const T* dy, const T* y, T* dx, size_t rows, size_t columns, size_t stride,
                     ColumnGradient g, bool stream) {
  if (const size_t folds = Folds(rows, columns, stride); folds > 1) {
    const FoldedParameters<5> folded(columns, folds, {g.center, g.dy_factor, g.x_factor, g.constant, g.dy_center});
    const auto& [center, dy_factor, x_factor, constant, dy_center] = folded.arrays;
    column_gradient(x, dy, y, dx, rows / folds, columns * folds, columns * folds,
                    {center, dy_factor, x_factor, constant, g.dy_center == nullptr ? nullptr : dy_center}, stream);
    const size_t done = (rows - rows % folds) * columns;
    x += done;
    dy += done;
    if (y != nullptr) y += done;
    dx += done;
    rows %= folds;
  }
  Choose(g.dy_center != nullptr, [&](auto constants) NN_INLINED {
    WriteGradients<constants.value>(x, dy, y, dx, rows, columns, stride, g, stream);
  });
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_COLUMNS_INL_H_
