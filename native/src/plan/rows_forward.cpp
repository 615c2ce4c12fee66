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
  for (size_t r = 0; r < count; ++r, ++rows.first_row, x = x.From(rows.x_stride), y = y.From(rows.y_stride)) {
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
  const RowPlaces from = PlacesOf(p, shape, p.src_stride), to = PlacesOf(p, shape, p.dst_stride);
  const bool is_part = data.part.count != 0;
  const size_t count = is_part ? data.part.count : shape.rows, parts = is_part ? 1 : Parts(p, count);
  // Single rows are all as far apart: one run.
  const bool single = p.rows_together == 1;
  const bool prefetch = p.PrefetchesRows(shape.length),
             stream = p.StreamsRuns(p.ForwardBytes(), data.IsInPlace(), shape.length);
  const unsigned options = p.Options() | OptionIf(p.operation != NN_RMS, kCentered) |
                           OptionIf(data.weight != nullptr, kWeight) | OptionIf(data.bias != nullptr, kBias);
  const RowNormalize row_normalize = p.kernels->row_normalize[options];
  const auto normalize = [&](size_t first, size_t some) {
    const RowsToNormalize rows = {p.operation != NN_RMS,
                                  shape.length,
                                  single ? from.stride : shape.length,
                                  single ? to.stride : shape.length,
                                  shape.period,
                                  first,
                                  some,
                                  p.eps,
                                  data.weight,
                                  p.weight_offset,
                                  data.bias,
                                  data.mean,
                                  data.variance,
                                  p.relu,
                                  prefetch,
                                  stream};
    const Input x = data.src.From(from[first]);
    const Output y = data.dst.From(to[first]);
    if (p.eps < kLeastVariance) {
      ForwardByRows(p, x, y, rows, row_normalize);
    } else {
      row_normalize(x.At(0), y.At(0), rows);
    }
  };
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(count, parts, i);
    ForRowsTogether(single ? shape.rows : p.rows_together, data.part.first + range.begin, data.part.first + range.end,
                    normalize);
    EndStream(stream);
  });
  return NN_OK;
}

}  // namespace nn
