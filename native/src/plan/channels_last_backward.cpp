// The driver of channels-last backward, and of its phases.
#include <atomic>
#include <initializer_list>
#include <new>

#include "plan/channels_last.h"

namespace nn {
namespace {

// The sums of gradients; the last two are null where no column is constant.
constexpr size_t kSums = 3, kSumsOfConstants = 5;
ColumnGradientSums SumsAt(const PieceSums& sums, size_t index, bool constants) {
  return {sums.At(index, 0), sums.At(index, 1), sums.At(index, 2), constants ? sums.At(index, 3) : nullptr,
          constants ? sums.At(index, 4) : nullptr};
}

void SetCenters(const Plan& p, const Samples& s, const float* mean, const float* variance, Parameters set) {
  // The center of Normal without its root.
  const auto center = [&](size_t unit) { return variance[unit] + p.eps <= kLargestFloat ? mean[unit] : 0; };
  if (s.members == 1) {  // a loop that compilers vectorize
    for (size_t j = 0; j < s.columns; ++j) set.center[j] = center(j);
    return;
  }
  for (size_t unit = 0; unit < s.units; ++unit) {
    for (size_t k = 0; k < s.members; ++k) set.center[unit * s.members + k] = center(unit);
  }
}

// Turns the sums of columns into their gradients' parameters, and the products into parts of the weight's gradient.
// True if some columns are outside.
bool SetGradients(const Plan& p, const Samples& s, const float* weight, double n, const double* mean,
                  const double* variance, const ColumnGradientSums& sums, Parameters set) {
  for (size_t j = 0; n == 0 && j < s.columns; ++j) set.SetOutside(j);
  if (n == 0) return true;
  for (size_t j = 0; sums.exact_dy != nullptr && j < s.columns; ++j) {
    if (variance[j / s.members] != 0) continue;
    sums.dy[j] = sums.exact_dy[j];
    sums.product[j] = sums.spread[j] == 0 ? 0 : NAN;
    sums.residual[j] = 0;
  }
  if (s.members == 1) {
    return p.kernels->column_gradients[kPlain](sums, mean, variance, s.columns, p.eps, weight, n, p.given, set.center,
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
    }
    if (gradient.outside) set.SetOutside(j);
    some_outside |= gradient.outside;
  }
  if (some_outside) set.JoinUnits(s.columns, s.members);
  return some_outside;
}

// A sample's values in each unit.
double Values(const Samples& s, const Backward& data, size_t sample) {
  return data.counted == nullptr ? s.Values() : data.counted->Values(sample * s.units);
}

// The gradients of rows of a sample, but for columns that are outside; the first row begins at element `at`.
void DifferentiateRows(const Plan& p, const Samples& s, const Backward& data, const Parameters& set, bool some_outside,
                       size_t at, size_t rows, bool stream) {
  if (!data.WantsInput()) return;
  const auto differentiate = [&](size_t first, size_t count, bool counts) {
    set.ForInside(s.columns, some_outside, [&](size_t j, size_t columns) {
      const size_t from = at + first * s.columns + j;
      p.kernels->column_gradient[p.Options(stream)](
          data.src.At(from), data.diff_dst.At(from), data.dst.At(from), data.diff_src.At(from), count, columns,
          s.columns, counts ? set.AsGradient(j) : set.OfPadding(j, data.counted->Zeros()));
    });
  };
  if (data.counted == nullptr) {
    differentiate(0, rows, true);
  } else {
    const unsigned char* mask = data.counted->MaskAt(at);
    for (size_t begin = 0, end = 0; begin < rows; begin = end) {
      while (end < rows && (mask[end] != 0) == (mask[begin] != 0)) ++end;
      differentiate(begin, end - begin, mask[begin] != 0);
    }
  }
  EndStream(stream);
}

// The gradients of a sample's units that are outside; their sums become those of loops in doubles.
void DifferentiateOutside(const Plan& p, const Samples& s, const Backward& data, const Parameters& set, size_t sample,
                          const ColumnGradientSums& sums) {
  for (size_t u = 0; u < s.units; ++u) {
    const size_t j = u * s.members;
    if (!set.IsOutside(j)) continue;
    for (size_t k = j; k < j + s.members; ++k) sums.dy[k] = sums.product[k] = 0;
    const size_t at = sample * s.Elements() + j;
    const Moments given = {p.given ? data.mean[u] : 0, p.given ? data.variance[u] : 0};
    p.loops->exact_backward(data.counted == nullptr ? s.Exact(u) : data.counted->Exact(sample * s.units + u),
                            data.src.At(at), data.diff_dst.At(at), data.dst.At(at), data.diff_src.At(at), data.weight,
                            p.given ? &given : nullptr, true, p.eps, {sums.product + j, sums.dy + j, 1});
  }
}

// The sums of a piece of a sample's gradient, of some columns.
void SumPiece(const Plan& p, const Samples& s, const RowPieces& pieces, const Backward& data, size_t sample,
              size_t piece, Range columns, const float* center, const ColumnGradientSums& sums) {
  const Range rows = pieces[piece];
  const size_t from = sample * s.Elements(), j = columns.begin, at = from + rows.begin * pieces.columns + j;
  p.kernels->column_gradient_sums[p.Options()](data.src.At(at), data.diff_dst.At(at), data.dst.At(at),
                                               rows.end - rows.begin, columns.end - j, pieces.columns, center + j,
                                               p.Prefetches(p.ForwardBytes()), sums.From(j));
  if (!pieces.EndsWithTail(piece)) return;
  const size_t tail = from + rows.end * pieces.columns, end = columns.end < pieces.tail ? columns.end : pieces.tail;
  p.loops->tail_gradient_sums(data.src.At(tail), data.diff_dst.At(tail), data.dst.At(tail), j, end, center, sums);
}

// The samples' totals come first in `sums`, then one piece for each part. `centers` are folded, for each part.
void BackwardBySamples(const Plan& p, const Samples& s, const RowPieces& pieces, const Backward& data,
                       const double* mean, const double* variance, const PieceSums& sums, bool constants,
                       const ParameterSets& sets, float* centers, double* residuals) {
  const size_t parts = Parts(p, s.count);
  const bool stream = p.Streams(p.BackwardBytes(), data.IsInPlace());
  Parallel(p.team, parts, [&](size_t part) {
    const Parameters set = sets[part];
    float* center = centers + part * sums.Padded();
    const Range range = PartOf(s.count, parts, part);
    for (size_t sample = range.begin; sample < range.end; ++sample) {
      const size_t at = sample * s.Elements(), unit = sample * s.units;
      SetCenters(p, s, data.mean + unit, data.variance + unit, set);
      Fold(pieces, set.center, center);
      SumInOrder(pieces, sums, sample, s.count + part, [&](size_t piece, Range columns, size_t to) {
        SumPiece(p, s, pieces, data, sample, piece, columns, center, SumsAt(sums, to, constants));
      });
      ColumnGradientSums found = SumsAt(sums, sample, constants);
      if (data.counted != nullptr) {
        found.residual = residuals + part * s.columns;
        data.counted->Residuals(sample, set.center, kAlone, found.residual);
      }
      const bool some_outside =
          SetGradients(p, s, data.weight, Values(s, data, sample), mean + unit, variance + unit, found, set);
      DifferentiateRows(p, s, data, set, some_outside, at, s.rows, stream);
      if (some_outside) DifferentiateOutside(p, s, data, set, sample, found);
    }
  });
}

// The sums of each sample's columns, in the arrays of its first piece; finish(sample, columns) as in SumTogether.
template <class Finish>
void SumGradientsTogether(const Plan& p, const Samples& s, const RowPieces& pieces, const Backward& data,
                          const float* centers, const PieceSums& sums, bool constants, const Finish& finish) {
  const auto sum = [&](size_t sample, size_t piece, Range columns, size_t to) {
    SumPiece(p, s, pieces, data, sample, piece, columns, centers + sample * sums.Padded(),
             SumsAt(sums, to, constants));
  };
  SumTogether(p, s.count, pieces, sums, s.members == 1, sum, finish);
}

template <class Flags>
void ApplyByRows(const Plan& p, const Samples& s, const RowParts& parts, const Backward& data,
                 const ParameterSets& sets, const Flags& some_outside) {
  if (!data.WantsInput()) return;
  const bool stream = p.Streams(p.BackwardBytes(), data.IsInPlace());
  parts.ForAll(p, s, [&](size_t sample, size_t at, size_t rows) {
    DifferentiateRows(p, s, data, sets[sample], some_outside[sample], at, rows, stream);
  });
}

// Adds up the samples' parts of a parameter's gradient, whose totals are `step` apart, of some columns.
void StoreParameterGradient(const PieceSums& sums, size_t array, size_t step, size_t samples, Range columns,
                            float* gradient) {
  constexpr size_t kTogether = 64;
  for (size_t begin = columns.begin; gradient != nullptr && begin < columns.end; begin += kTogether) {
    const size_t count = columns.end - begin < kTogether ? columns.end - begin : kTogether;
    double totals[kTogether];
    const double* first = sums.At(0, array) + begin;
    for (size_t j = 0; j < count; ++j) totals[j] = 0.0 + first[j];  // -0 becomes 0
    for (size_t n = 1; n < samples; ++n) {
      const double* part = sums.At(n * step, array) + begin;
      for (size_t j = 0; j < count; ++j) totals[j] += part[j];
    }
    for (size_t j = 0; j < count; ++j) gradient[begin + j] = static_cast<float>(totals[j]);
  }
}

}  // namespace

int ChannelsLastBackward(const Plan& p, const Backward& data) {
  const Samples s(p);
  const size_t units = p.Units();
  const bool by_samples = SampleBySample(p, s);
  const RowPieces pieces(s.rows, s.columns);
  const size_t set_count = by_samples ? Parts(p, s.count) : s.count;
  const size_t step = by_samples ? 1 : pieces.count;  // from a sample's total to the next one's
  const bool constants = SomeConstant(p, data.variance);
  const size_t arrays = constants ? kSumsOfConstants : kSums;
  const size_t sum_count = by_samples ? s.count + set_count : s.count * step;
  const size_t residual_count = data.counted == nullptr ? 0 : set_count * s.columns;
  Scratch scratch(2 * Scratch::Bytes<double>(units) + PieceSums::Bytes(sum_count, arrays, pieces) +
                  ParameterSets::Bytes(set_count, s.columns, constants) +
                  Scratch::Bytes<float>(set_count * PaddedColumns(pieces.columns)) +
                  Scratch::Bytes<double>(residual_count) + Scratch::Bytes<std::atomic<bool>>(s.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  double* mean = scratch.Take<double>(units);
  double* variance = scratch.Take<double>(units);
  const PieceSums sums(p, scratch, sum_count, arrays, pieces);
  const ParameterSets sets(scratch, set_count, s.columns, constants);
  float* centers = scratch.Take<float>(set_count * sums.Padded());
  double* residuals = scratch.Take<double>(residual_count);
  const auto store = [&](Range columns) {
    StoreParameterGradient(sums, 1, step, s.count, columns, data.diff_weight);
    StoreParameterGradient(sums, 0, step, s.count, columns, data.diff_bias);
  };
  if (by_samples) {
    Widen(data.mean, units, mean);
    Widen(data.variance, units, variance);
    BackwardBySamples(p, s, pieces, data, mean, variance, sums, constants, sets, centers, residuals);
    store({0, s.columns});
    return NN_OK;
  }
  auto* some_outside = scratch.Take<std::atomic<bool>>(s.count);
  for (size_t sample = 0; sample < s.count; ++sample) {
    SetCenters(p, s, data.mean + sample * s.units, data.variance + sample * s.units, sets[sample]);
    Fold(pieces, sets[sample].center, centers + sample * sums.Padded());
    if (data.counted != nullptr) {
      data.counted->Residuals(sample, sets[sample].center, p.team, residuals + sample * s.columns);
    }
    new (some_outside + sample) std::atomic<bool>(false);
  }
  SumGradientsTogether(p, s, pieces, data, centers, sums, constants, [&](size_t sample, Range columns) {
    const size_t j = columns.begin, unit = sample * s.units + j;
    Samples strip = s;
    strip.columns = columns.end - j;
    strip.units = strip.columns / s.members;
    Widen(data.mean + unit, strip.units, mean + unit);
    Widen(data.variance + unit, strip.units, variance + unit);
    ColumnGradientSums found = SumsAt(sums, sample * step, constants).From(j);
    if (data.counted != nullptr) found.residual = residuals + sample * s.columns + j;
    if (SetGradients(p, strip, At(data.weight, j), Values(s, data, sample), mean + unit, variance + unit, found,
                     sets[sample].From(j))) {
      some_outside[sample] = true;
    }
    if (s.count == 1) store(columns);
  });
  ApplyByRows(p, s, RowParts(p, s), data, sets, some_outside);
  const bool any = ForSamplesWith(p, s, some_outside, [&](size_t sample) {
    DifferentiateOutside(p, s, data, sets[sample], sample, SumsAt(sums, sample * step, constants));
  });
  if (s.count > 1 || any) store({0, s.columns});
  return NN_OK;
}

int ChannelsLastGradientSums(const Plan& p, const Backward& data, const double* mean, double* dy, double* product) {
  const Samples s(p);
  const RowPieces pieces(s.rows, s.columns);
  bool again = false;
  // Once more where float sums are outside: most such columns are constant.
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
    SumGradientsTogether(p, s, pieces, data, folded, sums, constants, [](size_t, Range) {});
    const ColumnGradientSums found = SumsAt(sums, 0, constants);
    for (size_t j = 0; j < s.columns; ++j) {
      GradientSums total = {found.dy[j], found.product[j] - (mean[j] - center[j]) * found.dy[j], 0};
      if (SumsAreOutside(total, s.Values())) {
        again = true;
        if (!constants) break;
        total = found.spread[j] == 0 ? GradientSums{found.exact_dy[j], 0, 0}
                                     : p.loops->exact_sums(s.Exact(j), data.src.At(j), data.diff_dst.At(j),
                                                           data.dst.At(j), nullptr, mean[j], 1, {nullptr, nullptr, 1});
      }
      dy[j] = total.dy;
      product[j] = total.product;
    }
    if (!again) break;
  }
  return NN_OK;
}

int ChannelsLastGradient(const Plan& p, const Backward& data, const double* mean, const double* variance,
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
  const bool some_outside = SetGradients(p, s, data.weight, n, mean, variance, sums, sets[0]);
  ApplyByRows(p, s, RowParts(p, s), data, sets, &some_outside);
  for (size_t j = 0; some_outside && j < s.columns; ++j) {
    if (!sets[0].IsOutside(j)) continue;
    p.loops->exact_gradient_of(s.Exact(j), data.src.At(j), data.diff_dst.At(j), data.dst.At(j), data.diff_src.At(j),
                               data.weight, {mean[j], variance[j]}, p.eps, {dy[j], product[j], 0}, n);
  }
  return NN_OK;
}

}  // namespace nn
