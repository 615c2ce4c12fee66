// The forward kernel over rows, each a unit, with a weight and a bias for each element: layer and RMS normalization,
// and group normalization without spatial extent.
#ifndef NATIVENORM_ROW_NORMALIZE_INL_H_
#define NATIVENORM_ROW_NORMALIZE_INL_H_

#include <math.h>

#include "kernels/accumulators-inl.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/order.h"
#include "kernels/row_parameters-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/write-inl.h"

namespace nn {
namespace NN_TARGET {

// xhat = (x - center) * scale + shift of one row.
struct RowAffine {
  float center;
  float scale;
  float shift;
};

// The sums of a piece of rows around a pivot; of RMS the squares alone, of kBlocks blocks at once.
template <bool kCentered, bool kPivot, size_t kRows, size_t kBlocks, class T>
HWY_INLINE void SumPieces(const T* x, size_t stride, size_t n, float pivot, Accumulators* sums, Accumulators* squares) {
  const Floats center = hn::Set(kFloats, pivot);
  SweepBlocks<kCentered ? 1 : kBlocks>(
      1, n, 0,
      [&](auto lanes, size_t i, size_t k) NN_INLINED {
        NN_UNROLLED
        for (size_t row = 0; row < kRows; ++row) {
          Floats v = Load(lanes, x + row * stride + i);
          if constexpr (kPivot) v = Keep(lanes, hn::Sub(v, center));
          if constexpr (kCentered) sums[row].Add(k, v);
          squares[row].AddProduct(k, v, v);
        }
      },
      [&](size_t block) NN_INLINED {
        NN_UNROLLED
        for (size_t row = 0; row < kRows; ++row) {
          if constexpr (kCentered) sums[row].Flush(block);
          squares[row].Flush(block);
        }
      });
}

template <bool kCentered, bool kPivot, size_t kBlocks, class T>
HWY_INLINE PivotSums SumRow(const T* x, size_t length, float pivot) {
  PivotSums total = {0, 0};
  for (size_t begin = 0; begin < length; begin += kPiece) {
    Accumulators sum, squares;
    SumPieces<kCentered, kPivot, 1, kBlocks>(x + begin, 0, HWY_MIN(kPiece, length - begin), pivot, &sum, &squares);
    PivotSums piece = {0, 0};
    if constexpr (kCentered) {
      Accumulators::Totals(sum, squares, &piece.sum, &piece.squares);
    } else {
      piece.squares = squares.Total();
    }
    total += piece;
  }
  return total;
}

// The moments of a row whose float sums around 0 cannot be trusted. A function of its own: with its loops in Measure
// a row of 64 takes 8 % longer.
template <bool kCentered, class T>
HWY_NOINLINE Moments MeasureAgain(const T* x, size_t length, Trust trust, Moments found) {
  if (trust == Trust::kOtherPivot) {
    const float pivot = static_cast<float>(found.mean);
    trust = JudgeAround(pivot, SumRow<true, true, 1>(x, length, pivot), static_cast<double>(length), &found);
    if (trust == Trust::kGood) return found;
  }
  double mean = 0, m2 = 0;
  if constexpr (kCentered) {
    for (size_t i = 0; i < length; ++i) mean += ToFloat(x[i]);
    mean /= static_cast<double>(length);
  }
  for (size_t i = 0; i < length; ++i) {
    const double distance = ToFloat(x[i]) - mean;
    m2 += distance * distance;
  }
  return {mean, m2};
}

// The statistics of a row from its sums, stored where they are asked for.
template <bool kCentered, class T>
HWY_INLINE RowAffine AffineOf(const PivotSums& total, const T* x, const RowsToNormalize& rows, size_t row,
                              double share) {
  Moments found;
  const Trust trust = Judge(total, share, &found);
  if (trust != Trust::kGood) found = MeasureAgain<kCentered>(x, rows.length, trust, found);
  const float variance = static_cast<float>(found.m2 * share);
  if (rows.mean != nullptr) rows.mean[row] = static_cast<float>(found.mean);
  if (rows.variance != nullptr) rows.variance[row] = variance;
  const double inverse = 1 / sqrt(variance + rows.eps);
  // A variance beyond the largest float: all of the row is 0, also where x - center would overflow.
  const float center = inverse == 0 ? 0 : static_cast<float>(found.mean);
  const double rounded_away = inverse == 0 ? 0 : found.mean - center;
  return {center, static_cast<float>(inverse), static_cast<float>(-rounded_away * inverse)};
}

template <bool kCentered, size_t kBlocks, class T>
HWY_NOINLINE RowAffine Measure(const T* x, const RowsToNormalize& rows, size_t row, double share) {
  return AffineOf<kCentered>(SumRow<kCentered, false, kBlocks>(x, rows.length, 0), x, rows, row, share);
}

// The same of a row of one block at most, without the loops over pieces and blocks.
template <bool kCentered, class T>
HWY_NOINLINE RowAffine MeasureBlock(const T* x, const RowsToNormalize& rows, size_t row, double share) {
  PivotSums sums = {0, 0};
  Accumulators sum, squares;
  SweepAccumulators(rows.length, [&](auto lanes, size_t i, size_t k) NN_INLINED {
    const Floats v = Load(lanes, x + i);
    if constexpr (kCentered) sum.Add(k, v);
    squares.AddProduct(k, v, v);
  });
  squares.Flush(0);
  if constexpr (kCentered) {
    sum.Flush(0);
    Accumulators::Totals(sum, squares, &sums.sum, &sums.squares);
  } else {
    sums.squares = squares.Total();
  }
  return AffineOf<kCentered>(sums, x, rows, row, share);
}

template <bool kCentered, size_t kBlocks, class T>
HWY_INLINE RowAffine MeasureOne(const T* x, const RowsToNormalize& rows, size_t row, double share) {
  if (rows.length <= kBlock) return MeasureBlock<kCentered>(x, rows, row, share);
  return Measure<kCentered, (kCentered ? 1 : kBlocks)>(x, rows, row, share);
}

// Up to so many rows together: their statistics are made of their sums as one vector (LayerNorm of 4096x64 takes 0.8 of
// the time).
constexpr size_t kGroup = 4;
// How many of them are summed up at once: the two accumulators that AVX-512 has for each sum wait for each other.
template <bool kCentered>
constexpr size_t kSummedRows = kCentered&& kSumVectors < kUnroll ? 2 : 1;

struct RowAffines {
  alignas(16) float center[kGroup];
  alignas(16) float scale[kGroup];
  alignas(16) float shift[kGroup];

