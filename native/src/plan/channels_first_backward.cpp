// The driver of channels-first backward, and of its phases.
#include <type_traits>

#include "plan/channels_first.h"
#include "plan/masked.h"
#include "plan/scratch.h"

namespace nn {
namespace {

// The weighted sum of a unit's sums, whose first is of channel first % C.
GradientSums Weighted(const Plan& p, const float* weight, const GradientSums* sums, size_t first, size_t count) {
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
void StoreParameterGradients(const Plan& p, const Backward& data, Range channels, const GradientSums* sums,
                             size_t samples) {
  for (size_t c = channels.begin; c < channels.end; ++c) {
    double weight = 0, bias = 0;
    for (size_t n = 0; n < samples; ++n) {
      weight += sums[n * p.channels + c].product;
      bias += sums[n * p.channels + c].dy;
    }
    if (data.diff_weight != nullptr) data.diff_weight[c] = static_cast<float>(weight);
    if (data.diff_bias != nullptr) data.diff_bias[c] = static_cast<float>(bias);
  }
}

// The kernel for a unit's sums.
auto SumsOf(const Plan& p, const float* variance, size_t unit) {
  const KernelTable& kernels = *p.kernels;
  return !p.given && variance != nullptr && variance[unit] == 0 ? kernels.constant_sums[p.Options()]
                                                                : kernels.gradient_sums[p.Options()];
}

// How far ahead of a run the next one is prefetched: 0 where all is in the caches, and for long runs, which begin
// seldom (gradients of 1x32x512x512 took 1.2 times as long with it, of 8x3x50176 1.25 to 1.4).
size_t NextRun(const Plan& p, const Units& units) {
  constexpr size_t kLong = 1 << 15;
  return units.length * p.element_bytes <= kLong && p.Prefetches(p.BackwardBytes()) ? units.RunStride() : 0;
}

// The sums of a channel of the batch, or of each row of a group, by one thread.
void SumInOrder(std::remove_extent_t<decltype(KernelTable::gradient_sums)> kernel, const Units& units,
                const Pieces& pieces, const Backward& data, size_t first, size_t count, float center,
                GradientSums* sums, size_t ahead) {
  if (pieces.count == 1) {
    const size_t at = units.SumsOffset(first, pieces[0]);
    return kernel(data.src.At(at), data.diff_dst.At(at), data.dst.At(at), units.of_group ? count : units.rows,
                  units.length, units.RunStride(), center, sums, units.of_group ? 1 : 0, ahead);
  }
  for (size_t k = 0; k < count; ++k) {
    sums[k] = {0, 0, 0};
    for (size_t i = 0; i < pieces.count; ++i) {
      const Pieces::Piece piece = pieces[i];
      const size_t at = units.SumsOffset(first + k, piece);
      GradientSums more;
      kernel(data.src.At(at), data.diff_dst.At(at), data.dst.At(at), piece.runs, piece.length, units.RunStride(),
             center, &more, 0, ahead);
      sums[k] += more;
    }
  }
}

// The sums of all units, by all threads.
int SumTogether(const Plan& p, const Units& units, const Backward& data, const Normal* normals, GradientSums* sums) {
  const Pieces pieces = units.ForGradients();
  const size_t count = units.Sums(), of_unit = count / units.count, ahead = NextRun(p, units);
  Scratch scratch(Scratch::Bytes<GradientSums>(count * pieces.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  GradientSums* parts = scratch.Take<GradientSums>(count * pieces.count);
  ForPieces(p, count, pieces, [&](size_t i, const Pieces::Piece& piece, size_t index) {
    const size_t at = units.SumsOffset(i, piece), unit = i / of_unit;
    SumsOf(p, data.variance, unit)(data.src.At(at), data.diff_dst.At(at), data.dst.At(at), piece.runs, piece.length,
                                   units.RunStride(), normals[unit].center, parts + index, 0, ahead);
  });
  for (size_t i = 0; i < count; ++i) {
    sums[i] = {0, 0, 0};
    for (size_t k = 0; k < pieces.count; ++k) sums[i] += parts[i * pieces.count + k];
  }
  return NN_OK;
}

// dx of runs, from element `at` on.
void Differentiate(const Plan& p, const Backward& data, bool stream, size_t at, size_t runs, size_t length,
                   size_t stride, const Gradient* gradients, size_t step) {
  if (data.counted == nullptr) {
    return p.kernels->gradient[p.Options(stream)](data.src.At(at), data.diff_dst.At(at), data.dst.At(at),
                                                  data.diff_src.At(at), runs, length, stride, gradients, step);
  }
  for (size_t run = 0; run < runs; ++run, at += stride) {
    p.kernels->masked_gradient[p.Options()](data.src.At(at), data.diff_dst.At(at), data.dst.At(at),
                                            data.counted->MaskAt(at), data.diff_src.At(at), length,
                                            gradients[run * step]);
  }
}

// The gradients of all units but those that are outside. True if there are such.
bool ApplyGradients(const Plan& p, const Backward& data, const UnitGradient* units) {
  const bool stream = p.StreamsRuns(p.BackwardBytes(), data.IsInPlace(), p.spatial);
  const auto apply = [&](const auto& skips) {
    ForAllRows<Gradient>(
        p, stream, skips, [&](size_t unit, size_t channel) { return units[unit].With(data.weight, channel); },
        [&](size_t at, size_t runs, size_t length, const Gradient* gradients) {
          Differentiate(p, data, stream, at, runs, length, length, gradients, 1);
        });
  };
  bool some_outside = false;
  for (size_t unit = 0; unit < p.Units(); ++unit) some_outside |= units[unit].outside;
  if (!data.WantsInput()) return some_outside;
  if (some_outside) {
    apply([&](size_t unit) { return units[unit].outside; });
  } else {
    apply(kSkipsNone);
  }
  return some_outside;
}

}  // namespace

int ChannelsFirstBackward(const Plan& p, const Backward& data) {
  const Units units(p);
  const Pieces pieces = units.ForGradients();
  const size_t entries = units.Sums(), unit_entries = entries / units.count;
  Scratch scratch(Scratch::Bytes<GradientSums>(entries) + Scratch::Bytes<Normal>(units.count) +
                  Scratch::Bytes<UnitGradient>(units.count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  GradientSums* sums = scratch.Take<GradientSums>(entries);

  const auto finish = [&](size_t unit, const Normal& normal, Team team) {
    GradientSums* of_unit = sums + unit * unit_entries;
    GradientSums total = Weighted(p, data.weight, of_unit, unit * unit_entries, unit_entries);
    const double n = data.counted == nullptr ? units.Values() : data.counted->Values(unit);
    if (data.counted != nullptr && data.variance[unit] != 0 && n > 0) {
      total.residual = data.counted->Residual(unit, normal.center, team);
    }
    UnitGradient gradient(normal, total, n, data.variance[unit], p.eps, p.given);
    gradient.outside |= n == 0;
    for (size_t k = 0; k < unit_entries; ++k) of_unit[k].product = gradient.WeightPart(of_unit[k]);
    return gradient;
  };
  const auto differentiate_exactly = [&](size_t unit) {
    const size_t first = units.Row(unit, 0) * units.length;
    GradientSums* of_unit = sums + unit * unit_entries;
    for (size_t k = 0; k < unit_entries; ++k) of_unit[k] = {0, 0, 0};
    constexpr size_t kStep = sizeof(GradientSums) / sizeof(double);
    const Moments given = {p.given ? data.mean[unit] : 0, p.given ? data.variance[unit] : 0};
    p.loops->exact_backward(data.counted == nullptr ? units.Exact(unit, p.channels) : data.counted->Exact(unit),
                            data.src.At(first), data.diff_dst.At(first), data.dst.At(first), data.diff_src.At(first),
                            data.weight, p.given ? &given : nullptr, true, p.eps,
                            {&of_unit->product, &of_unit->dy, kStep});
  };

  const Range all = data.part.Of(units.count);
  if (UnitByUnit(p, units, data.part)) {
    const bool stream = p.StreamsRuns(p.BackwardBytes(), data.IsInPlace(), p.spatial);
    const size_t parts = Parts(p, all.end - all.begin), ahead = NextRun(p, units);
    Parallel(p.team, parts, [&](size_t i) {
      const Range range = PartOf(all, parts, i);
      for (size_t unit = range.begin; unit < range.end; ++unit) {
        const Normal normal(data.mean[unit], data.variance[unit], p.eps);
        const size_t first = units.Row(unit, 0) * units.length;
        SumInOrder(SumsOf(p, data.variance, unit), units, pieces, data, unit * unit_entries, unit_entries,
                   normal.center, sums + unit * unit_entries, ahead);
        const UnitGradient found = finish(unit, normal, kAlone);
        if (found.outside) {
          differentiate_exactly(unit);
        } else if (!data.WantsInput()) {
          continue;
        } else if (p.operation == NN_BATCH) {
          const Gradient gradient = found.With(data.weight, unit);
          Differentiate(p, data, stream, first, units.rows, units.length, units.RunStride(), &gradient, 0);
        } else {
          ForRows<Gradient>(
              p, first, units.rows * units.length, kSkipsNone,
              [&](size_t, size_t channel) { return found.With(data.weight, channel); },
              [&](size_t at, size_t runs, size_t length, const Gradient* gradients) {
                Differentiate(p, data, stream, at, runs, length, length, gradients, 1);
              });
        }
      }
      EndStream(stream);
    });
  } else {
    Normal* normals = scratch.Take<Normal>(units.count);
    UnitGradient* gradients = scratch.Take<UnitGradient>(units.count);
    for (size_t unit = 0; unit < units.count; ++unit) {
      normals[unit] = Normal(data.mean[unit], data.variance[unit], p.eps);
    }
    const int status = SumTogether(p, units, data, normals, sums);
    if (status != NN_OK) return status;
    for (size_t unit = 0; unit < units.count; ++unit) gradients[unit] = finish(unit, normals[unit], p.team);
    if (ApplyGradients(p, data, gradients)) {
      ForOutside(
          p, [&](size_t unit) { return gradients[unit].outside; }, differentiate_exactly);
    }
  }
  const Range channels = units.of_group ? Range{0, p.channels} : all;
  StoreParameterGradients(p, data, channels, sums, entries / p.channels);
  return NN_OK;
}

int ChannelsFirstGradientSums(const Plan& p, const Backward& data, const double* mean, double* dy, double* product) {
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
      SumInOrder(p.kernels->constant_sums[p.Options()], units, units.ForGradients(), data, c, 1, normals[c].center,
                 &total, 0);
    }
    if (SumsAreOutside(total, units.Values()) && total.product != 0) {
      total = p.loops->exact_sums(units.Exact(c, p.channels), data.src.At(first), data.diff_dst.At(first),
                                  data.dst.At(first), nullptr, mean[c], 1, {nullptr, nullptr, 1});
    }
    dy[c] = total.dy;
    product[c] = total.product;
  }
  return status;
}

int ChannelsFirstGradient(const Plan& p, const Backward& data, const double* mean, const double* variance,
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
        p.loops->exact_gradient_of(units.Exact(c, p.channels), data.src.At(first), data.diff_dst.At(first),
                                   data.dst.At(first), data.diff_src.At(first), data.weight, {mean[c], variance[c]},
                                   p.eps, {dy[c], product[c], 0}, n);
      });
  return NN_OK;
}

}  // namespace nn
