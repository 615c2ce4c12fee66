// The driver of rows backward: the gradients of rows, and of weight and bias.
#include <initializer_list>

#include "plan/rows.h"

#include "plan/scratch.h"
#include "threads/workers.h"

namespace nn {
namespace {

// Rows in blocks, whose parameter gradients are added up in floats, and these in pieces, in doubles
// (docs/order-of-sums.md). As many as there may be threads: of 128 rows of 768, two blocks instead of four take two
// threads 1.1 to 1.25 times as long; of 16 rows of 768, two instead of one take one thread 1.3 times as long.
struct Blocks {
  size_t rows;
  size_t of;         // rows in a block
  size_t per_piece;  // blocks in a piece
  size_t pieces;

  Blocks(size_t rows, size_t length) : rows(rows) {
    constexpr size_t kLeast = 8, kMost = 64, kPieces = 32, kLeastElements = 20480;
    size_t wanted = 1;
    while (wanted < kPieces / 2 && 2 * wanted * kLeastElements <= rows * length) wanted *= 2;
    of = (rows + wanted - 1) / wanted;
    if (of < kLeast) of = kLeast;
    if (of > kMost) of = kMost;
    const size_t blocks = (rows + of - 1) / of;
    per_piece = (blocks + kPieces - 1) / kPieces;
    pieces = (blocks + per_piece - 1) / per_piece;
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
struct PieceSums {
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
class AllSums {
 public:
  static size_t Bytes(size_t places, size_t count) {
    const size_t step = PaddedColumns(count), all = places * step;
    return 2 * Scratch::Bytes<float>(all) + 2 * Scratch::Bytes<double>(all) + 2 * Scratch::Bytes<double>(step) +
           2 * Scratch::Bytes<bool>(places);
  }

  // The first place's floats are at `weight` and `bias`, where these are not null.
  AllSums(const KernelTable& kernels, Scratch& scratch, size_t places, size_t count, bool has_bias, float* weight,
          float* bias)
      : add_doubles_(kernels.add_doubles[kPlain]), places_(places), step_(PaddedColumns(count)) {
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

  PieceSums operator[](size_t piece) const {
    const size_t place = piece % places_, at = place * step_;
    return {first_.add_floats,
            first_.weight + at,
            first_.bias == nullptr ? nullptr : first_.bias + at,
            first_.weight_doubles + at,
            first_.bias_doubles + at,
            first_.count,
            first_.in_doubles + place,
            first_.has_exact + place};
  }

  // Adds a piece to the totals, from number 0 on.
  void Add(size_t piece) const {
    AddTo(weight_total_, piece, first_.weight, first_.weight_doubles, 0, first_.count, piece == 0);
    if (first_.bias == nullptr) return;
    AddTo(bias_total_, piece, first_.bias, first_.bias_doubles, 0, first_.count, piece == 0);
  }

  // The totals.
  void Store(float* weight, float* bias) const {
    for (size_t j = 0; weight != nullptr && j < first_.count; ++j) weight[j] = static_cast<float>(weight_total_[j]);
    for (size_t j = 0; bias != nullptr && j < first_.count; ++j) bias[j] = static_cast<float>(bias_total_[j]);
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

  void AddTo(double* totals, size_t piece, const float* floats, const double* doubles, size_t begin, size_t count,
             bool first) const {
    const size_t place = piece % places_, at = place * step_ + begin;
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
    for (size_t j = begin; j < end; ++j) to[j] = static_cast<float>(totals[j - begin]);
  }

  void (*add_doubles_)(const double*, size_t, double*);
  size_t places_, step_;
  PieceSums first_;
  double* weight_total_;
  double* bias_total_;
};

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
  RowsOf(const Plan& p, const RowShape& shape, const Backward& data)
      : data_(data),
        src_(PlacesOf(p, shape, p.src_stride)),
        dst_(PlacesOf(p, shape, p.dst_stride)),
        diff_dst_(PlacesOf(p, shape, p.diff_dst_stride)),
        diff_src_(PlacesOf(p, shape, p.diff_src_stride)) {}

  RowOperands operator[](size_t row) const {
    return {data_.src.From(src_[row]), data_.diff_dst.From(diff_dst_[row]), data_.dst.From(dst_[row]),
            data_.diff_src.From(diff_src_[row])};
  }

 private:
  const Backward& data_;
  RowPlaces src_, dst_, diff_dst_, diff_src_;
};

// Rows that follow each other. Those that are outside (exact.h) add to the doubles: a float sum of 64 such rows would
// leave the range of floats too.
void BackwardByRows(const Plan& p, RowOperands at, RowsToDifferentiate rows, const PieceSums& sums) {
  const unsigned options = p.Options() | OptionIf(rows.centered, kCentered) |
                           OptionIf(rows.weight != nullptr, kWeight) |
                           OptionIf(rows.weight_gradient != nullptr, kParameterSums);
  const auto row_gradient = p.kernels->row_gradient[options];
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
void AgainInDoubles(const Plan& p, const RowShape& shape, const Backward& data, const RowsOf& operands, size_t first,
                    size_t count, const PieceSums& sums) {
  *sums.in_doubles = false;
  const RowsToDifferentiate rows = {p.operation != NN_RMS, shape.length, shape.period,  0,       1,       p.eps,
                                    data.weight,           data.mean,    data.variance, nullptr, nullptr, false,
                                    nullptr};
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
    p.loops->exact_sums(unit, x, dy, y, data.weight, found.mean,
                        InverseDeviation(found.m2 / unit.Values(), p.eps, false), to);
    if (data.WantsInput() && p.loops->leaves_range(dy, y, shape.length, data.variance[r], p.eps)) {
      p.loops->exact_row_backward(x, dy, y, at.dx.At(0), rows, r, {nullptr, nullptr, 1});
    }
  }
}

// The weight as it multiplies. A pass over it here, of all rows together, is little; in the kernels an addition more
// would be paid by every row without an offset.
const float* AddOffset(float* to, const float* weight, float offset, size_t length) {
  for (size_t j = 0; j < length; ++j) to[j] = weight[j] + offset;
  return to;
}

}  // namespace

int RowsBackward(const Plan& p, const Backward& given) {
  const RowShape shape = ShapeOf(p);
  Backward data = given;
  const RowsOf operands(p, shape, data);
  const bool sums = data.diff_weight != nullptr || data.diff_bias != nullptr;
  const size_t columns = sums ? shape.length * shape.period : 0;
  const Blocks blocks(shape.rows, shape.length);
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
  Scratch scratch(AllSums::Bytes(places, columns) + Scratch::Bytes<float>(has_offset ? shape.length : 0) +
                  parts * unwanted);
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  if (has_offset)
    data.weight = AddOffset(scratch.Take<float>(shape.length), data.weight, p.weight_offset, shape.length);
  const AllSums all(*p.kernels, scratch, places, columns, wants_bias || p.operation != NN_RMS,
                    direct ? data.diff_weight : nullptr, direct ? data.diff_bias : nullptr);
  char* const nowhere = unwanted == 0 ? nullptr : scratch.Take<char>(parts * unwanted);
  const bool in_place = data.IsInPlace();
  const bool stream = data.WantsInput() && p.StreamsRuns(p.BackwardBytes(), in_place, shape.length);
  const auto differentiate = [&](size_t part, size_t row, size_t count, const PieceSums& to, bool* finite) {
    RowsToDifferentiate rows = {
        p.operation != NN_RMS, shape.length, shape.period, row,    count, p.eps, data.weight, data.mean,
        data.variance,         to.weight,    to.bias,      stream, finite};
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
      const PieceSums to = all[piece];
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
      if (!finite && !in_place) AgainInDoubles(p, shape, data, operands, blocks.First(piece), blocks.Rows(piece), to);
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
