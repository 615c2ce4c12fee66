// The order of sums (docs/order-of-sums.md), for drivers and kernels: how a unit is cut into pieces and blocks.
#ifndef NATIVENORM_ORDER_H_
#define NATIVENORM_ORDER_H_

#include <stddef.h>

#include "kernels/kernels.h"

namespace nn {

// Along memory.
constexpr size_t kAccumulators = 32;
constexpr size_t kBlock = 512;
constexpr size_t kPiece = 16384;

// Runs of `length` neighbours in pieces: parts of a run, or whole runs.
struct Pieces {
  size_t runs;
  size_t length;
  size_t per_run;   // 1 or more pieces, where a run is longer than one
  size_t together;  // runs in a piece
  size_t count;

  Pieces(size_t runs, size_t length)
      : runs(runs),
        length(length),
        per_run(length > kPiece ? (length + kPiece - 1) / kPiece : 1),
        together(length > kPiece ? 1 : kPiece / length),
        count(length > kPiece ? runs * per_run : (runs + together - 1) / together) {}

  // A piece: its runs, where in them it begins and how long its part of each is.
  struct Piece {
    size_t first_run;
    size_t runs;
    size_t begin;
    size_t length;
  };

  Piece operator[](size_t i) const {
    if (per_run > 1) {
      const size_t begin = i % per_run * kPiece;
      return {i / per_run, 1, begin, length - begin < kPiece ? length - begin : kPiece};
    }
    const size_t first = i * together;
    return {first, runs - first < together ? runs - first : together, 0, length};
  }
};

// Columns.
// How many rows are added up in floats before they go into a double, and how many before they go into a block's sum: of
// sums whose roundings all go the same way 48 lose 2.0e-7 by fours, 24 one after the other 3.9e-7. With 24 by fours,
// which lose 1.0e-7, gradients of 4x128x128x64 take 1.08 times as long (AVX-512), 1.16 (AVX2): doubles are added that
// often.
constexpr size_t kBlockRows = 48;
constexpr size_t kSummedTogether = 4;

// How many neighbouring rows are summed up as one, so that it is whole vectors on every instruction set (AVX2: 10 us
// for 18 with 61 columns, 5 for 32 with 10). No wider than this, as sums, parameters and four rows of x and of dy are
// to fit in the first-level cache: folded to 976 columns 61 took 1.09 times as long as to 488, whose tail is not a
// whole vector with AVX-512. And so many rows at least, below which folding takes longer than it saves.
constexpr size_t kWidestFolded = 512;
constexpr size_t kLeastFolded = 16;
inline size_t FoldedRows(size_t rows, size_t columns) {
  size_t folds = 1;
  while (folds * columns % kColumnPadding != 0 && 2 * folds * columns <= kWidestFolded) folds *= 2;
  return rows >= kLeastFolded * folds ? folds : 1;
}

// Statistics are sums of distances from a pivot, so that a large mean costs no digits. They lose as many as the
// pivot's squared distance from the mean is larger than the variance; beyond this ratio (4 standard deviations: one
// in 16,000 of normal values) the mean that came out is the next pivot.
constexpr double kTrustedRatio = 16;
// Squares of floats above 1.8e19 overflow: such values are summed up in doubles.
constexpr double kLargestSum = 1.7976931348623157e308;

// Whether float sums of a unit are good.
enum class Trust { kGood, kOtherPivot, kDoubles };

// Judges sums around 0, over 1 / share values, and gives the moments.
__attribute__((always_inline)) inline Trust Judge(PivotSums sums, double share, Moments* moments) {
  const double offset = sums.sum * share;
  const double excess = sums.sum * offset;
  const double m2 = sums.squares - excess;
  *moments = {offset, m2 > 0 ? m2 : 0};
  if (!(sums.squares <= kLargestSum)) return Trust::kDoubles;  // infinite or not a number
  return excess <= kTrustedRatio * m2 ? Trust::kGood : Trust::kOtherPivot;
}

// Stands for the m2 of a column whose float sums around 0 cannot be trusted.
constexpr double kDistrusted = -1;

// Judges sums around a pivot near the mean. With a division m2 is exactly 0 where all n values are the same.
inline Trust JudgeAround(float pivot, PivotSums sums, double n, Moments* moments) {
  const double offset = sums.sum / n;
  const double m2 = sums.squares - sums.sum * offset;
  *moments = {pivot + offset, m2 > 0 ? m2 : 0};
  return sums.squares <= kLargestSum ? Trust::kGood : Trust::kDoubles;
}

// The moments of n values, each `share` of their mean, from sum(pivot), their sums around a pivot; in_doubles() gives
// them where float sums cannot be trusted. Inlined: a call took each unit of InstanceNorm 10 ns, of the 60 that one of
// 49 elements takes.
template <class Sum, class InDoubles>
__attribute__((always_inline)) inline Moments MeasureUnit(double n, double share, const Sum& sum,
                                                          const InDoubles& in_doubles) {
  Moments found;
  Trust trust = Judge(sum(0.0f), share, &found);
  if (trust == Trust::kOtherPivot) {
    const float pivot = static_cast<float>(found.mean);
    trust = JudgeAround(pivot, sum(pivot), n, &found);
  }
  return trust == Trust::kDoubles ? in_doubles() : found;
}

}  // namespace nn

#endif  // NATIVENORM_ORDER_H_
