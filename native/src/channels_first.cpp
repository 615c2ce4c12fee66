// Batch, group and instance normalization of channels-first tensors. The tensor is N*C rows of S elements; row i is of
// channel i % C. A unit (what shares a mean) has some of the rows.
#include "order.h"
#include "pool.h"
#include "problem.h"
#include "scratch.h"

namespace nn {
namespace {

struct Units {
  size_t count;
  size_t rows;       // of each
  size_t unit_step;  // rows from one unit's first to the next's
  size_t row_step;   // rows from one to the next in a unit
  size_t length;
  bool of_group;     // whose rows lie one after the other

  explicit Units(const Problem& p) : length(p.spatial), of_group(p.operation != NN_BATCH) {
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
  }

  size_t Row(size_t unit, size_t k) const { return unit * unit_step + k * row_step; }

  double Values() const { return static_cast<double>(rows) * static_cast<double>(length); }

  // A kernel's rows. For statistics a group's, which lie one after the other, are one; for the sums of its gradient
  // each is by itself, as weights differ.
  Pieces ForMoments() const { return of_group ? Pieces(1, rows * length) : Pieces(rows, length); }
  Pieces ForGradients() const { return of_group ? Pieces(1, length) : Pieces(rows, length); }
  size_t RunStride() const { return row_step * length; }
  // What is summed up for a gradient: all rows of a channel of the batch, or a row.
  size_t Sums() const { return of_group ? count * rows : count; }

  // Where a piece of the unit's moments, or of a gradient's sums, begins.
  size_t Offset(size_t unit, const Pieces::Piece& piece) const {
    return Row(unit, 0) * length + piece.first_run * RunStride() + piece.begin;
  }
  size_t SumsOffset(size_t sums, const Pieces::Piece& piece) const {
    return sums * length + piece.first_run * RunStride() + piece.begin;
  }

