// Kernels over the columns of a matrix, each with a mean of its own: channels-last normalization. Up to kNarrow columns
// have their sums and parameters in registers, over blocks of rows. Wider matrices go by groups of a few rows: as many
// streams through memory, which processors foresee, where strips of columns would jump from page to page and, with
// rows of 4096 bytes, all meet in the same eight lines of the first-level cache (1.3 to 3 times slower).
#ifndef NATIVENORM_COLUMNS_INL_H_
#define NATIVENORM_COLUMNS_INL_H_

#include <math.h>

#include "exact.h"
#include "kernels.h"
#include "matrix-inl.h"
#include "simd-inl.h"
#include "spans-inl.h"

namespace nn {
namespace NN_TARGET {

// The first that is added, to 0: -0 becomes 0.
HWY_INLINE void SetTo(double* totals, Floats v) {
  const Doubles zero = hn::Zero(kDoubles);
  hn::StoreU(hn::Add(zero, LowerDoubles(v)), kDoubles, totals);
  hn::StoreU(hn::Add(zero, UpperDoubles(v)), kDoubles, totals + kLanes / 2);
}

HWY_INLINE void AddInto(double* totals, Floats v) {
  hn::StoreU(hn::Add(hn::LoadU(kDoubles, totals), LowerDoubles(v)), kDoubles, totals);
  totals += kLanes / 2;
  hn::StoreU(hn::Add(hn::LoadU(kDoubles, totals), UpperDoubles(v)), kDoubles, totals);
}

// Arrays over columns are padded: whole vectors of them are written.
inline void Clear(size_t columns, double* array) {
  for (size_t j = 0; j < PaddedColumns(columns); ++j) array[j] = 0;
}

// The sum of a group's rows.
template <size_t kRows>
HWY_INLINE Floats SumOf(const Floats (&v)[kRows]) {
  static_assert(kRows == 1 || kRows == 2 || kRows == 4);
  if constexpr (kRows == 1) {
    return v[0];
  } else if constexpr (kRows == 2) {
    return hn::Add(v[0], v[1]);
  } else {
    return hn::Add(hn::Add(v[0], v[1]), hn::Add(v[2], v[3]));
  }
}

// a[0] * b[0] + a[1] * b[1] + ..., each but the first with a fused multiply-add.
template <size_t kRows>
HWY_INLINE Floats ProductOf(const Floats (&a)[kRows], const Floats (&b)[kRows]) {
  Floats sum = hn::Mul(a[0], b[0]);
  Repeat<kRows - 1>([&](auto r) NN_INLINED { sum = hn::MulAdd(a[r.value + 1], b[r.value + 1], sum); });
  return sum;
}

// kSums sums for each column of a strip of kVectors over the rows of a block. extent(v) tells which lanes vector v has.
template <size_t kSums, size_t kVectors, class Extents, class Columns>
HWY_INLINE void SumStrip(const Extents& extent, size_t first, size_t rows, size_t j, double* const* totals,
                         const Columns& columns) {
  Floats sums[kVectors][kSums], of_columns[kVectors];
  Repeat<kVectors>([&](auto v) NN_INLINED {
    of_columns[v.value] = IsEmpty(extent(v)) ? hn::Zero(kFloats) : columns.load(j + v.value * kLanes);
    Repeat<kSums>([&](auto s) NN_INLINED { sums[v.value][s.value] = hn::Zero(kFloats); });
  });
  ForGroups<kRowsTogether>(rows, false, [&](auto group, size_t row) NN_INLINED {
    Repeat<kVectors>([&](auto v) NN_INLINED {
      columns.body(extent(v), group, first + row, j + v.value * kLanes, of_columns[v.value], sums[v.value]);
    });
  });
  Repeat<kVectors>([&](auto v) NN_INLINED {
    if (IsEmpty(extent(v))) return;
    Repeat<kSums>([&](auto s) NN_INLINED {
      AddInto(totals[s.value] + j + v.value * kLanes, sums[v.value][s.value]);
    });
  });
}

// Adds up kSums quantities for each column of a narrow matrix, in strips of up to kMost vectors.
template <size_t kSums, size_t kMost, class Columns>
HWY_INLINE void SumNarrow(size_t rows, size_t count, double* const* totals, const Columns& columns) {
  ForBlocks(rows, [&](size_t first, size_t n) NN_INLINED {
    ForStrips<kMost>(count, [&](auto width, auto part, size_t j) NN_INLINED {
      SumStrip<kSums, width.value>([&](auto) NN_INLINED { return part; }, first, n, j, totals, columns);
    });
  });
}

// The same for a wide one, a group of rows at a time.
template <size_t kSums, class Columns>
HWY_INLINE void SumWide(size_t rows, size_t count, double* const* totals, const Columns& columns) {
  // Columns whose float sums stay in the first-level cache; with half of them gradients of 256x1024 took a quarter longer.
  constexpr size_t kChunk = 1024;
  HWY_ALIGN float sums[kSums][kChunk];
  for (size_t begin = 0; begin < count; begin += kChunk) {
    const size_t width = HWY_MIN(kChunk, count - begin);
    Repeat<kSums>([&](auto s) NN_INLINED {
      for (size_t j = 0; j < width; j += kLanes) hn::Store(hn::Zero(kFloats), kFloats, sums[s.value] + j);
    });
    ForBlocks(rows, [&](size_t block, size_t n) NN_INLINED {
      const auto add = [&](auto group, size_t row, const auto& put) NN_INLINED {
        ForVectors(width, [&](auto part, size_t j) NN_INLINED {
          Floats v[kSums];
          Repeat<kSums>([&](auto s) NN_INLINED { v[s.value] = hn::Load(kFloats, sums[s.value] + j); });
          columns.body(part, group, block + row, begin + j, columns.load(begin + j), v);
          Repeat<kSums>([&](auto s) NN_INLINED { put(s, j, v[s.value]); });
        });
      };
      const auto keep = [&](auto s, size_t j, Floats sum) NN_INLINED { hn::Store(sum, kFloats, sums[s.value] + j); };
      const auto flush = [&](auto s, size_t j, Floats sum) NN_INLINED {
        if (block == 0) {
          SetTo(totals[s.value] + begin + j, sum);
        } else {
          AddInto(totals[s.value] + begin + j, sum);
        }
        hn::Store(hn::Zero(kFloats), kFloats, sums[s.value] + j);
      };
      size_t row = 0;
      for (; row + kRowsTogether < n; row += kRowsTogether) add(Index<kRowsTogether>(), row, keep);
      if (row + kRowsTogether == n) return add(Index<kRowsTogether>(), row, flush);
      if (row + 2 < n) {
        add(Index<2>(), row, keep);
        row += 2;
      }
      if (row + 2 == n) return add(Index<2>(), row, flush);
      add(Index<1>(), row, flush);
    });
  }
}

// How the columns of a matrix are summed up: load(column) gives what a vector of them needs, and body(part, group, first
// row, column, that, sums) adds a group of rows.
template <class Load, class Body>
struct ColumnsOf {
  Load load;
  Body body;
};
template <class Load, class Body>
ColumnsOf(Load, Body) -> ColumnsOf<Load, Body>;

// Sums kSums quantities up for each of `count` columns, of which up to kMost vectors are a strip.
template <size_t kSums, size_t kMost, class Columns>
HWY_INLINE void SumColumns(size_t rows, size_t count, double* const* totals, const Columns& columns) {
  if (count > kMost * kLanes) {
    SumWide<kSums>(rows, count, totals, columns);
    return;
  }
  for (size_t s = 0; s < kSums; ++s) Clear(count, totals[s]);
  SumNarrow<kSums, kMost>(rows, count, totals, columns);
}

// sum(x - pivot) and sum((x - pivot)^2) of each column, without a pivot of 0.
template <bool kPivot, class T>
HWY_NOINLINE void SumAround(const T* x, size_t rows, size_t columns, size_t stride, const float* pivot,
                            double* const* totals) {
  const auto load = [&](size_t j) NN_INLINED { return kPivot ? hn::LoadU(kFloats, pivot + j) : hn::Zero(kFloats); };
  const auto body = [&](auto part, auto group, size_t first, size_t j, Floats center, Floats* v) NN_INLINED {
    Floats distances[group.value];
    Repeat<group.value>([&](auto r) NN_INLINED {
      distances[r.value] = Load(part, x + (first + r.value) * stride + j);
      if constexpr (kPivot) distances[r.value] = hn::Sub(distances[r.value], center);
    });
    v[0] = hn::Add(v[0], SumOf(distances));
    v[1] = hn::Add(v[1], ProductOf(distances, distances));
  };
  SumColumns<2, kUnroll>(rows, columns, totals, ColumnsOf{load, body});
}

template <class T>
void column_sums(const T* x, size_t rows, size_t columns, size_t stride, const float* pivot, double* sums,
                 double* squares) {
  double* const totals[] = {sums, squares};
  if (pivot != nullptr) {
    SumAround<true>(x, rows, columns, stride, pivot, totals);
  } else {
    SumAround<false>(x, rows, columns, stride, pivot, totals);
  }
}

// The same as Judge, in a form that compilers vectorize.
template <class T>
bool column_moments(size_t columns, double share, double* sums, double* squares) {
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

// kConstants: also those sums that are for what may be constant.
template <bool kConstants, bool kRelu, class T>
HWY_NOINLINE void SumGradients(const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride,
                               const float* center, double* const* totals) {
  if constexpr (kConstants) Clear(columns, totals[4]);
  const auto load = [&](size_t j) NN_INLINED { return hn::LoadU(kFloats, center + j); };
  const auto body = [&](auto part, auto group, size_t first, size_t j, Floats c, Floats* v) NN_INLINED {
    Floats distances[group.value], gradients[group.value];
    Repeat<group.value>([&](auto r) NN_INLINED {
      const size_t at = (first + r.value) * stride + j;
      distances[r.value] = hn::Sub(Load(part, x + at), c);
      gradients[r.value] = Cut<kRelu>(part, dy, y, at);
    });
    v[0] = hn::Add(v[0], SumOf(gradients));
    v[1] = hn::Add(v[1], ProductOf(gradients, distances));
    v[2] = hn::Add(v[2], SumOf(distances));
    if constexpr (kConstants) {
      Repeat<group.value>([&](auto r) NN_INLINED {
        v[3] = hn::Add(v[3], hn::Abs(distances[r.value]));
        if (!IsEmpty(part)) AddInto(totals[4] + j, gradients[r.value]);
      });
    }
  };
  SumColumns<kConstants ? 4 : 3, kGradientVectors>(rows, columns, totals, ColumnsOf{load, body});
}

template <class T>
void column_gradient_sums(const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride,
                          const float* center, ColumnGradientSums sums) {
  double* const totals[] = {sums.dy, sums.product, sums.residual, sums.spread, sums.exact_dy};
  Choose(sums.exact_dy != nullptr, [&](auto constants) {
    Choose(y != nullptr, [&](auto relu) {
      SumGradients<constants.value, relu.value>(x, dy, y, rows, columns, stride, center, totals);
    });
  });
}

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
