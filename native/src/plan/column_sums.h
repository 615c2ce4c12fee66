// What the channels-last drivers share: the sums of a sample's columns, in the order of docs/order-of-sums.md: pieces
// of rows, by one thread or many, added in order.
#ifndef NATIVENORM_COLUMN_SUMS_H_
#define NATIVENORM_COLUMN_SUMS_H_

#include "kernels/order.h"
#include "plan/plan.h"
#include "plan/scratch.h"
#include "threads/workers.h"

namespace nn {

// Parameters from a column on, where there are any.
inline const float* At(const float* parameters, size_t column) {
  return parameters == nullptr ? nullptr : parameters + column;
}

// The rows of a sample's matrix, folded, in pieces.
struct RowPieces {
  size_t folds;
  size_t rows;     // folded ones
  size_t columns;  // of these
  size_t tail;     // elements of the last row, which is cut short
  size_t count;

  RowPieces(size_t matrix_rows, size_t matrix_columns)
      : folds(FoldedRows(matrix_rows, matrix_columns)),
        rows(matrix_rows / folds),
        columns(matrix_columns * folds),
        tail(matrix_rows % folds * matrix_columns),
        count(1) {
    // Each piece is one more array to merge: 16 pieces of 196 rows of 256 cost one thread 1 to 2 %. Where there are
    // fewer than threads a piece's columns are divided, which is slower: gradients of 340x1024 took two threads 1.3
    // times as long, from 256 rows on 1.0 to 1.2, from 48 on 1.0.
    constexpr size_t kMost = 32, kLeastElements = 1 << 15, kLeastRows = 48;
    while (count < kMost && 2 * count * kLeastRows <= rows && 2 * count * kLeastElements <= rows * columns) count *= 2;
  }

  // The folded rows of a piece.
  Range operator[](size_t piece) const { return PartOf(rows, count, piece); }
  // Its elements, with those of the tail.
  Range Elements(size_t piece) const {
    const Range folded = (*this)[piece];
    return {folded.begin * columns, folded.end * columns + (EndsWithTail(piece) ? tail : 0)};
  }
  bool EndsWithTail(size_t piece) const { return tail > 0 && piece + 1 == count; }
};

// A parameter of columns, repeated for the folded columns.
inline void Fold(const RowPieces& pieces, const float* parameter, float* folded) {
  const size_t columns = pieces.columns / pieces.folds, padded = PaddedColumns(pieces.columns);
  for (size_t fold = 0; fold < pieces.folds; ++fold) {
    for (size_t j = 0; j < columns; ++j) folded[fold * columns + j] = parameter[j];
  }
  for (size_t j = pieces.columns; j < padded; ++j) folded[j] = 0;
}

// For each piece, or for a total, some arrays over folded columns.
class PieceSums {
 public:
  static size_t Bytes(size_t count, size_t arrays, const RowPieces& pieces) {
    return Scratch::Bytes<double>(count * arrays * PaddedColumns(pieces.columns));
  }
  PieceSums(const Plan& p, Scratch& scratch, size_t count, size_t arrays, const RowPieces& pieces)
      : add_(p.kernels->add_doubles[kPlain]),
        arrays_(arrays),
        padded_(PaddedColumns(pieces.columns)),
        first_(scratch.Take<double>(count * arrays * padded_)) {}

  double* At(size_t index, size_t array) const { return first_ + (index * arrays_ + array) * padded_; }
  size_t Padded() const { return padded_; }

  // total += sums of a piece, over some columns.
  void Add(size_t total, size_t piece, Range columns) const {
    for (size_t a = 0; a < arrays_; ++a) {
      add_(At(piece, a) + columns.begin, columns.end - columns.begin, At(total, a) + columns.begin);
    }
  }

  // Adds up folded columns, by halves.
  void Unfold(const RowPieces& pieces, size_t total) const {
    for (size_t a = 0; a < arrays_; ++a) {
      double* to = At(total, a);
      size_t half = pieces.columns;
      for (size_t folds = pieces.folds; folds > 1; folds /= 2) {
        half /= 2;
        add_(to + half, half, to);
      }
    }
  }