  RowAffine operator[](size_t i) const { return {center[i], scale[i], shift[i]}; }
  void Set(size_t i, RowAffine row) {
    center[i] = row.center;
    scale[i] = row.scale;
    shift[i] = row.shift;
  }
};

// The same of the next rows, which are one piece each: `group` of them, if so many are left; how many they were.
template <bool kCentered, class T>
HWY_NOINLINE size_t MeasureGroup(const T* x, const RowsToNormalize& rows, size_t begin, size_t group, double share,
                                 RowAffines* found) {
  x += begin * rows.x_stride;
  const size_t row = rows.first_row + begin, left = rows.rows - begin;
  const size_t count = HWY_MIN(group, left - left % kSummedRows<kCentered>);
  if (count <= 1) {
    found->Set(0, MeasureOne<kCentered, kPairedBlocks>(x, rows, row, share));
    return 1;
  }
  constexpr size_t kRows = kSummedRows<kCentered>;
  Quad sum_parts[kGroup * kQuads], square_parts[kGroup * kQuads], sums[kQuads], squares[kQuads];
  for (size_t r = 0; r < count; r += kRows) {
    Accumulators sum[kRows], square[kRows];
    SumPieces<kCentered, false, kRows, kPairedBlocks>(x + r * rows.x_stride, rows.x_stride, rows.length, 0, sum,
                                                      square);
    NN_UNROLLED
    for (size_t k = 0; k < kRows; ++k) {
      sum[k].StoreParts(sum_parts + (r + k) * kQuads);
      square[k].StoreParts(square_parts + (r + k) * kQuads);
    }
  }
  Accumulators::FourTotals(sum_parts, count, sums);
  Accumulators::FourTotals(square_parts, count, squares);
  // Judge and AffineOf
  constexpr hn::Rebind<float, decltype(kQuad)> narrow;
  const Quad zero = hn::Zero(kQuad), part = hn::Set(kQuad, share);
  alignas(16) float means[kGroup], variances[kGroup];
  bool good = true;
  NN_UNROLLED
  for (size_t q = 0; q < kQuads; ++q) {
    const size_t at = q * (kGroup / kQuads);
    const Quad mean = hn::Mul(sums[q], part), excess = hn::Mul(sums[q], mean), m2 = hn::Sub(squares[q], excess);
    const auto is_finite = hn::Le(squares[q], hn::Set(kQuad, kLargestSum));
    const auto is_near = hn::Le(excess, hn::Mul(hn::Set(kQuad, kTrustedRatio), m2));
    good &= hn::AllTrue(kQuad, hn::And(is_finite, is_near));
    const auto variance = hn::DemoteTo(narrow, hn::Mul(hn::IfThenElseZero(hn::Gt(m2, zero), m2), part));
    const auto rounded = hn::DemoteTo(narrow, mean);
    hn::StoreU(rounded, narrow, means + at);
    hn::StoreU(variance, narrow, variances + at);
    const Quad spread = hn::Add(hn::PromoteTo(kQuad, variance), hn::Set(kQuad, rows.eps));
    const Quad inverse = hn::Div(hn::Set(kQuad, 1.0), hn::Sqrt(spread));
    const auto is_huge = hn::Eq(inverse, zero);
    const Quad center = hn::IfThenZeroElse(is_huge, hn::PromoteTo(kQuad, rounded));
    const Quad rounded_away = hn::IfThenZeroElse(is_huge, hn::Sub(mean, center));
    hn::StoreU(hn::DemoteTo(narrow, center), narrow, found->center + at);
    hn::StoreU(hn::DemoteTo(narrow, inverse), narrow, found->scale + at);
    hn::StoreU(hn::DemoteTo(narrow, hn::Mul(hn::Neg(rounded_away), inverse)), narrow, found->shift + at);
  }
  if (good) {
    for (size_t r = 0; rows.mean != nullptr && r < count; ++r) rows.mean[row + r] = means[r];
    for (size_t r = 0; rows.variance != nullptr && r < count; ++r) rows.variance[row + r] = variances[r];
    return count;
  }
  alignas(32) double sum[kGroup], square[kGroup];
  for (size_t q = 0; q < kQuads; ++q) {
    hn::Store(sums[q], kQuad, sum + q * (kGroup / kQuads));
    hn::Store(squares[q], kQuad, square + q * (kGroup / kQuads));
  }
  for (size_t r = 0; r < count; ++r) {
    found->Set(r, AffineOf<kCentered>({sum[r], square[r]}, x + r * rows.x_stride, rows, row + r, share));
  }
  return count;
}

// How many rows go together: so many that they are in the first-level cache still when they are written. Beside memory
// those that are prefetched meanwhile have to be there too (LayerNorm of 4096x768, AVX-512: by four 1.08 times as long
// as by two; of 512x3072 by two 1.05 times as long as one by one; of 16384x768, AVX2, 1.15 times).
template <bool kCentered, class T>
size_t GroupOf(const RowsToNormalize& rows) {
  constexpr size_t kBytes = 16384;
  const size_t bytes = rows.length * sizeof(T);
  if (rows.length > kPiece) return 1;
  if (rows.prefetch || rows.stream) {
    if (kGroup * bytes <= kBytes / 2) return kGroup;
    return kSummedRows<kCentered> * bytes <= kBytes ? kSummedRows<kCentered> : 1;
  }
  return kGroup * bytes <= kBytes ? kGroup : 1;
}

// How far ahead the lines to be written are prefetched. RmsNorm of 512x4096, 17 MB, takes 460 us without, 350 with, and
// 390 where the next row alone is prefetched; LayerNorm of 1400x768, 9 MB, 5 % longer with (EPYC 7003, AVX2, 2
// threads).
constexpr size_t kWriteAhead = 1024;

// With kInPairs the weight's offset is in `weights` already.
template <bool kInPairs, class Set, class T, class Weights, class Biases>
HWY_INLINE void NormalizeRow(Set set, const T* x, T* y, RowAffine row, const RowsToNormalize& rows,
                             const Weights& weights, const Biases& biases, size_t ahead) {
  const Floats center = hn::Set(kFloats, row.center);
  const Floats scale = hn::Set(kFloats, row.scale);
  const Floats shift = hn::Set(kFloats, row.shift);
  const Floats offset = hn::Set(kFloats, rows.weight_offset);
  const auto value = [&](auto offsetting, auto lanes, size_t i) NN_INLINED {
    const auto weight_at = [&]() NN_INLINED {
      const Floats w = weights.At(lanes, i);
      return offsetting.value && !kInPairs ? hn::Add(w, offset) : w;
    };
    const Floats v = Load(lanes, x + i);
    Floats result = hn::Mul(v, scale);
    if constexpr (kHas<kCentered, Set>) result = hn::MulAdd(hn::Sub(v, center), scale, shift);
    if constexpr (kReads<kWeight, Set> && kReads<kBias, Set>) {
      result = hn::MulAdd(result, weight_at(), biases.At(lanes, i));
    } else if constexpr (kReads<kWeight, Set>) {
      result = hn::Mul(result, weight_at());
    } else if constexpr (kReads<kBias, Set>) {
      result = hn::Add(result, biases.At(lanes, i));
    }
    return Has<kRelu>(set) ? Relu(result) : result;
  };
  const auto write = [&](auto prefetching, auto streaming, auto offsetting) NN_INLINED {
    Write<streaming.value, kUnroll, kInPairs>(y, rows.length, [&](auto lanes, size_t i, size_t k) NN_INLINED {
      if constexpr (prefetching.value) Prefetch(k, x + i + ahead);
      if constexpr (prefetching.value && !streaming.value) Prefetch(k, y + i + kWriteAhead);
      return value(offsetting, lanes, i);
    });
  };
  // With non-temporal stores an addition costs nothing; other rows without an offset have loops without it.
  const auto keep = [&](auto offsetting) NN_INLINED {
    Choose(rows.prefetch, [&](auto prefetching) NN_INLINED { write(prefetching, Index<false>(), offsetting); });
  };
  if (rows.stream) {
    write(Index<true>(), Index<true>(), Index<true>());
  } else if constexpr (kReads<kWeight, Set> && !kInPairs) {
    Choose(rows.weight_offset != 0, keep);
  } else {
    keep(Index<false>());
  }
}

// Rows up to this length are measured before the one before them is written: from the last sum to the first result each
// number waits for the one before (LayerNorm of 128x768 takes 0.9 of the time).
constexpr size_t kMeasuredEarly = 1024;

// body(offset of the row, the row, how far ahead another is prefetched) for each row.
template <bool kCenters, class T, class Body>
HWY_INLINE void ForMeasuredRows(const T* x, const RowsToNormalize& rows, const Body& body) {
  const double share = 1 / static_cast<double>(rows.length);
  const size_t group = GroupOf<kCenters, T>(rows);
  const bool early = rows.length <= kMeasuredEarly && (group == kGroup || (!rows.prefetch && !rows.stream));
  const size_t ahead = early ? group + 1 : group;
  // The first row goes alone: 1 of 64 takes 0.95 of the time.
  RowAffine row = MeasureOne<kCenters, kBlocksAlone>(x, rows, rows.first_row, share);
  RowAffines found;
  size_t first = 0, end = 1;  // which rows are found
  const auto measure = [&]() NN_INLINED {
    first = end;
    end += MeasureGroup<kCenters>(x, rows, first, group, share, &found);
  };
  for (size_t r = 0;;) {
    const bool is_last_found = r + 1 == end && end < rows.rows;
    if (early && is_last_found) measure();
    body(r, row, r + ahead < rows.rows ? ahead * rows.x_stride : 0);
    if (!early && is_last_found) measure();
    if (++r == rows.rows) break;
    row = found[r - first];
  }
}

// By pairs of vectors. A function of its own: its copies take 32 KB of the stack, which rows that are prefetched drive
// out of the cache where sets conflict (RmsNorm of 512x4096: 1.15 times as long). Beside memory waiting for rows takes
// longer (6144x4096: 1.6 times as long without).
template <class Set, class T>
HWY_NOINLINE void NormalizeByPairs(Set set, const T* x, T* y, const RowsToNormalize& rows) {
  const RowParameterPairs<kWeight, Set> weights(set, rows.weight, rows.weight_offset, rows.length);
  const RowParameterPairs<kBias, Set> biases(set, rows.bias, -0.0f, rows.length);
  ForMeasuredRows<kHas<kCentered, Set>>(x, rows, [&](size_t r, RowAffine row, size_t ahead) NN_INLINED {
    if (!rows.stream && SetsConflict<T>(rows.x_stride)) ahead = 0;
    NormalizeRow<true>(set, x + r * rows.x_stride, y + r * rows.y_stride, row, rows, weights, biases, ahead);
  });
}

// y = (x - mean) / sqrt(variance + eps) * (weight + offset) + bias
template <class Set, class T>
void row_normalize(Set set, const T* x, T* y, const RowsToNormalize& rows) {
  if constexpr (kHasPairs<T>) {
    constexpr size_t kLeast = 4;
    if (rows.rows >= kLeast && rows.period == 1 && rows.length <= kMostPaired &&
        (!rows.stream || StreamsAligned(y, rows.y_stride))) {
      return NormalizeByPairs(set, x, y, rows);
    }
  }
  const bool has_weight = Has<kWeight>(set), has_bias = Has<kBias>(set);
  ForMeasuredRows<kHas<kCentered, Set>>(x, rows, [&](size_t r, RowAffine row, size_t ahead) NN_INLINED {
    const size_t parameters = rows.period == 1 ? 0 : (rows.first_row + r) % rows.period * rows.length;
    const RowParameters<kWeight, Set> weights(set, has_weight ? rows.weight + parameters : nullptr);
    const RowParameters<kBias, Set> biases(set, has_bias ? rows.bias + parameters : nullptr);
    NormalizeRow<false>(set, x + r * rows.x_stride, y + r * rows.y_stride, row, rows, weights, biases, ahead);
  });
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ROW_NORMALIZE_INL_H_
