// Batch, group and instance normalization of channels-last tensors: samples that are matrices of rows (positions) and
// columns (channels). For batch normalization the whole tensor is one sample. Kernels work column by column; the
// columns of a group are merged here.
#include <initializer_list>

#include "column_sums.h"
#include "pool.h"
#include "problem.h"
#include "scratch.h"

namespace nn {
namespace {

struct Samples {
  size_t count;
  size_t rows;
  size_t columns;
  size_t members;  // columns of a unit
  size_t units;    // of a sample

  explicit Samples(const Problem& p)
      : count(p.operation == NN_BATCH ? 1 : p.batch),
        rows(p.operation == NN_BATCH ? p.batch * p.spatial : p.spatial),
        columns(p.channels),
        members(p.operation == NN_BATCH ? 1 : p.channels / p.groups),
        units(p.channels / members) {}

  size_t Elements() const { return rows * columns; }
  nn::Unit Exact(size_t unit) const { return {rows, members, columns, 1, unit * members, 0, 1}; }
  double Values() const { return static_cast<double>(rows) * static_cast<double>(members); }
};

// Whether there are samples enough to give each thread some, and so one pass after the other; else their rows are
// divided among the threads. (Dividing columns would save the merging, but strips of columns leave gaps in memory: 64
// channels of 3136 positions took twice as long.)
bool SampleBySample(const Problem& p, const Samples& s) {
  return p.threads == 1 || s.count >= 2 * static_cast<size_t>(p.threads);
}

// Where a sample's rows are divided, each thread has one part of them in both passes.
struct RowParts {
  size_t per_sample;
  size_t count;

  RowParts(const Problem& p, const Samples& s) {
    const size_t threads = static_cast<size_t>(p.threads);
    per_sample = (threads + s.count - 1) / s.count;
    if (per_sample > s.rows) per_sample = s.rows;
    count = per_sample * s.count;
  }

  Range Rows(const Samples& s, size_t part) const { return PartOf(s.rows, per_sample, part % per_sample); }

  // body(sample, offset of the first row, rows) over all parts.
  template <class Body>
  void ForAll(const Problem& p, const Samples& s, const Body& body) const {
    Parallel(p.threads, count, [&](size_t part) {
      const Range rows = Rows(s, part);
      const size_t sample = part / per_sample;
      body(sample, sample * s.Elements() + rows.begin * s.columns, rows.end - rows.begin);
    });
  }
};

// Arrays over columns for the parameters of a pass. Columns whose `first` is NaN are outside of what floats can do, if
// whoever set them says that there are such. `dy_center` is null where no column is constant.
struct Parameters {
  float* center;
  float* first;
  float* second;
  float* third;
  float* dy_center;

  // Kernels that begin at any column read whole vectors too.
  static size_t Padded(size_t columns) { return PaddedColumns(columns) + kColumnPadding; }
  static size_t Bytes(size_t columns, bool constants) {
    return (constants ? 5 : 4) * Scratch::Bytes<float>(Padded(columns));
  }

  Parameters(Scratch& scratch, size_t columns, bool constants) : dy_center(nullptr) {
    const size_t padded = Padded(columns);
    float** arrays[] = {&center, &first, &second, &third, constants ? &dy_center : nullptr};
    for (float** array : arrays) {
      if (array == nullptr) continue;
      *array = scratch.Take<float>(padded);
      for (size_t j = columns; j < padded; ++j) (*array)[j] = 0;
    }
  }

  void Set(size_t j, Affine affine) {
    center[j] = affine.center;
    first[j] = affine.scale;
    second[j] = affine.shift;
  }
  void Set(size_t j, Gradient gradient) {
    center[j] = gradient.center;
    first[j] = gradient.dy_factor;
    second[j] = gradient.x_factor;
    third[j] = gradient.constant;
    if (dy_center != nullptr) dy_center[j] = gradient.dy_center;
  }

  void SetOutside(size_t j) { first[j] = NAN; }
  bool IsOutside(size_t j) const { return isnan(first[j]); }

  // From a column on.
  ColumnAffine AsAffine(size_t j) const { return {center + j, first + j, second + j}; }
  ColumnGradient AsGradient(size_t j) const { return {center + j, first + j, second + j, third + j, At(dy_center, j)}; }

  // Where some are outside, a unit of which one column's factor is NaN, be it by its weight, is so as a whole: what is
  // left of it would have been written over what is read again.
  void JoinUnits(size_t columns, size_t members) const {
    for (size_t begin = 0; begin < columns; begin += members) {
      bool outside = false;
      for (size_t j = begin; j < begin + members; ++j) outside |= IsOutside(j);
      for (size_t j = begin; outside && j < begin + members; ++j) first[j] = NAN;
    }
  }

