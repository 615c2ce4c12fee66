// The gradients of weight and bias over rows, in the order of docs/order-of-sums.md: blocks of rows in pieces, which
// are added up in order.
#ifndef NATIVENORM_ROW_SUMS_H_
#define NATIVENORM_ROW_SUMS_H_

#include <math.h>

#include <initializer_list>

#include "plan/plan.h"
#include "plan/scratch.h"
#include "threads/workers.h"

namespace nn {

// Rows in blocks, whose parameter gradients are added up in floats, and these in pieces, in doubles
// (docs/order-of-sums.md). As many as there may be threads: of 128 rows of 768, two blocks instead of four take two
// threads 1.1 to 1.25 times as long; of 16 rows of 768, two instead of one take one thread 1.3 times as long.
struct RowBlocks {
  size_t rows;
  size_t of;         // rows in a block
  size_t per_piece;  // blocks in a piece
  size_t pieces;

  RowBlocks(size_t rows, size_t length) : rows(rows) {
    constexpr size_t kLeast = 8, kMost = 64, kPieces = 32, kLeastElements = 20480;
    size_t doublings = 0;
    while ((size_t{2} << doublings) < kPieces && (kLeastElements << (doublings + 1)) <= rows * length) ++doublings;
    of = (rows + (size_t{1} << doublings) - 1) >> doublings;
    if (of < kLeast) of = kLeast;
    if (of > kMost) of = kMost;
    const size_t blocks = rows <= of ? 1 : (rows + of - 1) / of;
    per_piece = (blocks + kPieces - 1) / kPieces;
    pieces = per_piece == 1 ? blocks : (blocks + per_piece - 1) / per_piece;
  }

  size_t First(size_t piece) const { return piece * per_piece * of; }
  size_t Rows(size_t piece) const {
    const size_t left = rows - First(piece);
    return left < per_piece * of ? left : per_piece * of;
  }

  // body(first row, rows) over the blocks of a piece.
  template <class Body>
  void ForAll(size_t piece, const Body& body) const {
    const size_t end = First(piece) + Rows(piece);
    for (size_t row = First(piece); row < end; row += of) body(row, end - row < of ? end - row : of);
  }
};

// The gradients of weight and bias over a piece: floats for a block, and doubles for the blocks before it, if any.
struct RowPieceSums {
  void (*add_floats)(const float*, size_t, double*);
  float* weight;
  float* bias;  // may be null for RMS: then its part of the doubles counts for nothing
  double* weight_doubles;
  double* bias_doubles;
  size_t count;
  bool* in_doubles;
  bool* has_exact;  // some rows added to the doubles

  void ClearFloats() const {
    for (float* sums : {weight, bias}) {
      for (size_t j = 0; sums != nullptr && j < count; ++j) sums[j] = 0;
    }
  }
  void Begin() const {
    ClearFloats();
    *in_doubles = *has_exact = false;
  }
  void UseDoubles() const {
    for (size_t j = 0; !*in_doubles && j < count; ++j) weight_doubles[j] = bias_doubles[j] = 0;
    *in_doubles = true;
  }
  // Both are null where no sums are wanted.
  ParameterSums AsSums() const {
    UseDoubles();
    *has_exact = true;
    return {count == 0 ? nullptr : weight_doubles, count == 0 ? nullptr : bias_doubles, 1};
  }
  // Adds the block to the doubles, and the next one begins.
  void EndBlock() const {
    UseDoubles();
    add_floats(weight, count, weight_doubles);
    if (bias != nullptr) add_floats(bias, count, bias_doubles);
    ClearFloats();
  }
  bool AreDoublesFinite(bool wants_bias) const {
    bool finite = true;
    for (const double* sums : {weight_doubles, wants_bias ? bias_doubles : nullptr}) {
      for (size_t j = 0; sums != nullptr && j < count; ++j) finite &= isfinite(sums[j]);
    }
    return finite;
  }
};

// The sums of all pieces. One thread adds each piece to totals when it is done, and needs one place: sixteen places for
// gradients of 512x4096 are 512 KB, which do not stay in the caches.
class AllRowSums {
 public:
  static size_t Bytes(size_t places, size_t count) {
    const size_t step = PaddedColumns(count), all = places * step;
    return 2 * Scratch::Bytes<float>(all) + 2 * Scratch::Bytes<double>(all) + 2 * Scratch::Bytes<double>(step) +
           2 * Scratch::Bytes<bool>(places);
  }

