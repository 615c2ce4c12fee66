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
#include "kernels/storage-inl.h"

namespace nn {
namespace NN_TARGET {

// xhat = (x - center) * scale + shift of one row.
struct RowAffine {
  float center;
  float scale;
  float shift;
};

// The sums of rows around a pivot; of RMS the squares alone.
template <bool kCentered, bool kPivot, size_t kRows, class T>
HWY_INLINE void SumRows(const T* x, size_t stride, size_t length, float pivot, PivotSums* totals) {
  const Floats center = hn::Set(kFloats, pivot);
  for (size_t begin = 0; begin < length; begin += kPiece) {
    const size_t n = HWY_MIN(kPiece, length - begin);
    Accumulators sums[kRows], squares[kRows];
    SweepBlocks<kCentered ? 1 : kPairedBlocks>(
        1, n, 0,
        [&](auto lanes, size_t i, size_t k) NN_INLINED {
          NN_UNROLLED
          for (size_t row = 0; row < kRows; ++row) {
            Floats v = Load(lanes, x + row * stride + begin + i);
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
    NN_UNROLLED
    for (size_t row = 0; row < kRows; ++row) {
      PivotSums piece = {0, 0};
      if constexpr (kCentered) {
        Accumulators::Totals(sums[row], squares[row], &piece.sum, &piece.squares);
      } else {
        piece.squares = squares[row].Total();
      }
      totals[row].sum += piece.sum;
      totals[row].squares += piece.squares;
    }
  }
}

// The moments of a row whose float sums around 0 cannot be trusted. A function of its own: with its loops in Measure
// a row of 64 takes 8 % longer.
template <bool kCentered, class T>
HWY_NOINLINE Moments MeasureAgain(const T* x, size_t length, Trust trust, Moments found) {
  if (trust == Trust::kOtherPivot) {
    const float pivot = static_cast<float>(found.mean);
    PivotSums total = {0, 0};
    SumRows<true, true, 1>(x, 0, length, pivot, &total);
    trust = JudgeAround(pivot, total, static_cast<double>(length), &found);
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

template <bool kCentered, class T>
HWY_NOINLINE RowAffine Measure(const T* x, const RowsToNormalize& rows, size_t row, double share) {
  PivotSums total = {0, 0};
  SumRows<kCentered, false, 1>(x, 0, rows.length, 0, &total);
  return AffineOf<kCentered>(total, x, rows, row, share);
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

struct TwoRowAffines {
  RowAffine first, second;
};
template <class T>
HWY_NOINLINE TwoRowAffines MeasureTwo(const T* x, const RowsToNormalize& rows, size_t row, double share) {
  PivotSums totals[2] = {{0, 0}, {0, 0}};
  SumRows<true, false, 2>(x, rows.x_stride, rows.length, 0, totals);
  return {AffineOf<true>(totals[0], x, rows, row, share),
          AffineOf<true>(totals[1], x + rows.x_stride, rows, row + 1, share)};
}

// Whether rows are measured by two, as the two accumulators that AVX-512 has for each sum wait for each other. Where
// floats are in the caches these take the time, and read one row at once: LayerNorm of 4096x768 takes 0.9 of the time
// by two, of 128x768 1.05, in BF16 0.9 as well.
template <bool kCentered>
constexpr bool kMayMeasureTwo = kCentered&& kSumVectors < kUnroll;
template <class T>
bool MeasuresTwo(const RowsToNormalize& rows) {
  constexpr size_t kShort = 256;
  return sizeof(T) == 2 || rows.length <= kShort || rows.prefetch || rows.stream;
}

// How far ahead the lines to be written are prefetched. RmsNorm of 512x4096, 17 MB, takes 460 us without, 350 with, and
// 390 where the next row alone is prefetched; LayerNorm of 1400x768, 9 MB, 5 % longer with (EPYC 7003, AVX2, 2
// threads).
constexpr size_t kWriteAhead = 1024;

template <class Set, class T>
HWY_INLINE void NormalizeRow(Set set, const T* x, T* y, RowAffine row, const RowsToNormalize& rows, const float* weight,
                             const float* bias, size_t ahead) {
  const Floats center = hn::Set(kFloats, row.center);
  const Floats scale = hn::Set(kFloats, row.scale);
  const Floats shift = hn::Set(kFloats, row.shift);
  const Floats offset = hn::Set(kFloats, rows.weight_offset);
  const RowParameters<kWeight, Set> weights(set, weight);
  const RowParameters<kBias, Set> biases(set, bias);
  const auto value = [&](auto offsetting, auto lanes, size_t i) NN_INLINED {
    const auto weight_at = [&]() NN_INLINED {
      const Floats w = weights.At(lanes, i);
      return offsetting.value ? hn::Add(w, offset) : w;
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
    Write<streaming.value, prefetching.value ? 2 : kUnroll>(y, rows.length,
                                                            [&](auto lanes, size_t i, size_t k) NN_INLINED {
                                                              if constexpr (prefetching.value)
                                                                Prefetch(k, x + i + ahead);
                                                              if constexpr (prefetching.value && !streaming.value)
                                                                Prefetch(k, y + i + kWriteAhead);
                                                              return value(offsetting, lanes, i);
                                                            });
  };
  // Beside memory an addition costs nothing; rows in caches without an offset have a loop without it.
  if (rows.stream) {
    write(Index<true>(), Index<true>(), Index<true>());
  } else if (rows.prefetch) {
    write(Index<true>(), Index<false>(), Index<true>());
  } else if constexpr (kReads<kWeight, Set>) {
    Choose(rows.weight_offset != 0,
           [&](auto offsetting) NN_INLINED { write(Index<false>(), Index<false>(), offsetting); });
  } else {
    write(Index<false>(), Index<false>(), Index<false>());
  }
}

// Rows up to this length are measured before the one before them is written: from the last sum to the first result each
// number waits for the one before (LayerNorm of 128x768 takes 0.9 of the time).
constexpr size_t kMeasuredEarly = 1024;

// y = (x - mean) / sqrt(variance + eps) * (weight + offset) + bias
template <class Set, class T>
void row_normalize(Set set, const T* x, T* y, const RowsToNormalize& rows) {
  const bool has_weight = Has<kWeight>(set), has_bias = Has<kBias>(set);
  const double share = 1 / static_cast<double>(rows.length);
  constexpr bool kCenters = kHas<kCentered, Set>;
  const bool two = kMayMeasureTwo<kCenters> && MeasuresTwo<T>(rows);
  const bool is_block = rows.length <= kBlock;
  const auto measure_one = [&](size_t r) NN_INLINED {
    const T* from = x + r * rows.x_stride;
    return is_block ? MeasureBlock<kCenters>(from, rows, rows.first_row + r, share)
                    : Measure<kCenters>(from, rows, rows.first_row + r, share);
  };
  RowAffine row = measure_one(0), next = row, second = row;
  bool has_second = false;  // of two rows that were measured together, the one behind the next
  const auto measure = [&](size_t r) NN_INLINED {
    if constexpr (kMayMeasureTwo<kCenters>) {
      if (has_second) {
        next = second;
        has_second = false;
        return;
      }
      if (two && r + 1 < rows.rows) {
        const TwoRowAffines both = MeasureTwo(x + r * rows.x_stride, rows, rows.first_row + r, share);
        next = both.first;
        second = both.second;
        has_second = true;
        return;
      }
    }
    next = measure_one(r);
  };
  const bool early = rows.length <= kMeasuredEarly && !rows.prefetch && !rows.stream;
  const size_t ahead = two ? 2 : 1;
  for (size_t r = 0; r < rows.rows; ++r, row = next) {
    const bool is_last = r + 1 == rows.rows;
    if (early && !is_last) measure(r + 1);
    const size_t parameters = rows.period == 1 ? 0 : (rows.first_row + r) % rows.period * rows.length;
    NormalizeRow(set, x + r * rows.x_stride, y + r * rows.y_stride, row, rows,
                 has_weight ? rows.weight + parameters : nullptr, has_bias ? rows.bias + parameters : nullptr,
                 r + ahead < rows.rows ? ahead * rows.x_stride : 0);
    if (!early && !is_last) measure(r + 1);
  }
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ROW_NORMALIZE_INL_H_