 private:
  void (*add_)(const double*, size_t, double*);
  size_t arrays_, padded_;
  double* first_;
};

// By one thread: sum(piece, columns, index of what it writes to) for each piece, into `total`. `spare` is for one
// piece.
template <class Sum>
void SumInOrder(const RowPieces& pieces, const PieceSums& sums, size_t total, size_t spare, const Sum& sum) {
  sum(size_t{0}, Range{0, pieces.columns}, total);
  for (size_t piece = 1; piece < pieces.count; ++piece) {
    sum(piece, Range{0, pieces.columns}, spare);
    sums.Add(total, spare, {0, sums.Padded()});
  }
  sums.Unfold(pieces, total);
}

// Columns that are summed up, or merged, by one thread: 512 bytes of a row.
constexpr size_t kStrip = 128;
inline Range StripOf(size_t columns, size_t strips, size_t i) {
  const Range vectors = PartOf(PaddedColumns(columns) / kColumnPadding, strips, i);
  const size_t end = vectors.end * kColumnPadding;
  return {vectors.begin * kColumnPadding, end < columns ? end : columns};
}

// By all threads, for `samples` of them: sum(sample, piece, columns, index), then finish(sample, columns) of columns
// whose pieces are added up: strips of them, or all where they are folded or not `apart`. Totals are those of each
// sample's first piece. Where there are fewer pieces than threads their columns are divided.
template <class Sum, class Finish>
void SumTogether(const Plan& p, size_t samples, const RowPieces& pieces, const PieceSums& sums, bool apart,
                 const Sum& sum, const Finish& finish) {
  const size_t all = samples * pieces.count, threads = static_cast<size_t>(p.team.threads);
  const size_t wanted = (threads + all - 1) / all, most = (pieces.columns + kStrip - 1) / kStrip;
  const size_t strips = wanted < most ? wanted : most, parts = Parts(p, all * strips, 1);
  Parallel(p.team, parts, [&](size_t i) {
    const Range range = PartOf(all * strips, parts, i);
    for (size_t k = range.begin; k < range.end; ++k) {
      const size_t index = k / strips;
      sum(index / pieces.count, index % pieces.count, StripOf(pieces.columns, strips, k % strips), index);
    }
  });
  const auto merge = [&](size_t sample, Range columns) {
    const size_t total = sample * pieces.count;
    for (size_t piece = 1; piece < pieces.count; ++piece) sums.Add(total, total + piece, columns);
  };
  if (apart && pieces.folds == 1) {
    constexpr size_t kFew = 512;  // below so many columns a call costs less than a thread
    Parallel(samples * pieces.columns < kFew ? kAlone : p.team, samples * most, [&](size_t i) {
      const Range columns = StripOf(pieces.columns, most, i % most);
      merge(i / most, columns);
      finish(i / most, columns);
    });
    return;
  }
  if (pieces.count > 1) {
    constexpr size_t kFew = 1 << 14;  // the same of sums
    Parallel(all * sums.Padded() < kFew ? kAlone : p.team, samples * most,
             [&](size_t i) { merge(i / most, StripOf(pieces.columns, most, i % most)); });
  }
  for (size_t sample = 0; sample < samples; ++sample) {
    sums.Unfold(pieces, sample * pieces.count);
    finish(sample, Range{0, pieces.columns / pieces.folds});
  }
}

// body(columns) over those strips of columns in which some are distrusted; over all columns where they are folded.
template <class Body>
void ForDistrusted(const RowPieces& pieces, Range columns, const double* m2, const Body& body) {
  constexpr size_t kColumns = 64;
  if (pieces.folds > 1) return body(columns);
  for (size_t begin = columns.begin; begin < columns.end; begin += kColumns) {
    const size_t end = begin + kColumns < columns.end ? begin + kColumns : columns.end;
    bool all_good = true;
    for (size_t j = begin; j < end; ++j) all_good &= m2[j] != kDistrusted;
    if (!all_good) body(Range{begin, end});
  }
}

// The moments of distrusted columns from sums around their pivots, or if these cannot be trusted, two passes in
// doubles.
inline void FinishDistrusted(const PlainLoops& loops, const Input& sample, const Unit& column, double n, size_t columns,
                             const float* pivot, const double* sums, const double* squares, double* mean, double* m2) {
  for (size_t j = 0; j < columns; ++j) {
    if (m2[j] != kDistrusted) continue;
    Moments found;
    if (JudgeAround(pivot[j], {sums[j], squares[j]}, n, &found) == Trust::kDoubles) {
      found = loops.exact_moments(column, sample.At(j), true);
    }
    mean[j] = found.mean;
    m2[j] = found.m2;
  }
}

}  // namespace nn

#endif  // NATIVENORM_COLUMN_SUMS_H_
