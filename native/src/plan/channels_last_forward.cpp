// The driver of channels-last forward, and of its phases.
#include <atomic>

#include "plan/channels_last.h"

namespace nn {
namespace {

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

// Units whose variance is too small for floats are measured by loops in doubles.
void MeasureTiny(const Plan& p, const Samples& s, const Input& sample, double* mean, double* m2) {
  if (p.eps >= kLeastVariance) return;
  for (size_t u = 0; u < s.units; ++u) {
    if (!(m2[u] / s.Values() + p.eps < kLeastVariance)) continue;
    const Moments found = p.loops->exact_moments(s.Exact(u), sample.At(u * s.members), true);
    mean[u] = found.mean;
    m2[u] = found.m2;
  }
}

// The parameters of a sample's columns, whose units' statistics begin at `mean` and `variance`. True if some are
// outside.
bool SetAffines(const Plan& p, const Samples& s, const Forward& data, const double* mean, const double* variance,
                Parameters set) {
  if (s.members == 1) {
    return p.kernels->column_affines[kPlain](mean, variance, s.columns, p.eps, data.weight, data.bias, set.center,
                                             set.first, set.second);
  }
  bool some_outside = false;
  for (size_t j = 0; j < s.columns; j += s.members) {
    const Normal normal(mean[j / s.members], variance[j / s.members], p.eps);
    for (size_t k = j; k < j + s.members; ++k) set.Set(k, normal.With(data.weight, data.bias, k));
    if (!normal.IsOutside()) continue;
    set.SetOutside(j);
    some_outside = true;
  }
  if (some_outside) set.JoinUnits(s.columns, s.members);
  return some_outside;
}

// Normalizes rows of a sample, but for columns that are outside; the first row begins at element `at`.
void NormalizeRows(const Plan& p, const Samples& s, const Forward& data, const Parameters& set, bool some_outside,
                   size_t at, size_t rows, bool stream) {
  set.ForInside(s.columns, some_outside, [&](size_t j, size_t columns) {
    p.kernels->column_normalize[p.Options(stream)](data.src.At(at + j), data.dst.At(at + j), rows, columns, s.columns,
                                                   set.AsAffine(j));
  });
  EndStream(stream);
}

// Normalizes a sample's units that are outside.
void NormalizeOutside(const Plan& p, const Samples& s, const Forward& data, const Parameters& set, size_t sample,
                      const double* mean, const double* variance) {
  for (size_t u = 0; u < s.units; ++u) {
    if (!set.IsOutside(u * s.members)) continue;
    const size_t at = sample * s.Elements() + u * s.members;
    p.loops->exact_forward(s.Exact(u), data.src.At(at), data.dst.At(at), data.weight, data.bias, p.relu, mean[u],
                           InverseDeviation(variance[u], p.eps, p.given));
  }
}

void Narrow(const double* from, size_t count, float* to) {
  for (size_t i = 0; to != nullptr && i < count; ++i) to[i] = static_cast<float>(from[i]);
}

void DivideBy(double n, size_t count, double* values) {
  const double share = 1 / n;
  for (size_t i = 0; i < count; ++i) values[i] *= share;
}

// sum(x - pivot) and sum((x - pivot)^2) of a piece that begins with `x`, of some columns; `pivot` may be null: all are
// 0.
void SumRows(const Plan& p, const RowPieces& pieces, const Input& x, size_t piece, Range columns, const float* pivot,
             double* sums, double* squares) {
  const Range rows = pieces[piece];
  const size_t j = columns.begin;
  p.kernels->column_sums[kPlain](x.At(j), rows.end - rows.begin, columns.end - j, pieces.columns, At(pivot, j),
                                 p.Prefetches(p.ForwardBytes()), sums + j, squares + j);
  if (!pieces.EndsWithTail(piece)) return;
  const size_t end = columns.end < pieces.tail ? columns.end : pieces.tail;
  p.loops->tail_sums(x.At((rows.end - rows.begin) * pieces.columns), j, end, pivot, sums, squares);
}

// sum(x) with a piece of a sample; of a masked one with what counts, packed once for all sums.
template <class Sum>
void WithPiece(const Plan& p, const Samples& s, const RowPieces& pieces, const Input& sample, size_t piece,
               const Sum& sum) {
  const Range elements = pieces.Elements(piece);
  if (s.counted == nullptr) return sum(sample.From(elements.begin));
  Scratch packed(elements.end * p.element_bytes - elements.begin * p.element_bytes);
  if (!packed.IsThere()) return s.counted->MissMemory();
  char* rows = packed.Take<char>(0);
  s.counted->Pack(sample, elements.begin / s.columns, elements.end / s.columns, rows);
  sum(Input{rows, p.element_bytes});
}

// The sums around 0 of a piece of a sample.
void SumPiece(const Plan& p, const Samples& s, const RowPieces& pieces, const Input& sample, size_t piece,
              Range columns, double* sums, double* squares) {
  WithPiece(p, s, pieces, sample, piece,
            [&](const Input& x) { SumRows(p, pieces, x, piece, columns, nullptr, sums, squares); });
}

// The same around pivots, for columns that are distrusted.
void SumPieceAgain(const Plan& p, const Samples& s, const RowPieces& pieces, const Input& sample, size_t piece,
                   Range columns, const float* pivot, const double* m2, double* sums, double* squares) {
  for (size_t j = columns.begin; j < columns.end; ++j) sums[j] = squares[j] = 0;
  WithPiece(p, s, pieces, sample, piece, [&](const Input& x) {
    ForDistrusted(pieces, columns, m2,
                  [&](Range distrusted) { SumRows(p, pieces, x, piece, distrusted, pivot, sums, squares); });
  });
}

void SetPivots(const RowPieces& pieces, const double* mean, float* means, float* pivot) {
  for (size_t j = 0; j < pieces.columns / pieces.folds; ++j) means[j] = static_cast<float>(mean[j]);
  Fold(pieces, means, pivot);
}

// The moments of a sample's columns by one thread, in the first of three totals of two arrays each; `means` and `pivot`
// are scratch, for columns and for folded ones.
constexpr size_t kTotalsOfSample = 3;
void MeasureSample(const Plan& p, const Samples& s, const RowPieces& pieces, const Input& sample, const PieceSums& sums,
                   size_t first, float* means, float* pivot) {
  const size_t spare = first + 1, again = first + 2;
  double* mean = sums.At(first, 0);
  double* m2 = sums.At(first, 1);
  SumInOrder(pieces, sums, first, spare, [&](size_t piece, Range columns, size_t to) {
    SumPiece(p, s, pieces, sample, piece, columns, sums.At(to, 0), sums.At(to, 1));
  });
  if (p.kernels->column_moments[kPlain](s.columns, 1 / static_cast<double>(s.rows), mean, m2)) return;
  SetPivots(pieces, mean, means, pivot);
  SumInOrder(pieces, sums, again, spare, [&](size_t piece, Range columns, size_t to) {
    SumPieceAgain(p, s, pieces, sample, piece, columns, pivot, m2, sums.At(to, 0), sums.At(to, 1));
  });
  FinishDistrusted(*p.loops, sample, s.Column(), static_cast<double>(s.rows), s.columns, pivot, sums.At(again, 0),
                   sums.At(again, 1), mean, m2);
}

// The moments of all samples' columns by all threads, in the arrays of each sample's first piece.
int MeasureTogether(const Plan& p, const Samples& s, const RowPieces& pieces, const Input& src, const PieceSums& sums) {
  std::atomic<bool> good{true};
  const auto sum = [&](size_t sample, size_t piece, Range columns, size_t to) {
    SumPiece(p, s, pieces, src.From(sample * s.Elements()), piece, columns, sums.At(to, 0), sums.At(to, 1));
  };
  SumTogether(p, s.count, pieces, sums, true, sum, [&](size_t sample, Range columns) {
    const size_t total = sample * pieces.count, j = columns.begin;
    if (!p.kernels->column_moments[kPlain](columns.end - j, 1 / static_cast<double>(s.rows), sums.At(total, 0) + j,
                                           sums.At(total, 1) + j)) {
      good = false;
    }
  });
  if (good) return NN_OK;
  const size_t all = s.count * pieces.count, padded = sums.Padded();
  Scratch scratch(PieceSums::Bytes(all, 2, pieces) + Scratch::Bytes<float>((s.count + 1) * padded));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const PieceSums again(p, scratch, all, 2, pieces);
  float* pivots = scratch.Take<float>((s.count + 1) * padded);
  for (size_t sample = 0; sample < s.count; ++sample) {
    SetPivots(pieces, sums.At(sample * pieces.count, 0), pivots + s.count * padded, pivots + sample * padded);
  }
  const auto sum_again = [&](size_t sample, size_t piece, Range columns, size_t to) {
    SumPieceAgain(p, s, pieces, src.From(sample * s.Elements()), piece, columns, pivots + sample * padded,
                  sums.At(sample * pieces.count, 1), again.At(to, 0), again.At(to, 1));
  };
  SumTogether(p, s.count, pieces, again, true, sum_again, [](size_t, Range) {});
  for (size_t sample = 0; sample < s.count; ++sample) {
    const size_t total = sample * pieces.count;
    FinishDistrusted(*p.loops, src.From(sample * s.Elements()), s.Column(), static_cast<double>(s.rows), s.columns,
                     pivots + sample * padded, again.At(total, 0), again.At(total, 1), sums.At(total, 0),
                     sums.At(total, 1));
  }
  return NN_OK;
}

int ForwardBySamples(const Plan& p, const Samples& s, const Forward& data) {
  const RowPieces pieces(s.rows, s.columns);
  const size_t parts = Parts(p, s.count);
  Scratch scratch(ParameterSets::Bytes(parts, s.columns, false) +
                  PieceSums::Bytes(parts * kTotalsOfSample, 2, pieces) +
                  Scratch::Bytes<float>(parts * PaddedColumns(pieces.columns)));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const ParameterSets sets(scratch, parts, s.columns, false);
  const PieceSums sums(p, scratch, parts * kTotalsOfSample, 2, pieces);
  float* pivots = scratch.Take<float>(parts * sums.Padded());
  const bool stream = p.Streams(p.ForwardBytes(), data.IsInPlace());
  Parallel(p.team, parts, [&](size_t part) {
    const Parameters set = sets[part];
    double* mean = sums.At(part * kTotalsOfSample, 0);
    double* variance = sums.At(part * kTotalsOfSample, 1);
    const Range range = PartOf(s.count, parts, part);
    for (size_t sample = range.begin; sample < range.end; ++sample) {
      const size_t at = sample * s.Elements(), unit = sample * s.units;
      MeasureSample(p, s, pieces, data.src.From(at), sums, part * kTotalsOfSample, set.third,
                    pivots + part * sums.Padded());
      MergeIntoUnits(s, mean, variance);
      MeasureTiny(p, s, data.src.From(at), mean, variance);
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

}  // namespace

int ChannelsLastMoments(const Plan& p, const Input& src, double* mean, double* m2) {
  return ChannelsLastMoments(p, Samples(p), src, mean, m2);
}

int ChannelsLastMoments(const Plan& p, const Samples& s, const Input& src, double* mean, double* m2) {
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
    MeasureTiny(p, s, src.From(sample * s.Elements()), total_mean, total_m2);
    for (size_t u = 0; u < s.units; ++u) {
      mean[sample * s.units + u] = total_mean[u];
      m2[sample * s.units + u] = total_m2[u];
    }
  }
  return NN_OK;
}

int ChannelsLastResiduals(const Plan& p, const Samples& s, const Input& sample, const float* center,
                          double* residuals) {
  const RowPieces pieces(s.rows, s.columns);
  Scratch scratch(PieceSums::Bytes(pieces.count, 2, pieces) + Scratch::Bytes<float>(PaddedColumns(pieces.columns)));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const PieceSums sums(p, scratch, pieces.count, 2, pieces);
  float* pivot = scratch.Take<float>(sums.Padded());
  Fold(pieces, center, pivot);
  SumTogether(
      p, 1, pieces, sums, true,
      [&](size_t, size_t piece, Range columns, size_t to) {
        WithPiece(p, s, pieces, sample, piece, [&](const Input& x) {
          SumRows(p, pieces, x, piece, columns, pivot, sums.At(to, 0), sums.At(to, 1));
        });
      },
      [](size_t, Range) {});
  for (size_t j = 0; j < s.columns; ++j) residuals[j] = sums.At(0, 0)[j];
  return NN_OK;
}

int ChannelsLastNormalize(const Plan& p, const Forward& data, const double* mean, const double* variance) {
  const Samples s(p);
  Scratch scratch(ParameterSets::Bytes(s.count, s.columns, false) + Scratch::Bytes<bool>(s.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const ParameterSets sets(scratch, s.count, s.columns, false);
  bool* some_outside = scratch.Take<bool>(s.count);
  for (size_t sample = 0; sample < s.count; ++sample) {
    const size_t unit = sample * s.units;
    some_outside[sample] = SetAffines(p, s, data, mean + unit, variance + unit, sets[sample]);
  }
  const bool stream = p.Streams(p.ForwardBytes(), data.IsInPlace());
  RowParts(p, s).ForAll(p, s, [&](size_t sample, size_t at, size_t rows) {
    NormalizeRows(p, s, data, sets[sample], some_outside[sample], at, rows, stream);
  });
  ForSamplesWith(p, s, some_outside, [&](size_t sample) {
    const size_t unit = sample * s.units;
    NormalizeOutside(p, s, data, sets[sample], sample, mean + unit, variance + unit);
  });
  return NN_OK;
}

int ChannelsLastForward(const Plan& p, const Forward& data) {
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

}  // namespace nn