  // The first place's floats are at `weight` and `bias`, where these are not null.
  AllRowSums(const KernelTable& kernels, Scratch& scratch, size_t places, size_t count, bool has_bias, float* weight,
             float* bias)
      : add_doubles_(kernels.add_doubles[kPlain]),
        round_doubles_(kernels.round_doubles[kPlain]),
        places_(places),
        step_(PaddedColumns(count)) {
    const size_t all = places * step_;
    first_.weight = scratch.Take<float>(all);
    first_.bias = has_bias ? scratch.Take<float>(all) : nullptr;
    if (weight != nullptr) first_.weight = weight;
    if (bias != nullptr) first_.bias = bias;
    first_.weight_doubles = scratch.Take<double>(all);
    first_.bias_doubles = scratch.Take<double>(all);
    weight_total_ = scratch.Take<double>(step_);
    bias_total_ = scratch.Take<double>(step_);
    first_.add_floats = kernels.add_floats[kPlain];
    first_.count = count;
    first_.in_doubles = scratch.Take<bool>(places);
    first_.has_exact = scratch.Take<bool>(places);
  }

  RowPieceSums operator[](size_t piece) const {
    const size_t place = PlaceOf(piece), at = place * step_;
    return {first_.add_floats,          first_.weight + at,       first_.bias == nullptr ? nullptr : first_.bias + at,
            first_.weight_doubles + at, first_.bias_doubles + at, first_.count,
            first_.in_doubles + place,  first_.has_exact + place};
  }

  // Adds a piece to the totals, from number 0 on.
  void Add(size_t piece) const {
    AddTo(weight_total_, piece, first_.weight, first_.weight_doubles, 0, first_.count, piece == 0);
    if (first_.bias == nullptr) return;
    AddTo(bias_total_, piece, first_.bias, first_.bias_doubles, 0, first_.count, piece == 0);
  }

  // The totals.
  void Store(float* weight, float* bias) const {
    if (weight != nullptr) round_doubles_(weight_total_, first_.count, weight);
    if (bias != nullptr) round_doubles_(bias_total_, first_.count, bias);
  }

  // Adds all pieces up in order, in strips of columns.
  void StoreAll(Team team, float* weight, float* bias) const {
    constexpr size_t kFew = 1 << 14;  // below so many sums a call costs less than a thread
    const size_t strips = (first_.count + kStrip - 1) / kStrip;
    Parallel(places_ * first_.count < kFew ? kAlone : team, strips, [&](size_t i) {
      const size_t begin = i * kStrip, end = begin + kStrip < first_.count ? begin + kStrip : first_.count;
      StoreStrip(first_.weight, first_.weight_doubles, begin, end, weight);
      StoreStrip(first_.bias, first_.bias_doubles, begin, end, bias);
    });
  }

 private:
  static constexpr size_t kStrip = 256;

  size_t PlaceOf(size_t piece) const { return places_ == 1 ? 0 : piece; }

  void AddTo(double* totals, size_t piece, const float* floats, const double* doubles, size_t begin, size_t count,
             bool first) const {
    const size_t place = PlaceOf(piece), at = place * step_ + begin;
    for (size_t j = 0; first && j < count; ++j) totals[j] = 0;
    if (first_.in_doubles[place]) {
      add_doubles_(doubles + at, count, totals);
    } else {
      first_.add_floats(floats + at, count, totals);
    }
  }

  void StoreStrip(const float* floats, const double* doubles, size_t begin, size_t end, float* to) const {
    if (to == nullptr) return;
    double totals[kStrip];
    for (size_t piece = 0; piece < places_; ++piece) {
      AddTo(totals, piece, floats, doubles, begin, end - begin, piece == 0);
    }
    round_doubles_(totals, end - begin, to + begin);
  }

  void (*add_doubles_)(const double*, size_t, double*);
  // A loop of the driver has vectors of two doubles: gradients of 48x4096 take 0.97 of its time (AVX-512).
  void (*round_doubles_)(const double*, size_t, float*);
  size_t places_, step_;
  RowPieceSums first_;
  double* weight_total_;
  double* bias_total_;
};

}  // namespace nn

#endif  // NATIVENORM_ROW_SUMS_H_
