// The driver of rows forward.
#include <type_traits>

#include "kernels/order.h"
#include "plan/rows.h"
#include "threads/workers.h"

namespace nn {
namespace {

// The mean square of a row's distances from its mean, or from 0.
double SpreadOf(const Plan& p, const Input& x, const RowsToNormalize& rows) {
  const Pieces pieces(1, rows.length);
  const auto sum = [&](float pivot) {
    PivotSums total = {0, 0};
    for (size_t i = 0; i < pieces.count; ++i) {
      const Pieces::Piece piece = pieces[i];
      total += p.kernels->pivot_sums[kPlain](x.At(piece.begin), 1, piece.length, 0, pivot);
    }
    return total;
  };
  const Unit unit = {1, rows.length, 0, 1, 0, 0, 0};
  const double share = 1 / unit.Values();
  if (!rows.centered) return sum(0).squares * share;
  return MeasureUnit(unit.Values(), share, sum, [&] { return p.loops->exact_moments(unit, x.At(0), true); }).m2 * share;
}

using RowNormalize = std::remove_extent_t<decltype(KernelTable::row_normalize)>;

// Row by row, with a check of each: a row whose variance is too small is outside (exact.h).
void ForwardByRows(const Plan& p, Input x, Output y, RowsToNormalize rows, RowNormalize row_normalize) {
  const size_t count = rows.rows;
  rows.rows = 1;
  for (size_t r = 0; r < count; ++r, ++rows.first_row, x = x.From(rows.length), y = y.From(rows.length)) {
    if (SpreadOf(p, x, rows) + p.eps < kLeastVariance) {
      p.loops->exact_row_forward(x.At(0), y.At(0), rows, rows.first_row);
    } else {
      row_normalize(x.At(0), y.At(0), rows);
    }
  }
}

}  // namespace

int RowsForward(const Plan& p, const Forward& data) {
  const RowShape shape = ShapeOf(p);
  const size_t parts = Parts(p, shape.rows);
  const bool prefetch = p.Prefetches(p.ForwardBytes()),
             stream = p.StreamsRuns(p.ForwardBytes(), data.IsInPlace(), shape.length);
  const unsigned options = p.Options() | OptionIf(p.operation != NN_RMS, kCentered) |
                           OptionIf(data.weight != nullptr, kWeight) | OptionIf(data.bias != nullptr, kBias);
  const RowNormalize row_normalize = p.kernels->row_normalize[options];
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(shape.rows, parts, i);
    const size_t at = range.begin * shape.length;
    const RowsToNormalize rows = {p.operation != NN_RMS,
                                  shape.length,
                                  shape.period,
                                  range.begin,
                                  range.end - range.begin,
                                  p.eps,
                                  data.weight,
                                  data.bias,
                                  data.mean,
                                  data.variance,
                                  p.relu,
                                  prefetch,
                                  stream};
    if (p.eps < kLeastVariance) {
      ForwardByRows(p, data.src.From(at), data.dst.From(at), rows, row_normalize);
    } else {
      row_normalize(data.src.At(at), data.dst.At(at), rows);
    }
    EndStream(stream);
  });
  return NN_OK;
}

}  // namespace nn
