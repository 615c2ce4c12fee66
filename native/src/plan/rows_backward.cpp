// The driver of rows backward: the gradients of rows, and of weight and bias.
#include <type_traits>

#include "plan/row_sums.h"
#include "plan/rows.h"
#include "plan/scratch.h"
#include "threads/workers.h"

namespace nn {
namespace {

// The operands of some rows.
struct RowOperands {
  Input x;
  Input dy;
  Input y;
  Output dx;

  RowOperands From(size_t element) const {
    return {x.From(element), dy.From(element), y.From(element), dx.From(element)};
  }
};

// Where the operands' rows lie.
class RowsOf {
 public:
  RowsOf(const Plan& p, const RowShape& shape, const Backward& data) : p_(p), shape_(shape), data_(data) {}

  RowOperands operator[](size_t row) const {
    return {data_.src.From(At(row, p_.src_stride)), data_.diff_dst.From(At(row, p_.diff_dst_stride)),
            data_.dst.From(At(row, p_.dst_stride)), data_.diff_src.From(At(row, p_.diff_src_stride))};
  }

 private:
  size_t At(size_t row, size_t stride) const { return PlacesOf(p_, shape_, stride)[row]; }

  const Plan& p_;
  const RowShape& shape_;
  const Backward& data_;
};

using RowGradient = std::remove_extent_t<decltype(KernelTable::row_gradient)>;

RowGradient KernelOf(const Plan& p, const RowsToDifferentiate& rows) {
  const unsigned options = p.Options() | OptionIf(rows.centered, kCentered) |
                           OptionIf(rows.weight != nullptr, kWeight) |
                           OptionIf(rows.weight_gradient != nullptr, kParameterSums);
  return p.kernels->row_gradient[options];
}

// Rows that follow each other. Those that are outside (exact.h) add to the doubles: a float sum of 64 such rows would
// leave the range of floats too.
// Not copied: reading in one what was just written field by field takes 15 ns.
void BackwardByRows(const Plan& p, RowOperands& at, RowsToDifferentiate& rows, const RowPieceSums& sums) {
  const auto row_gradient = KernelOf(p, rows);
  size_t left = rows.rows;
  for (;;) {
    const size_t done = row_gradient(at.x.At(0), at.dy.At(0), at.y.At(0), at.dx.At(0), rows);
    if (done == left) return;
    at = at.From(done * rows.length);
    p.loops->exact_row_backward(at.x.At(0), at.dy.At(0), at.y.At(0), at.dx.At(0), rows, rows.first_row + done,
                                sums.AsSums());
    at = at.From(rows.length);
    left -= done + 1;
    if (left == 0) return;
    rows.rows = left;
    rows.first_row += done + 1;
  }
}

// Sums a piece up again in doubles because a sum of it is not finite: floats have left their range, which the sums of
// its rows may not show. Also computes again the gradients of those rows that have left it.
void AgainInDoubles(const Plan& p, const RowShape& shape, const Backward& data, const float* weight,
                    const RowsOf& operands, size_t first, size_t count, const RowPieceSums& sums) {
  *sums.in_doubles = false;
  const RowsToDifferentiate rows = {
      p.operation != NN_RMS, shape.length, shape.period, 0,     1,       p.eps, weight, data.mean,
      data.variance,         nullptr,      nullptr,      false, nullptr, false};
  for (size_t r = first; r < first + count; ++r) {
    const RowOperands at = operands[r];
    const void* x = at.x.At(0);
    const void* dy = at.dy.At(0);
    const void* y = at.y.At(0);
    const Unit unit = {1, shape.length, 0, 1, r % shape.period * shape.length, 0, 1};
    const Moments found = p.loops->exact_moments(unit, x, rows.centered);
    ParameterSums to = sums.AsSums();
    to.weight += unit.first_channel;
    to.bias += unit.first_channel;
    p.loops->exact_sums(unit, x, dy, y, weight, found.mean, InverseDeviation(found.m2 / unit.Values(), p.eps, false),
                        to);
    if (data.WantsInput() && p.loops->leaves_range(dy, y, shape.length, data.variance[r], p.eps)) {
      p.loops->exact_row_backward(x, dy, y, at.dx.At(0), rows, r, {nullptr, nullptr, 1});
    }
  }
}

// The gradients of a row alone, in the caller's arrays. False if it is not that, or if doubles are needed: then nothing
// counts of what is written. What several rows need beside this takes as long again as one row of 64.
bool DifferentiatedOne(const Plan& p, const Backward& data) {
  const bool wants_all = data.WantsInput() && data.diff_weight != nullptr &&
                         (data.diff_bias != nullptr || p.operation == NN_RMS) && data.variance[0] != 0;
  if (!wants_all || (p.weight_offset != 0 && data.weight != nullptr)) return false;
  const bool in_place = data.IsInPlace();
  bool finite = true;
  const RowsToDifferentiate rows = {p.operation != NN_RMS,
                                    p.channels,
                                    1,
                                    0,
                                    1,
                                    p.eps,
                                    data.weight,
                                    data.mean,
                                    data.variance,
                                    data.diff_weight,
                                    data.diff_bias,
                                    p.StreamsRuns(p.BackwardBytes(), in_place, p.channels),
                                    &finite,
                                    true};
  const size_t done = KernelOf(p, rows)(data.src.At(0), data.diff_dst.At(0), data.dst.At(0), data.diff_src.At(0), rows);
  EndStream(rows.stream);
  return done == 1 && (finite || in_place);
}

// The weight as it multiplies. A pass over it here, of all rows together, is little; in the kernels an addition more
// would be paid by every row without an offset.
const float* AddOffset(float* to, const float* weight, float offset, size_t length) {
  for (size_t j = 0; j < length; ++j) to[j] = weight[j] + offset;
  return to;
}

}  // namespace

int RowsBackward(const Plan& p, const Backward& data) {
  const RowShape shape = ShapeOf(p);
  if (shape.rows == 1 && DifferentiatedOne(p, data)) return NN_OK;
  const RowsOf operands(p, shape, data);
  const bool sums = data.diff_weight != nullptr || data.diff_bias != nullptr;
  const size_t columns = sums ? shape.length * shape.period : 0;
  const RowBlocks blocks(shape.rows, shape.length);
  const size_t pieces = sums ? blocks.pieces : 0;
  // A single piece adds up in the caller's arrays.
  const bool wants_bias = data.diff_bias != nullptr, direct = pieces == 1, one_thread = p.team.threads == 1;
  const size_t places = one_thread && pieces > 1 ? 1 : pieces;
  const bool has_offset = p.weight_offset != 0 && data.weight != nullptr;
  const size_t parts = Parts(p, sums ? pieces : shape.rows);
  // Gradients of rows that are not wanted: those of a few rows, which kernels take together, stay in the first-level
  // cache.
  constexpr size_t kUnwanted = 4;
  const size_t unwanted = data.WantsInput() ? 0 : Scratch::Bytes<char>(kUnwanted * shape.length * p.element_bytes);
  Scratch scratch(AllRowSums::Bytes(places, columns) + Scratch::Bytes<float>(has_offset ? shape.length : 0) +
                  parts * unwanted);
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const float* const weight =
      has_offset ? AddOffset(scratch.Take<float>(shape.length), data.weight, p.weight_offset, shape.length)
                 : data.weight;
  const AllRowSums all(*p.kernels, scratch, places, columns, wants_bias || p.operation != NN_RMS,
                       direct ? data.diff_weight : nullptr, direct ? data.diff_bias : nullptr);
  char* const nowhere = unwanted == 0 ? nullptr : scratch.Take<char>(parts * unwanted);
  const bool in_place = data.IsInPlace();
  const bool stream = data.WantsInput() && p.StreamsRuns(p.BackwardBytes(), in_place, shape.length);
  const auto differentiate = [&](size_t part, size_t row, size_t count, const RowPieceSums& to, bool* finite) {
    RowsToDifferentiate rows = {
        p.operation != NN_RMS, shape.length, shape.period, row,    count,  p.eps, weight, data.mean,
        data.variance,         to.weight,    to.bias,      stream, finite, false};
    ForRowsTogether(p.rows_together, row, row + count, [&](size_t first, size_t some) {
      const size_t end = first + some, step = nowhere == nullptr ? some : kUnwanted;
      for (; first < end; first += step) {
        rows.first_row = first;
        rows.rows = end - first < step ? end - first : step;
        RowOperands at = operands[first];
        if (nowhere != nullptr) at.dx = Output(nowhere + part * unwanted, p.element_bytes);
        BackwardByRows(p, at, rows, to);
      }
    });
  };
  if (!sums) {
    Parallel(p.team, parts, [&](size_t i) {
      const Range range = PartOf(shape.rows, parts, i);
      bool in_doubles = true, has_exact = false, finite;
      differentiate(i, range.begin, range.end - range.begin,
                    {nullptr, nullptr, nullptr, nullptr, nullptr, 0, &in_doubles, &has_exact}, &finite);
      EndStream(stream);
    });
    return NN_OK;
  }
  const auto all_finite = p.kernels->all_finite[kPlain];
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(pieces, parts, i);
    for (size_t piece = range.begin; piece < range.end; ++piece) {
      const RowPieceSums to = all[piece];
      to.Begin();
      bool finite = true;
      blocks.ForAll(piece, [&](size_t row, size_t count) {
        differentiate(i, row, count, to, &finite);
        // Of one row the kernel has checked dweight, and dbias is dy itself.
        if (shape.rows > 1) {
          finite &= all_finite(to.weight, columns) && (!wants_bias || all_finite(to.bias, columns));
        }
        if (blocks.per_piece > 1 || *to.in_doubles) to.EndBlock();
      });
      if (*to.has_exact) finite &= to.AreDoublesFinite(wants_bias);
      if (!finite && !in_place)
        AgainInDoubles(p, shape, data, weight, operands, blocks.First(piece), blocks.Rows(piece), to);
      if (places < pieces) all.Add(piece);
    }
    EndStream(stream);
  });
  if (places < pieces) {
    all.Store(data.diff_weight, data.diff_bias);
  } else if (!direct || *all[0].in_doubles) {
    all.StoreAll(p.team, data.diff_weight, data.diff_bias);
  }
  return NN_OK;
}

}  // namespace nn
