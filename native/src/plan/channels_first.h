// What the channels-first drivers share, forward and backward: batch, group and instance normalization. The tensor is
// N*C rows of S elements; row i is of channel i % C. A unit has some of the rows.
#ifndef NATIVENORM_CHANNELS_FIRST_H_
#define NATIVENORM_CHANNELS_FIRST_H_

#include "kernels/order.h"
#include "plan/plan.h"
#include "threads/workers.h"

namespace nn {

struct Units {
  size_t count;
  size_t rows;       // of each
  size_t unit_step;  // rows from one unit's first to the next's
  size_t row_step;   // rows from one to the next in a unit
  size_t length;
  bool of_group;     // group or instance normalization, where a unit's rows are neighbours
  double share;      // 1 / Values(): with a division for each, units of 49 elements took 2 to 4 % longer

  explicit Units(const Plan& p) : length(p.spatial), of_group(p.operation != NN_BATCH) {
    if (p.operation == NN_BATCH) {
      count = p.channels;
      rows = p.batch;
      unit_step = 1;
      row_step = p.channels;
    } else {
      rows = p.channels / p.groups;
      count = p.batch * p.groups;
      unit_step = rows;
      row_step = 1;
    }
    share = 1 / Values();
  }

  size_t Row(size_t unit, size_t k) const { return unit * unit_step + k * row_step; }

  double Values() const { return static_cast<double>(rows) * static_cast<double>(length); }

  // A kernel's runs. For statistics the rows of a group, which are neighbours, are one run; for the sums of its
  // gradient each row is a run, as weights differ.
  Pieces ForMoments() const { return of_group ? Pieces(1, rows * length) : Pieces(rows, length); }
  Pieces ForGradients() const { return of_group ? Pieces(1, length) : Pieces(rows, length); }
  size_t RunStride() const { return row_step * length; }
  // How many sums a gradient has: one for all rows of a channel of the batch, or one for each row of a group.
  size_t Sums() const { return of_group ? count * rows : count; }

  // Where a piece of the unit's moments, or of a gradient's sums, begins.
  size_t Offset(size_t unit, const Pieces::Piece& piece) const {
    return Row(unit, 0) * length + piece.first_run * RunStride() + piece.begin;
  }
  size_t SumsOffset(size_t sums, const Pieces::Piece& piece) const {
    return sums * length + piece.first_run * RunStride() + piece.begin;
  }

  // For loops in doubles. Its channels are those of its rows, or one channel.
  nn::Unit Exact(size_t unit, size_t channels) const {
    return {rows, length, RunStride(), 1, Row(unit, 0) % channels, of_group ? size_t{1} : size_t{0}, 0};
  }
};

// Whether there are units enough to give each thread some. Then a unit stays in its thread's cache between the pass
// that measures it and the one that writes, and memory is read once. A part is done so too, whatever is in it.
inline bool UnitByUnit(const Plan& p, const Units& units, const PartOfUnits& part = {0, 0}) {
  return part.count != 0 || p.team.threads == 1 || units.count >= 2 * static_cast<size_t>(p.team.threads);
}

// Elements of a part begin at multiples of this, apart in memory.
constexpr size_t kGrain = 1024;

// Goes from row to row without the divisions that tell a row's channel and unit.
class RowCursor {
 public:
  RowCursor(const Plan& p, size_t row)
      : channels_(p.channels),
        members_(p.operation == NN_BATCH ? 1 : p.channels / p.groups),
        wraps_(p.operation == NN_BATCH),
        channel_(row % p.channels),
        member_(wraps_ ? 0 : row % members_),
        unit_(wraps_ ? channel_ : row / members_) {}

  size_t Channel() const { return channel_; }
  size_t Unit() const { return unit_; }

  void Advance() {
    if (++channel_ == channels_) channel_ = 0;
    if (++member_ == members_) {
      member_ = 0;
      unit_ = wraps_ ? channel_ : unit_ + 1;
    }
  }

 private:
  size_t channels_, members_;
  bool wraps_;
  size_t channel_, member_, unit_;
};

// Whole rows that go to a kernel at once, with parameters for each on the stack.
constexpr size_t kBatchRows = 64;

// make(unit, channel) gives the parameters of a row; body(offset, runs, length, parameters) gets neighbouring rows,
// over `elements` from element `at` on, of all units but those that skips(unit).
template <class P, class Skips, class Make, class Body>
void ForRows(const Plan& p, size_t at, size_t elements, const Skips& skips, const Make& make, const Body& body) {
  RowCursor cursor(p, at / p.spatial);
  P parameters[kBatchRows];
  size_t start = at % p.spatial;
  while (elements > 0) {
    size_t runs = 0, length = p.spatial - start;
    if (skips(cursor.Unit())) {
      if (length > elements) length = elements;
      cursor.Advance();
      start = 0;
      at += length;
      elements -= length;
      continue;
    }
    if (start > 0 || elements < p.spatial) {  // a part of a row
      if (length > elements) length = elements;
      parameters[runs++] = make(cursor.Unit(), cursor.Channel());
      cursor.Advance();
      start = 0;
    }
    for (; runs < kBatchRows && length == p.spatial && (runs + 1) * length <= elements; ++runs) {
      if (skips(cursor.Unit())) break;
      parameters[runs] = make(cursor.Unit(), cursor.Channel());
      cursor.Advance();
    }
    body(at, runs, length, parameters);
    at += runs * length;
    elements -= runs * length;
  }
}

// The same over all elements, in parts. `stream`: body has non-temporal stores.
template <class P, class Skips, class Make, class Body>
void ForAllRows(const Plan& p, bool stream, const Skips& skips, const Make& make, const Body& body) {
  const size_t grains = (p.Elements() + kGrain - 1) / kGrain, parts = Parts(p, grains);
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(grains, parts, i);
    const size_t begin = range.begin * kGrain;
    const size_t end = range.end * kGrain < p.Elements() ? range.end * kGrain : p.Elements();
    ForRows<P>(p, begin, end - begin, skips, make, body);
    EndStream(stream);
  });
}

// No unit is skipped.
constexpr auto kSkipsNone = [](size_t) { return false; };

// body(unit) over those units that are outside (exact.h).
template <class IsOutside, class Body>
void ForOutside(const Plan& p, const IsOutside& is_outside, const Body& body) {
  const size_t units = p.Units();
  const size_t parts = Parts(p, units);
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(units, parts, i);
    for (size_t unit = range.begin; unit < range.end; ++unit) {
      if (is_outside(unit)) body(unit);
    }
  });
}

// body(which, piece, index) over the pieces of `things` that are cut alike, by all threads.
template <class Body>
void ForPieces(const Plan& p, size_t things, const Pieces& pieces, const Body& body) {
  const size_t all = things * pieces.count, parts = Parts(p, all);
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(all, parts, i);
    for (size_t index = range.begin; index < range.end; ++index) {
      body(index / pieces.count, pieces[index % pieces.count], index);
    }
  });
}

}  // namespace nn

#endif  // NATIVENORM_CHANNELS_FIRST_H_