  // body(first column, columns) over all, or if some are outside, what lies between them.
  template <class Body>
  void ForInside(size_t columns, bool some_outside, const Body& body) const {
    if (!some_outside) return body(size_t{0}, columns);
    for (size_t begin = 0, end = 0; begin < columns; begin = end + 1) {
      for (end = begin; end < columns && !IsOutside(end);) ++end;
      if (end > begin) body(begin, end - begin);
    }
  }
};

// Some of them, one for each sample or each part.
class ParameterSets {
 public:
  static size_t Bytes(size_t count, size_t columns, bool constants) {
    return count * Parameters::Bytes(columns, constants);
  }

  ParameterSets(Scratch& scratch, size_t count, size_t columns, bool constants)
      : first_(scratch, columns, constants), step_(Parameters::Bytes(columns, constants) / sizeof(float)) {
    for (size_t i = 1; i < count; ++i) Parameters(scratch, columns, constants);
  }

  Parameters operator[](size_t i) const {
    Parameters set = first_;
    set.center += i * step_;
    set.first += i * step_;
    set.second += i * step_;
    set.third += i * step_;
    if (set.dy_center != nullptr) set.dy_center += i * step_;
    return set;
  }

 private:
  Parameters first_;
  size_t step_;
};

// The sums of gradients; the last two are null where no column is constant.
constexpr size_t kSums = 3, kSumsOfConstants = 5;
ColumnGradientSums SumsAt(const PieceSums& sums, size_t index, bool constants) {
  return {sums.At(index, 0), sums.At(index, 1), sums.At(index, 2), constants ? sums.At(index, 3) : nullptr,
          constants ? sums.At(index, 4) : nullptr};
}

// Merges the moments of a unit's columns, of which each has `rows` values.
Moments MergeColumns(const double* mean, const double* m2, size_t columns, double rows) {
  double sum = 0, total = 0;
  for (size_t j = 0; j < columns; ++j) sum += mean[j] - mean[0];
  const double merged = mean[0] + sum / static_cast<double>(columns);
  for (size_t j = 0; j < columns; ++j) total += m2[j] + rows * (mean[j] - merged) * (mean[j] - merged);
  return {merged, total};
}

// Merges the moments of columns into those of units, in their place.
void MergeIntoUnits(const Samples& s, double* mean, double* m2) {
  for (size_t u = 0; s.members > 1 && u < s.units; ++u) {
    const size_t j = u * s.members;
    const Moments merged = MergeColumns(mean + j, m2 + j, s.members, static_cast<double>(s.rows));
    mean[u] = merged.mean;
    m2[u] = merged.m2;
  }
}

// Moments of what are next to nothing are those of loops in doubles.
template <class T>
void MeasureTiny(const Problem& p, const Samples& s, const T* sample, double* mean, double* m2) {
  if (p.eps >= kLeastVariance) return;
  for (size_t u = 0; u < s.units; ++u) {
    if (!(m2[u] / s.Values() + p.eps < kLeastVariance)) continue;
    const Moments found = ExactMoments(s.Exact(u), sample + u * s.members, true);
    mean[u] = found.mean;
    m2[u] = found.m2;
  }
}

// The parameters of a sample's columns, whose units' statistics begin at `mean` and `variance`. True if some are
// outside.
template <class T>
bool SetAffines(const Problem& p, const Samples& s, const Forward<T>& data, const double* mean, const double* variance,
                Parameters set) {
  if (s.members == 1) {
    return Table<T>(*p.target).column_affines(mean, variance, s.columns, p.eps, data.weight, data.bias, set.center,
                                              set.first, set.second);
  }
  bool some_outside = false;
  for (size_t j = 0; j < s.columns; j += s.members) {
    const Normal normal(mean[j / s.members], variance[j / s.members], p.eps);
    for (size_t k = j; k < j + s.members; ++k) set.Set(k, normal.With(data.weight, data.bias, k));
    if (!normal.IsOutside()) continue;
    for (size_t k = j; k < j + s.members; ++k) set.SetOutside(k);
    some_outside = true;
  }
  if (some_outside) set.JoinUnits(s.columns, s.members);
  return some_outside;
}

// Rows of a sample, but for columns that are outside; their first element is number `at`.
template <class T>
void NormalizeRows(const Problem& p, const Samples& s, const Forward<T>& data, const Parameters& set, bool some_outside,
                   size_t at, size_t rows, bool stream) {
  set.ForInside(s.columns, some_outside, [&](size_t j, size_t columns) {
    Table<T>(*p.target).column_normalize(data.src + at + j, data.dst + at + j, rows, columns, s.columns,
                                         set.AsAffine(j), p.relu, stream);
  });
}

// A sample's units that are outside.
template <class T>
void NormalizeOutside(const Problem& p, const Samples& s, const Forward<T>& data, const Parameters& set, size_t sample,
                      const double* mean, const double* variance) {
  for (size_t u = 0; u < s.units; ++u) {
    if (!set.IsOutside(u * s.members)) continue;
    const size_t at = sample * s.Elements() + u * s.members;
    ExactForward(s.Exact(u), data.src + at, data.dst + at, data.weight, data.bias, p.relu, mean[u],
                 InverseDeviation(variance[u], p.eps, p.given));
  }
}

void SetCenters(const Problem& p, const Samples& s, const double* mean, const double* variance, Parameters set) {
  for (size_t j = 0; j < s.columns; j += s.members) {
    const size_t unit = j / s.members;
    // The center of Normal without its root.
    const float center =
        static_cast<float>(variance[unit]) + p.eps <= kLargestFloat ? static_cast<float>(mean[unit]) : 0;
    for (size_t k = j; k < j + s.members; ++k) set.center[k] = center;
  }
}

// Turns the sums of columns into their gradients' parameters, and the products into parts of the weight's gradient.
// True if some columns are outside.
template <class T>
bool SetGradients(const Problem& p, const Samples& s, const float* weight, double n, const double* mean,
                  const double* variance, ColumnGradientSums sums, Parameters set) {
  for (size_t j = 0; sums.exact_dy != nullptr && j < s.columns; ++j) {
    if (variance[j / s.members] != 0) continue;
    sums.dy[j] = sums.exact_dy[j];
    sums.product[j] = sums.spread[j] == 0 ? 0 : NAN;
    sums.residual[j] = 0;
  }
  if (s.members == 1) {
    return Table<T>(*p.target).column_gradients(sums, mean, variance, s.columns, p.eps, weight, n, p.given, set.center,
                                                set.first, set.second, set.third, set.dy_center);
  }
  bool some_outside = false;
  for (size_t j = 0; j < s.columns; j += s.members) {
    const Normal normal(mean[j / s.members], variance[j / s.members], p.eps);
    GradientSums total = {0, 0, 0};
    for (size_t k = j; k < j + s.members; ++k) {
      const double w = weight == nullptr ? 1 : weight[k];
      total.dy += w * sums.dy[k];
      total.product += w * sums.product[k];
      total.residual += sums.residual[k];
    }
    const UnitGradient gradient(normal, total, n, variance[j / s.members], p.eps, p.given);
    for (size_t k = j; k < j + s.members; ++k) {
      set.Set(k, gradient.With(weight, k));
      sums.product[k] = gradient.WeightPart({sums.dy[k], sums.product[k], sums.residual[k]});
      if (gradient.outside) set.SetOutside(k);
    }
    some_outside |= gradient.outside;
  }
  if (some_outside) set.JoinUnits(s.columns, s.members);
  return some_outside;
}

// As above for gradients. The sums of what is outside become those of loops in doubles.
template <class T>
void DifferentiateRows(const Problem& p, const Samples& s, const Backward<T>& data, const Parameters& set,
                       bool some_outside, size_t at, size_t rows, bool stream) {
  set.ForInside(s.columns, some_outside, [&](size_t j, size_t columns) {
    const size_t from = at + j;
    Table<T>(*p.target).column_gradient(data.src + from, data.diff_dst + from, At(data.dst, from), data.diff_src + from,
                                        rows, columns, s.columns, set.AsGradient(j), stream);
  });
}

template <class T>
void DifferentiateOutside(const Problem& p, const Samples& s, const Backward<T>& data, const Parameters& set,
                          size_t sample, const ColumnGradientSums& sums) {
  for (size_t u = 0; u < s.units; ++u) {
    const size_t j = u * s.members;
    if (!set.IsOutside(j)) continue;
    for (size_t k = j; k < j + s.members; ++k) sums.dy[k] = sums.product[k] = 0;
    const size_t at = sample * s.Elements() + j;
    const Moments given = {p.given ? data.mean[u] : 0, p.given ? data.variance[u] : 0};
    ExactBackward(s.Exact(u), data.src + at, data.diff_dst + at, At(data.dst, at), data.diff_src + at, data.weight,
                  p.given ? &given : nullptr, true, p.eps, {sums.product + j, sums.dy + j, 1});
  }
}

// body(sample) over those of which some columns are outside.
template <class Body>
void ForSamplesWith(const Problem& p, const Samples& s, const bool* some_outside, const Body& body) {
  Parallel(p.threads, Parts(p, s.count), [&](size_t part) {
    const Range range = PartOf(s.count, Parts(p, s.count), part);
    for (size_t sample = range.begin; sample < range.end; ++sample) {
      if (some_outside[sample]) body(sample);
    }
  });
}

void Widen(const float* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i) to[i] = from[i];
}

void Narrow(const double* from, size_t count, float* to) {
  for (size_t i = 0; to != nullptr && i < count; ++i) to[i] = static_cast<float>(from[i]);
}

void DivideBy(double n, size_t count, double* values) {
  const double share = 1 / n;
  for (size_t i = 0; i < count; ++i) values[i] *= share;
}

// sum(x - pivot) and sum((x - pivot)^2) of a piece, of some columns; `pivot` may be null: all are 0.
template <class T>
void SumPiece(const Problem& p, const RowPieces& pieces, const T* sample, size_t piece, Range columns,
              const float* pivot, double* sums, double* squares) {
  const Range rows = pieces[piece];
  const size_t j = columns.begin;
  Table<T>(*p.target).column_sums(sample + rows.begin * pieces.columns + j, rows.end - rows.begin, columns.end - j,
                                  pieces.columns, At(pivot, j), sums + j, squares + j);
  if (!pieces.EndsWithCut(piece)) return;
  const T* x = sample + rows.end * pieces.columns;
  const size_t end = columns.end < pieces.cut ? columns.end : pieces.cut;
  for (size_t i = j; i < end; ++i) {
    const float distance = pivot == nullptr ? x[i] : x[i] - pivot[i];
    sums[i] += distance;
    squares[i] += distance * distance;
  }
}

// The same around pivots, where columns are distrusted.
template <class T>
void SumPieceAgain(const Problem& p, const RowPieces& pieces, const T* sample, size_t piece, Range columns,
                   const float* pivot, const double* m2, double* sums, double* squares) {
  for (size_t j = columns.begin; j < columns.end; ++j) sums[j] = squares[j] = 0;
  ForDistrusted(pieces, columns, m2, [&](Range distrusted) {
    SumPiece(p, pieces, sample, piece, distrusted, pivot, sums, squares);
  });
}

void SetPivots(const RowPieces& pieces, const double* mean, float* means, float* pivot) {
  for (size_t j = 0; j < pieces.columns / pieces.folds; ++j) means[j] = static_cast<float>(mean[j]);
  Fold(pieces, means, pivot);
}

// The moments of a sample's columns by one thread, in the first of three totals of two arrays each; `means` and `pivot`
// are scratch, for columns and for folded ones.
constexpr size_t kTotalsOfSample = 3;
template <class T>
void MeasureSample(const Problem& p, const Samples& s, const RowPieces& pieces, const T* sample, const PieceSums& sums,
                   size_t first, float* means, float* pivot) {
  const size_t spare = first + 1, again = first + 2;
  double* mean = sums.At(first, 0);
  double* m2 = sums.At(first, 1);
  SumInOrder(pieces, sums, first, spare, [&](size_t piece, Range columns, size_t to) {
    SumPiece(p, pieces, sample, piece, columns, nullptr, sums.At(to, 0), sums.At(to, 1));
  });
  if (Table<T>(*p.target).column_moments(s.columns, 1 / static_cast<double>(s.rows), mean, m2)) return;
  SetPivots(pieces, mean, means, pivot);
  SumInOrder(pieces, sums, again, spare, [&](size_t piece, Range columns, size_t to) {
    SumPieceAgain(p, pieces, sample, piece, columns, pivot, m2, sums.At(to, 0), sums.At(to, 1));
  });
  FinishDistrusted(sample, s.rows, s.columns, s.columns, pivot, sums.At(again, 0), sums.At(again, 1), mean, m2);
}

// Those of all samples by all threads, in the arrays of each sample's first piece.
template <class T>
int MeasureTogether(const Problem& p, const Samples& s, const RowPieces& pieces, const T* src, const PieceSums& sums) {
  SumTogether(p, s.count, pieces, sums, [&](size_t sample, size_t piece, Range columns, size_t to) {
    SumPiece(p, pieces, src + sample * s.Elements(), piece, columns, nullptr, sums.At(to, 0), sums.At(to, 1));
  });
  bool good = true;
  for (size_t sample = 0; sample < s.count; ++sample) {
    const size_t total = sample * pieces.count;
    good &= Table<T>(*p.target).column_moments(s.columns, 1 / static_cast<double>(s.rows), sums.At(total, 0),
                                               sums.At(total, 1));
  }
  if (good) return NN_OK;
  const size_t all = s.count * pieces.count, padded = sums.Padded();
  Scratch scratch(PieceSums::Bytes(all, 2, pieces) + Scratch::Bytes<float>((s.count + 1) * padded));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const PieceSums again(p, scratch, all, 2, pieces);
  float* pivots = scratch.Take<float>((s.count + 1) * padded);
  for (size_t sample = 0; sample < s.count; ++sample) {
    SetPivots(pieces, sums.At(sample * pieces.count, 0), pivots + s.count * padded, pivots + sample * padded);
  }
  SumTogether(p, s.count, pieces, again, [&](size_t sample, size_t piece, Range columns, size_t to) {
    SumPieceAgain(p, pieces, src + sample * s.Elements(), piece, columns, pivots + sample * padded,
                  sums.At(sample * pieces.count, 1), again.At(to, 0), again.At(to, 1));
  });
  for (size_t sample = 0; sample < s.count; ++sample) {
    const size_t total = sample * pieces.count;
    FinishDistrusted(src + sample * s.Elements(), s.rows, s.columns, s.columns, pivots + sample * padded,
                     again.At(total, 0), again.At(total, 1), sums.At(total, 0), sums.At(total, 1));
  }
  return NN_OK;
}

template <class T>
int ForwardBySamples(const Problem& p, const Samples& s, const Forward<T>& data) {
  const RowPieces pieces(s.rows, s.columns);
  const size_t parts = Parts(p, s.count);
  Scratch scratch(ParameterSets::Bytes(parts, s.columns, false) +
                  PieceSums::Bytes(parts * kTotalsOfSample, 2, pieces) +
                  Scratch::Bytes<float>(parts * PaddedColumns(pieces.columns)));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const ParameterSets sets(scratch, parts, s.columns, false);
  const PieceSums sums(p, scratch, parts * kTotalsOfSample, 2, pieces);
  float* pivots = scratch.Take<float>(parts * sums.Padded());
  const bool stream = p.Streams(2, sizeof(T), data.src == data.dst);
  Parallel(p.threads, parts, [&](size_t part) {
    const Parameters set = sets[part];
    double* mean = sums.At(part * kTotalsOfSample, 0);
    double* variance = sums.At(part * kTotalsOfSample, 1);
    const Range range = PartOf(s.count, parts, part);
    for (size_t sample = range.begin; sample < range.end; ++sample) {
      const size_t at = sample * s.Elements(), unit = sample * s.units;
      MeasureSample(p, s, pieces, data.src + at, sums, part * kTotalsOfSample, set.third,
                    pivots + part * sums.Padded());
      MergeIntoUnits(s, mean, variance);
      MeasureTiny(p, s, data.src + at, mean, variance);
      DivideBy(s.Values(), s.units, variance);
      if (data.mean != nullptr) Narrow(mean, s.units, data.mean + unit);
      if (data.variance != nullptr) Narrow(variance, s.units, data.variance + unit);
      const bool some_outside = SetAffines(p, s, data, mean, variance, set);
      NormalizeRows(p, s, data, set, some_outside, at, s.rows, stream);
      if (some_outside) NormalizeOutside(p, s, data, set, sample, mean, variance);
    }
  });
  return NN_OK;
}

// Adds what a row that is cut short has from one column to another. Loops that compilers vectorize.
template <class T>
void SumCut(const T* x, const T* dy, const T* y, size_t begin, size_t end, const float* center,
            const ColumnGradientSums& sums) {
  for (size_t i = begin; i < end; ++i) {
    const float distance = x[i] - center[i];
    const float gradient = y != nullptr && y[i] <= 0 ? 0 : dy[i];
    sums.dy[i] += gradient;
    sums.product[i] += gradient * distance;
    sums.residual[i] += distance;
  }
  for (size_t i = begin; sums.exact_dy != nullptr && i < end; ++i) {
    sums.exact_dy[i] += y != nullptr && y[i] <= 0 ? 0 : dy[i];
    sums.spread[i] += fabsf(x[i] - center[i]);
  }
}

// The sums of a piece of a sample's gradient, of some columns.
template <class T>
void SumPiece(const Problem& p, const Samples& s, const RowPieces& pieces, const Backward<T>& data, size_t sample,
              size_t piece, Range columns, const float* center, const ColumnGradientSums& sums) {
  const Range rows = pieces[piece];
  const size_t from = sample * s.Elements(), j = columns.begin, at = from + rows.begin * pieces.columns + j;
  Table<T>(*p.target).column_gradient_sums(data.src + at, data.diff_dst + at, At(data.dst, at), rows.end - rows.begin,
                                           columns.end - j, pieces.columns, center + j,
                                           sums.From(j));
  if (!pieces.EndsWithCut(piece)) return;
  const size_t cut = from + rows.end * pieces.columns, end = columns.end < pieces.cut ? columns.end : pieces.cut;
  SumCut(data.src + cut, data.diff_dst + cut, At(data.dst, cut), j, end, center, sums);
}

// Samples' totals are the first of `sums`; those after are for one piece of each part. `centers` are folded, for each
// part.
template <class T>
void BackwardBySamples(const Problem& p, const Samples& s, const RowPieces& pieces, const Backward<T>& data,
                       const double* mean, const double* variance, const PieceSums& sums, bool constants,
                       const ParameterSets& sets, float* centers) {
  const size_t parts = Parts(p, s.count);
  const bool stream = p.Streams(3, sizeof(T), data.diff_dst == data.diff_src);
  Parallel(p.threads, parts, [&](size_t part) {
    const Parameters set = sets[part];
    float* center = centers + part * sums.Padded();
    const Range range = PartOf(s.count, parts, part);
    for (size_t sample = range.begin; sample < range.end; ++sample) {
      const size_t at = sample * s.Elements(), unit = sample * s.units;
      SetCenters(p, s, mean + unit, variance + unit, set);
      Fold(pieces, set.center, center);
      SumInOrder(pieces, sums, sample, s.count + part, [&](size_t piece, Range columns, size_t to) {
        SumPiece(p, s, pieces, data, sample, piece, columns, center, SumsAt(sums, to, constants));
      });
      const ColumnGradientSums found = SumsAt(sums, sample, constants);
      const bool some_outside =
          SetGradients<T>(p, s, data.weight, s.Values(), mean + unit, variance + unit, found, set);
      DifferentiateRows(p, s, data, set, some_outside, at, s.rows, stream);
      if (some_outside) DifferentiateOutside(p, s, data, set, sample, found);
    }
  });
}

// The sums of each sample's columns, in the arrays of its first piece.
template <class T>
void SumGradientsTogether(const Problem& p, const Samples& s, const RowPieces& pieces, const Backward<T>& data,
                          const float* centers, const PieceSums& sums, bool constants) {
  SumTogether(p, s.count, pieces, sums, [&](size_t sample, size_t piece, Range columns, size_t to) {
    SumPiece(p, s, pieces, data, sample, piece, columns, centers + sample * sums.Padded(),
             SumsAt(sums, to, constants));
  });
}

template <class T>
void ApplyByRows(const Problem& p, const Samples& s, const RowParts& parts, const Backward<T>& data,
                 const ParameterSets& sets, const bool* some_outside) {
  const bool stream = p.Streams(3, sizeof(T), data.diff_dst == data.diff_src);
  parts.ForAll(p, s, [&](size_t sample, size_t at, size_t rows) {
    DifferentiateRows(p, s, data, sets[sample], some_outside[sample], at, rows, stream);
  });
}

// Adds up the samples' parts of a parameter's gradient, whose totals are `step` apart.
void StoreParameterGradient(const PieceSums& sums, size_t array, size_t step, const Samples& s, float* gradient) {
  for (size_t c = 0; gradient != nullptr && c < s.columns; ++c) {
    double sum = 0;
    for (size_t n = 0; n < s.count; ++n) sum += sums.At(n * step, array)[c];
    gradient[c] = static_cast<float>(sum);
  }
}

}  // namespace