  // For loops in doubles. Its channels are those of its rows, or one.
  nn::Unit Exact(size_t unit, size_t channels) const {
    return {rows, length, RunStride(), 1, Row(unit, 0) % channels, of_group ? size_t{1} : size_t{0}, 0};
  }
};

// Whether there are units enough to give each thread some. Then a unit stays in its thread's cache between the pass
// that measures it and the one that writes, and memory is read once.
bool UnitByUnit(const Problem& p, const Units& units) {
  return p.threads == 1 || units.count >= 2 * static_cast<size_t>(p.threads);
}

// Elements of a part begin at multiples of this, apart in memory.
constexpr size_t kGrain = 1024;

// Goes from row to row without the divisions that tell a row's channel and unit.
class RowCursor {
 public:
  RowCursor(const Problem& p, size_t row)
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
void ForRows(const Problem& p, size_t at, size_t elements, const Skips& skips, const Make& make, const Body& body) {
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

// The same over all elements, in parts.
template <class P, class Skips, class Make, class Body>
void ForAllRows(const Problem& p, const Skips& skips, const Make& make, const Body& body) {
  const size_t grains = (p.Elements() + kGrain - 1) / kGrain, parts = Parts(p, grains);
  Parallel(p.threads, parts, [&](size_t i) {
    const Range range = PartOf(grains, parts, i);
    const size_t begin = range.begin * kGrain;
    const size_t end = range.end * kGrain < p.Elements() ? range.end * kGrain : p.Elements();
    ForRows<P>(p, begin, end - begin, skips, make, body);
  });
}

// Where a unit that is given to a thread has no rows to skip.
constexpr auto kSkipsNone = [](size_t) { return false; };

// body(unit) over those units that are outside of what floats can do.
template <class IsOutside, class Body>
void ForOutside(const Problem& p, const IsOutside& is_outside, const Body& body) {
  const size_t units = p.Units();
  const size_t parts = Parts(p, units);
  Parallel(p.threads, parts, [&](size_t i) {
    const Range range = PartOf(units, parts, i);
    for (size_t unit = range.begin; unit < range.end; ++unit) {
      if (is_outside(unit)) body(unit);
    }
  });
}

// body(which, piece, index) over the pieces of some things that are cut alike, by all threads.
template <class Body>
void ForPieces(const Problem& p, size_t things, const Pieces& pieces, const Body& body) {
  const size_t all = things * pieces.count, parts = Parts(p, all);
  Parallel(p.threads, parts, [&](size_t i) {
    const Range range = PartOf(all, parts, i);
    for (size_t index = range.begin; index < range.end; ++index) {
      body(index / pieces.count, pieces[index % pieces.count], index);
    }
  });
}

template <class T>
void Measured(const Forward<T>& data, size_t unit, double mean, double variance) {
  if (data.mean != nullptr) data.mean[unit] = static_cast<float>(mean);
  if (data.variance != nullptr) data.variance[unit] = static_cast<float>(variance);
}

// Sums of a piece around a pivot.
template <class T>
PivotSums SumPiece(const Problem& p, const Units& units, const T* src, size_t unit, const Pieces::Piece& piece,
                   float pivot) {
  return Table<T>(*p.target).pivot_sums(src + units.Offset(unit, piece), piece.runs, piece.length, units.RunStride(),
                                        pivot);
}

// The moments that doubles give: of what floats cannot sum up, and of what is next to nothing.
template <class T>
Moments MeasureExactly(const Problem& p, const Units& units, const T* src, size_t unit) {
  return ExactMoments(units.Exact(unit, p.channels), src + units.Row(unit, 0) * units.length, true);
}

// The moments of a unit from sum(pivot), its sums around a pivot.
template <class T, class Sum>
Moments MeasureUnit(const Problem& p, const Units& units, const T* src, size_t unit, const Sum& sum) {
  const auto exactly = [&] { return MeasureExactly(p, units, src, unit); };
  const Moments found = nn::MeasureUnit(units.Values(), sum, exactly);
  if (p.eps >= kLeastVariance) return found;
  return found.m2 / units.Values() + p.eps < kLeastVariance ? exactly() : found;
}

// By one thread.
template <class T>
Moments MeasureUnit(const Problem& p, const Units& units, const Pieces& pieces, const T* src, size_t unit) {
  return MeasureUnit(p, units, src, unit, [&](float pivot) {
    PivotSums total = {0, 0};
    for (size_t i = 0; i < pieces.count; ++i) total += SumPiece(p, units, src, unit, pieces[i], pivot);
    return total;
  });
}

// The sum of a unit's, weighted; entry number `first` is of channel first % C.
GradientSums Weighted(const Problem& p, const float* weight, const GradientSums* sums, size_t first, size_t count) {
  GradientSums total = {0, 0, 0};
  for (size_t k = 0; k < count; ++k) {
    const double w = weight == nullptr ? 1 : weight[(first + k) % p.channels];
    total.dy += w * sums[k].dy;
    total.product += w * sums[k].product;
    total.residual += sums[k].residual;
  }
  return total;
}

// A channel's gradients are the sums over its rows, whose products are already parts of the weight's gradient.
template <class T>
void StoreParameterGradients(const Problem& p, const Backward<T>& data, const GradientSums* sums, size_t samples) {
  for (size_t c = 0; c < p.channels; ++c) {
    double weight = 0, bias = 0;
    for (size_t n = 0; n < samples; ++n) {
      weight += sums[n * p.channels + c].product;
      bias += sums[n * p.channels + c].dy;
    }
    if (data.diff_weight != nullptr) data.diff_weight[c] = static_cast<float>(weight);
    if (data.diff_bias != nullptr) data.diff_bias[c] = static_cast<float>(bias);
  }
}

}  // namespace

template <class T>
int ChannelsFirstMoments(const Problem& p, const T* src, double* mean, double* m2) {
  const Units units(p);
  const Pieces pieces = units.ForMoments();
  const auto store = [&](size_t unit, Moments found) {
    mean[unit] = found.mean;
    m2[unit] = found.m2;
  };
  if (UnitByUnit(p, units)) {
    const size_t parts = Parts(p, units.count);
    Parallel(p.threads, parts, [&](size_t i) {
      const Range range = PartOf(units.count, parts, i);
      for (size_t unit = range.begin; unit < range.end; ++unit) {
        store(unit, MeasureUnit(p, units, pieces, src, unit));
      }
    });
    return NN_OK;
  }
  Scratch scratch(Scratch::Bytes<PivotSums>(units.count * pieces.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  PivotSums* sums = scratch.Take<PivotSums>(units.count * pieces.count);
  ForPieces(p, units.count, pieces, [&](size_t unit, const Pieces::Piece& piece, size_t index) {
    sums[index] = SumPiece(p, units, src, unit, piece, 0);
  });
  for (size_t unit = 0; unit < units.count; ++unit) {
    PivotSums* of_unit = sums + unit * pieces.count;
    store(unit, MeasureUnit(p, units, src, unit, [&](float pivot) {
            if (pivot != 0) {
              ForPieces(p, 1, pieces, [&](size_t, const Pieces::Piece& piece, size_t index) {
                of_unit[index] = SumPiece(p, units, src, unit, piece, pivot);
              });
            }
            PivotSums total = {0, 0};
            for (size_t i = 0; i < pieces.count; ++i) total += of_unit[i];
            return total;
          }));
  }
  return NN_OK;
}

namespace {

template <class T>
void NormalizeExactly(const Problem& p, const Units& units, const Forward<T>& data, size_t unit, double mean,
                      double variance) {
  const size_t first = units.Row(unit, 0) * units.length;
  ExactForward(units.Exact(unit, p.channels), data.src + first, data.dst + first, data.weight, data.bias, p.relu, mean,
               InverseDeviation(variance, p.eps, p.given));
}

}  // namespace

template <class T>
int ChannelsFirstNormalize(const Problem& p, const Forward<T>& data, const double* mean, const double* variance) {
  const size_t units = p.Units();
  Scratch scratch(Scratch::Bytes<Normal>(units) + Scratch::Bytes<bool>(units));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  Normal* normals = scratch.Take<Normal>(units);
  bool* is_outside = scratch.Take<bool>(units);
  bool some_outside = false;
  for (size_t unit = 0; unit < units; ++unit) {
    normals[unit] = Normal(mean[unit], variance[unit], p.eps);
    is_outside[unit] =
        p.operation == NN_BATCH ? normals[unit].IsOutside(data.weight, data.bias, unit) : normals[unit].IsOutside();
    some_outside |= is_outside[unit];
  }
  const auto outside = [&](size_t unit) { return is_outside[unit]; };
  const bool stream = p.Streams(2, sizeof(T), data.src == data.dst);
  const auto normalize = [&](const auto& skips) {
    ForAllRows<Affine>(
        p, skips, [&](size_t unit, size_t channel) { return normals[unit].With(data.weight, data.bias, channel); },
        [&](size_t at, size_t runs, size_t length, const Affine* affines) {
          Table<T>(*p.target).normalize(data.src + at, data.dst + at, runs, length, length, affines, 1, p.relu, stream,
                                        0);
        });
  };
  if (!some_outside) {  // not asked of each row: 61 channels of 221 elements took 7 % longer
    normalize(kSkipsNone);
    return NN_OK;
  }
  normalize(outside);
  ForOutside(p, outside, [&](size_t unit) { NormalizeExactly(p, Units(p), data, unit, mean[unit], variance[unit]); });
  return NN_OK;
}

template <class T>
int ChannelsFirstForward(const Problem& p, const Forward<T>& data) {
  const Units units(p);
  const KernelTable<T>& kernels = Table<T>(*p.target);
  if (!p.given && UnitByUnit(p, units)) {
    const Pieces pieces = units.ForMoments();
    const double share = 1 / units.Values();
    const auto outside = [&](const Normal& normal, size_t unit) {
      return p.operation == NN_BATCH ? normal.IsOutside(data.weight, data.bias, unit) : normal.IsOutside();
    };
    const bool stream = p.Streams(2, sizeof(T), data.src == data.dst);
    const size_t parts = Parts(p, units.count);
    Parallel(p.threads, parts, [&](size_t i) {
      const Range range = PartOf(units.count, parts, i);
      for (size_t unit = range.begin; unit < range.end; ++unit) {
        const size_t first = units.Row(unit, 0) * units.length;
        const Moments found = MeasureUnit(p, units, pieces, data.src, unit);
        const double variance = found.m2 * share;
        Measured(data, unit, found.mean, variance);
        const Normal normal(found.mean, variance, p.eps);
        if (outside(normal, unit)) {
          NormalizeExactly(p, units, data, unit, found.mean, variance);
          continue;
        }
        const size_t ahead = unit + 1 < range.end ? units.unit_step * units.length : 0;
        if (units.of_group) {
          ForRows<Affine>(
              p, first, units.rows * units.length, kSkipsNone,
              [&](size_t, size_t channel) { return normal.With(data.weight, data.bias, channel); },
              [&](size_t at, size_t runs, size_t length, const Affine* affines) {
                kernels.normalize(data.src + at, data.dst + at, runs, length, length, affines, 1, p.relu, stream,
                                  ahead);
              });
        } else {
          const Affine affine = normal.With(data.weight, data.bias, unit);
          kernels.normalize(data.src + first, data.dst + first, units.rows, units.length, units.RunStride(), &affine, 0,
                            p.relu, stream, ahead);
        }
      }
    });
    return NN_OK;
  }
  Scratch scratch(2 * Scratch::Bytes<double>(units.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  double* mean = scratch.Take<double>(units.count);
  double* variance = scratch.Take<double>(units.count);
  if (!p.given) {
    const int status = ChannelsFirstMoments(p, data.src, mean, variance);
    if (status != NN_OK) return status;
  }
  for (size_t unit = 0; unit < units.count; ++unit) {
    if (p.given) {
      mean[unit] = data.mean[unit];
      variance[unit] = data.variance[unit];
    } else {
      variance[unit] *= 1 / units.Values();
      Measured(data, unit, mean[unit], variance[unit]);
    }
  }
  return ChannelsFirstNormalize(p, data, mean, variance);
}

namespace {

// The kernel for a unit's sums.
template <class T>
auto SumsOf(const Problem& p, const float* variance, size_t unit) {
  const KernelTable<T>& kernels = Table<T>(*p.target);
  return !p.given && variance != nullptr && variance[unit] == 0 ? kernels.constant_sums : kernels.gradient_sums;
}

// The sums of a channel of the batch, or of each row of a group, by one thread.
template <class T>
void SumInOrder(decltype(KernelTable<T>::gradient_sums) kernel, const Units& units, const Pieces& pieces,
                const Backward<T>& data, size_t first, size_t count, float center, GradientSums* sums) {
  if (pieces.count == 1) {
    const size_t at = units.SumsOffset(first, pieces[0]);
    return kernel(data.src + at, data.diff_dst + at, At(data.dst, at), units.of_group ? count : units.rows,
                  units.length, units.RunStride(), center, sums, units.of_group ? 1 : 0);
  }
  for (size_t k = 0; k < count; ++k) {
    sums[k] = {0, 0, 0};
    for (size_t i = 0; i < pieces.count; ++i) {
      const Pieces::Piece piece = pieces[i];
      const size_t at = units.SumsOffset(first + k, piece);
      GradientSums more;
      kernel(data.src + at, data.diff_dst + at, At(data.dst, at), piece.runs, piece.length, units.RunStride(), center,
             &more, 0);
      sums[k] += more;
    }
  }
}

// All of them, by all threads.
template <class T>
int SumTogether(const Problem& p, const Units& units, const Backward<T>& data, const Normal* normals,
                GradientSums* sums) {
  const Pieces pieces = units.ForGradients();
  const size_t count = units.Sums(), of_unit = count / units.count;
  Scratch scratch(Scratch::Bytes<GradientSums>(count * pieces.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  GradientSums* parts = scratch.Take<GradientSums>(count * pieces.count);
  ForPieces(p, count, pieces, [&](size_t i, const Pieces::Piece& piece, size_t index) {
    const size_t at = units.SumsOffset(i, piece), unit = i / of_unit;
    SumsOf<T>(p, data.variance, unit)(data.src + at, data.diff_dst + at, At(data.dst, at), piece.runs, piece.length,
                                      units.RunStride(), normals[unit].center, parts + index, 0);
  });
  for (size_t i = 0; i < count; ++i) {
    sums[i] = {0, 0, 0};
    for (size_t k = 0; k < pieces.count; ++k) sums[i] += parts[i * pieces.count + k];
  }
  return NN_OK;
}

// Of all units but those that are outside. True if there are such.
template <class T>
bool ApplyGradients(const Problem& p, const Backward<T>& data, const UnitGradient* units) {
  const bool stream = p.Streams(3, sizeof(T), data.diff_dst == data.diff_src);
  const auto apply = [&](const auto& skips) {
    ForAllRows<Gradient>(
        p, skips, [&](size_t unit, size_t channel) { return units[unit].With(data.weight, channel); },
        [&](size_t at, size_t runs, size_t length, const Gradient* gradients) {
          Table<T>(*p.target).gradient(data.src + at, data.diff_dst + at, At(data.dst, at), data.diff_src + at, runs,
                                       length, length, gradients, 1, stream);
        });
  };
  bool some_outside = false;
  for (size_t unit = 0; unit < p.Units(); ++unit) some_outside |= units[unit].outside;
  if (some_outside) {
    apply([&](size_t unit) { return units[unit].outside; });
  } else {
    apply(kSkipsNone);
  }
  return some_outside;
}

}  // namespace

template <class T>
int ChannelsFirstBackward(const Problem& p, const Backward<T>& data) {
  const Units units(p);
  const KernelTable<T>& kernels = Table<T>(*p.target);
  const Pieces pieces = units.ForGradients();
  const size_t entries = units.Sums(), unit_entries = entries / units.count;
  Scratch scratch(Scratch::Bytes<GradientSums>(entries) + Scratch::Bytes<Normal>(units.count) +
                  Scratch::Bytes<UnitGradient>(units.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  GradientSums* sums = scratch.Take<GradientSums>(entries);

  const auto finish = [&](size_t unit, const Normal& normal) {
    GradientSums* of_unit = sums + unit * unit_entries;
    const UnitGradient gradient(normal, Weighted(p, data.weight, of_unit, unit * unit_entries, unit_entries),
                                units.Values(), data.variance[unit], p.eps, p.given);
    for (size_t k = 0; k < unit_entries; ++k) of_unit[k].product = gradient.WeightPart(of_unit[k]);
    return gradient;
  };
  const auto differentiate_exactly = [&](size_t unit) {
    const size_t first = units.Row(unit, 0) * units.length;
    GradientSums* of_unit = sums + unit * unit_entries;
    for (size_t k = 0; k < unit_entries; ++k) of_unit[k] = {0, 0, 0};
    constexpr size_t kStep = sizeof(GradientSums) / sizeof(double);
    const Moments given = {p.given ? data.mean[unit] : 0, p.given ? data.variance[unit] : 0};
    ExactBackward(units.Exact(unit, p.channels), data.src + first, data.diff_dst + first, At(data.dst, first),
                  data.diff_src + first, data.weight, p.given ? &given : nullptr, true, p.eps,
                  {&of_unit->product, &of_unit->dy, kStep});
  };

  if (UnitByUnit(p, units)) {
    const bool stream = p.Streams(3, sizeof(T), data.diff_dst == data.diff_src);
    const size_t parts = Parts(p, units.count);
    Parallel(p.threads, parts, [&](size_t i) {
      const Range range = PartOf(units.count, parts, i);
      for (size_t unit = range.begin; unit < range.end; ++unit) {
        const Normal normal(data.mean[unit], data.variance[unit], p.eps);
        const size_t first = units.Row(unit, 0) * units.length;
        SumInOrder(SumsOf<T>(p, data.variance, unit), units, pieces, data, unit * unit_entries, unit_entries,
                   normal.center, sums + unit * unit_entries);
        const UnitGradient found = finish(unit, normal);
        if (found.outside) {
          differentiate_exactly(unit);
        } else if (p.operation == NN_BATCH) {
          const Gradient gradient = found.With(data.weight, unit);
          kernels.gradient(data.src + first, data.diff_dst + first, At(data.dst, first), data.diff_src + first,
                           units.rows, units.length, units.RunStride(), &gradient, 0, stream);
        } else {
          ForRows<Gradient>(
              p, first, units.rows * units.length, kSkipsNone,
              [&](size_t, size_t channel) { return found.With(data.weight, channel); },
              [&](size_t at, size_t runs, size_t length, const Gradient* gradients) {
                kernels.gradient(data.src + at, data.diff_dst + at, At(data.dst, at), data.diff_src + at, runs, length,
                                 length, gradients, 1, stream);
              });
        }
      }
    });
  } else {
    Normal* normals = scratch.Take<Normal>(units.count);
    UnitGradient* gradients = scratch.Take<UnitGradient>(units.count);
    for (size_t unit = 0; unit < units.count; ++unit) {
      normals[unit] = Normal(data.mean[unit], data.variance[unit], p.eps);
    }
    const int status = SumTogether(p, units, data, normals, sums);
    if (status != NN_OK) return status;
    for (size_t unit = 0; unit < units.count; ++unit) gradients[unit] = finish(unit, normals[unit]);
    if (ApplyGradients(p, data, gradients)) {
      ForOutside(
          p, [&](size_t unit) { return gradients[unit].outside; }, differentiate_exactly);
    }
  }
  StoreParameterGradients(p, data, sums, entries / p.channels);
  return NN_OK;
}

template <class T>
int ChannelsFirstGradientSums(const Problem& p, const Backward<T>& data, const double* mean, double* dy,
                              double* product) {
  Scratch scratch(Scratch::Bytes<Normal>(p.channels) + Scratch::Bytes<GradientSums>(p.channels));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  Normal* normals = scratch.Take<Normal>(p.channels);
  GradientSums* sums = scratch.Take<GradientSums>(p.channels);
  for (size_t c = 0; c < p.channels; ++c) normals[c] = Normal(mean[c], 0, 1);
  const Units units(p);
  const int status = SumTogether(p, units, data, normals, sums);
  for (size_t c = 0; status == NN_OK && c < p.channels; ++c) {
    GradientSums total = sums[c];
    total.product -= normals[c].rounded_away * total.dy;
    const size_t first = c * p.spatial;
    if (SumsAreOutside(total, units.Values())) {  // or constant
      SumInOrder(Table<T>(*p.target).constant_sums, units, units.ForGradients(), data, c, 1, normals[c].center, &total);
    }
    if (SumsAreOutside(total, units.Values()) && total.product != 0) {
      total = ExactSums(units.Exact(c, p.channels), data.src + first, data.diff_dst + first, At(data.dst, first),
                        nullptr, mean[c], 1, {nullptr, nullptr, 1});
    }
    dy[c] = total.dy;
    product[c] = total.product;
  }
  return status;
}

template <class T>
int ChannelsFirstGradient(const Problem& p, const Backward<T>& data, const double* mean, const double* variance,
                          const double* dy, const double* product, double n) {
  Scratch scratch(Scratch::Bytes<UnitGradient>(p.channels));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  UnitGradient* gradients = scratch.Take<UnitGradient>(p.channels);
  for (size_t c = 0; c < p.channels; ++c) {
    const Normal normal(mean[c], variance[c], p.eps);
    const double w = data.weight == nullptr ? 1 : data.weight[c];
    const double away = normal.rounded_away;  // the sums are to be around the rounded mean
    gradients[c] =
        UnitGradient(normal, {w * dy[c], w * (product[c] + away * dy[c]), away * n}, n, variance[c], p.eps, false);
  }
  if (!ApplyGradients(p, data, gradients)) return NN_OK;
  const Units units(p);
  ForOutside(
      p, [&](size_t c) { return gradients[c].outside; },
      [&](size_t c) {
        const size_t first = c * p.spatial;
        ExactGradientOf(units.Exact(c, p.channels), data.src + first, data.diff_dst + first, At(data.dst, first),
                        data.diff_src + first, data.weight, {mean[c], variance[c]}, p.eps, {dy[c], product[c], 0}, n);
      });
  return NN_OK;
}

template int ChannelsFirstForward(const Problem&, const Forward<float>&);
template int ChannelsFirstBackward(const Problem&, const Backward<float>&);
template int ChannelsFirstMoments(const Problem&, const float*, double*, double*);
template int ChannelsFirstNormalize(const Problem&, const Forward<float>&, const double*, const double*);
template int ChannelsFirstGradientSums(const Problem&, const Backward<float>&, const double*, double*, double*);
template int ChannelsFirstGradient(const Problem&, const Backward<float>&, const double*, const double*, const double*,
                                   const double*, double);

}  // namespace nn