template <class T>
int ChannelsLastMoments(const Problem& p, const T* src, double* mean, double* m2) {
  const Samples s(p);
  const RowPieces pieces(s.rows, s.columns);
  Scratch scratch(PieceSums::Bytes(s.count * pieces.count, 2, pieces));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const PieceSums sums(p, scratch, s.count * pieces.count, 2, pieces);
  const int status = MeasureTogether(p, s, pieces, src, sums);
  if (status != NN_OK) return status;
  for (size_t sample = 0; sample < s.count; ++sample) {
    double* total_mean = sums.At(sample * pieces.count, 0);
    double* total_m2 = sums.At(sample * pieces.count, 1);
    MergeIntoUnits(s, total_mean, total_m2);
    MeasureTiny(p, s, src + sample * s.Elements(), total_mean, total_m2);
    for (size_t u = 0; u < s.units; ++u) {
      mean[sample * s.units + u] = total_mean[u];
      m2[sample * s.units + u] = total_m2[u];
    }
  }
  return NN_OK;
}

template <class T>
int ChannelsLastNormalize(const Problem& p, const Forward<T>& data, const double* mean, const double* variance) {
  const Samples s(p);
  Scratch scratch(ParameterSets::Bytes(s.count, s.columns, false) + Scratch::Bytes<bool>(s.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const ParameterSets sets(scratch, s.count, s.columns, false);
  bool* some_outside = scratch.Take<bool>(s.count);
  bool any = false;
  for (size_t sample = 0; sample < s.count; ++sample) {
    const size_t unit = sample * s.units;
    any |= some_outside[sample] = SetAffines(p, s, data, mean + unit, variance + unit, sets[sample]);
  }
  const bool stream = p.Streams(2, sizeof(T), data.src == data.dst);
  RowParts(p, s).ForAll(p, s, [&](size_t sample, size_t at, size_t rows) {
    NormalizeRows(p, s, data, sets[sample], some_outside[sample], at, rows, stream);
  });
  if (!any) return NN_OK;
  ForSamplesWith(p, s, some_outside, [&](size_t sample) {
    const size_t unit = sample * s.units;
    NormalizeOutside(p, s, data, sets[sample], sample, mean + unit, variance + unit);
  });
  return NN_OK;
}

template <class T>
int ChannelsLastForward(const Problem& p, const Forward<T>& data) {
  const Samples s(p);
  if (!p.given && SampleBySample(p, s)) return ForwardBySamples(p, s, data);
  const size_t units = p.Units();
  Scratch scratch(2 * Scratch::Bytes<double>(units));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  double* mean = scratch.Take<double>(units);
  double* variance = scratch.Take<double>(units);
  if (p.given) {
    Widen(data.mean, units, mean);
    Widen(data.variance, units, variance);
  } else {
    const int status = ChannelsLastMoments(p, data.src, mean, variance);
    if (status != NN_OK) return status;
    DivideBy(s.Values(), units, variance);
    Narrow(mean, units, data.mean);
    Narrow(variance, units, data.variance);
  }
  return ChannelsLastNormalize(p, data, mean, variance);
}

template <class T>
int ChannelsLastBackward(const Problem& p, const Backward<T>& data) {
  const Samples s(p);
  const size_t units = p.Units();
  const bool by_samples = SampleBySample(p, s);
  const RowPieces pieces(s.rows, s.columns);
  const size_t set_count = by_samples ? Parts(p, s.count) : s.count;
  const size_t step = by_samples ? 1 : pieces.count;  // from a sample's total to the next one's
  const bool constants = SomeConstant(p, data.variance);
  const size_t arrays = constants ? kSumsOfConstants : kSums;
  const size_t sum_count = by_samples ? s.count + set_count : s.count * step;
  Scratch scratch(2 * Scratch::Bytes<double>(units) + PieceSums::Bytes(sum_count, arrays, pieces) +
                  ParameterSets::Bytes(set_count, s.columns, constants) +
                  Scratch::Bytes<float>(set_count * PaddedColumns(pieces.columns)) + Scratch::Bytes<bool>(s.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  double* mean = scratch.Take<double>(units);
  double* variance = scratch.Take<double>(units);
  const PieceSums sums(p, scratch, sum_count, arrays, pieces);
  const ParameterSets sets(scratch, set_count, s.columns, constants);
  float* centers = scratch.Take<float>(set_count * sums.Padded());
  Widen(data.mean, units, mean);
  Widen(data.variance, units, variance);
  if (by_samples) {
    BackwardBySamples(p, s, pieces, data, mean, variance, sums, constants, sets, centers);
  } else {
    for (size_t sample = 0; sample < s.count; ++sample) {
      SetCenters(p, s, mean + sample * s.units, variance + sample * s.units, sets[sample]);
      Fold(pieces, sets[sample].center, centers + sample * sums.Padded());
    }
    SumGradientsTogether(p, s, pieces, data, centers, sums, constants);
    bool* some_outside = scratch.Take<bool>(s.count);
    bool any = false;
    for (size_t sample = 0; sample < s.count; ++sample) {
      const size_t unit = sample * s.units;
      any |= some_outside[sample] = SetGradients<T>(p, s, data.weight, s.Values(), mean + unit, variance + unit,
                                                    SumsAt(sums, sample * step, constants), sets[sample]);
    }
    ApplyByRows(p, s, RowParts(p, s), data, sets, some_outside);
    if (any) {
      ForSamplesWith(p, s, some_outside, [&](size_t sample) {
        DifferentiateOutside(p, s, data, sets[sample], sample, SumsAt(sums, sample * step, constants));
      });
    }
  }
  StoreParameterGradient(sums, 1, step, s, data.diff_weight);
  StoreParameterGradient(sums, 0, step, s, data.diff_bias);
  return NN_OK;
}

template <class T>
int ChannelsLastGradientSums(const Problem& p, const Backward<T>& data, const double* mean, double* dy,
                             double* product) {
  const Samples s(p);
  const RowPieces pieces(s.rows, s.columns);
  bool again = false;
  // Once more where floats will not do: most such columns are constant.
  for (bool constants : {false, true}) {
    const size_t arrays = constants ? kSumsOfConstants : kSums;
    const size_t padded = PaddedColumns(pieces.columns);
    Scratch scratch(PieceSums::Bytes(pieces.count, arrays, pieces) + 2 * Scratch::Bytes<float>(padded));
    if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
    const PieceSums sums(p, scratch, pieces.count, arrays, pieces);
    float* center = scratch.Take<float>(padded);
    float* folded = scratch.Take<float>(padded);
    for (size_t j = 0; j < s.columns; ++j) center[j] = static_cast<float>(mean[j]);
    Fold(pieces, center, folded);
    SumGradientsTogether(p, s, pieces, data, folded, sums, constants);
    const ColumnGradientSums found = SumsAt(sums, 0, constants);
    for (size_t j = 0; j < s.columns; ++j) {
      GradientSums total = {found.dy[j], found.product[j] - (mean[j] - center[j]) * found.dy[j], 0};
      if (SumsAreOutside(total, s.Values())) {
        again = true;
        if (!constants) break;
        total = found.spread[j] == 0 ? GradientSums{found.exact_dy[j], 0, 0}
                                     : ExactSums(s.Exact(j), data.src + j, data.diff_dst + j, At(data.dst, j), nullptr,
                                                 mean[j], 1, {nullptr, nullptr, 1});
      }
      dy[j] = total.dy;
      product[j] = total.product;
    }
    if (!again) break;
  }
  return NN_OK;
}

template <class T>
int ChannelsLastGradient(const Problem& p, const Backward<T>& data, const double* mean, const double* variance,
                         const double* dy, const double* product, double n) {
  const Samples s(p);
  bool constants = false;
  for (size_t j = 0; j < s.columns; ++j) constants |= variance[j] == 0;
  const size_t padded = PaddedColumns(s.columns);
  Scratch scratch(3 * Scratch::Bytes<double>(padded) + ParameterSets::Bytes(1, s.columns, constants));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const ColumnGradientSums sums = {scratch.Take<double>(padded), scratch.Take<double>(padded),
                                   scratch.Take<double>(padded), nullptr, nullptr};
  const ParameterSets sets(scratch, 1, s.columns, constants);
  for (size_t j = 0; j < s.columns; ++j) {
    const double away = mean[j] - static_cast<float>(mean[j]);  // the sums are to be around the rounded mean
    sums.dy[j] = dy[j];
    sums.product[j] = product[j] + away * dy[j];
    sums.residual[j] = away * n;
  }
  const bool some_outside = SetGradients<T>(p, s, data.weight, n, mean, variance, sums, sets[0]);
  ApplyByRows(p, s, RowParts(p, s), data, sets, &some_outside);
  for (size_t j = 0; some_outside && j < s.columns; ++j) {
    if (!sets[0].IsOutside(j)) continue;
    ExactGradientOf(s.Exact(j), data.src + j, data.diff_dst + j, At(data.dst, j), data.diff_src + j, data.weight,
                    {mean[j], variance[j]}, p.eps, {dy[j], product[j], 0}, n);
  }
  return NN_OK;
}

template int ChannelsLastForward(const Problem&, const Forward<float>&);
template int ChannelsLastBackward(const Problem&, const Backward<float>&);
template int ChannelsLastMoments(const Problem&, const float*, double*, double*);
template int ChannelsLastNormalize(const Problem&, const Forward<float>&, const double*, const double*);
template int ChannelsLastGradientSums(const Problem&, const Backward<float>&, const double*, double*, double*);
template int ChannelsLastGradient(const Problem&, const Backward<float>&, const double*, const double*, const double*,
                                  const double*, double);

}  // namespace nn
