// The driver of channels-first forward, and of its phases.
#include "plan/channels_first.h"
#include "plan/scratch.h"

namespace nn {
namespace {

void Measured(const Forward& data, size_t unit, double mean, double variance) {
  if (data.mean != nullptr) data.mean[unit] = static_cast<float>(mean);
  if (data.variance != nullptr) data.variance[unit] = static_cast<float>(variance);
}

// Sums of a piece around a pivot.
PivotSums SumPiece(const Plan& p, const Units& units, const Input& src, size_t unit, const Pieces::Piece& piece,
                   float pivot) {
  return p.kernels->pivot_sums[kPlain](src.At(units.Offset(unit, piece)), piece.runs, piece.length, units.RunStride(),
                                       pivot);
}

// The moments in doubles, where floats cannot sum up or the variance is too small for them.
Moments MeasureExactly(const Plan& p, const Units& units, const Input& src, size_t unit) {
  return p.loops->exact_moments(units.Exact(unit, p.channels), src.At(units.Row(unit, 0) * units.length), true);
}

// The moments of a unit from sum(pivot), its sums around a pivot.
template <class Sum>
__attribute__((always_inline)) inline Moments MeasureUnit(const Plan& p, const Units& units, const Input& src,
                                                          size_t unit, const Sum& sum) {
  const auto exactly = [&] { return MeasureExactly(p, units, src, unit); };
  const Moments found = nn::MeasureUnit(units.Values(), units.share, sum, exactly);
  if (p.eps >= kLeastVariance) return found;
  return found.m2 / units.Values() + p.eps < kLeastVariance ? exactly() : found;
}

// Units up to this size are measured before the one before them is written: from the last sum to the first result each
// number waits for the one before (InstanceNorm of 32x256x7x7 takes 0.8 of the time, of 4x64x28x28 0.9).
constexpr size_t kMeasuredEarly = 2048;

// By one thread.
__attribute__((always_inline)) inline Moments MeasureUnit(const Plan& p, const Units& units, const Pieces& pieces,
                                                          const Input& src, size_t unit) {
  return MeasureUnit(p, units, src, unit, [&](float pivot) {
    PivotSums total = {0, 0};
    for (size_t i = 0; i < pieces.count; ++i) total += SumPiece(p, units, src, unit, pieces[i], pivot);
    return total;
  });
}

void NormalizeExactly(const Plan& p, const Units& units, const Forward& data, size_t unit, double mean,
                      double variance) {
  const size_t first = units.Row(unit, 0) * units.length;
  p.loops->exact_forward(units.Exact(unit, p.channels), data.src.At(first), data.dst.At(first), data.weight, data.bias,
                         p.relu, mean, InverseDeviation(variance, p.eps, p.given));
}

}  // namespace

int ChannelsFirstMoments(const Plan& p, const Input& src, double* mean, double* m2) {
  const Units units(p);
  const Pieces pieces = units.ForMoments();
  const auto store = [&](size_t unit, Moments found) {
    mean[unit] = found.mean;
    m2[unit] = found.m2;
  };
  if (UnitByUnit(p, units)) {
    const size_t parts = Parts(p, units.count);
    Parallel(p.team, parts, [&](size_t i) {
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

int ChannelsFirstNormalize(const Plan& p, const Forward& data, const double* mean, const double* variance) {
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
  const bool stream = p.StreamsRuns(p.ForwardBytes(), data.IsInPlace(), p.spatial);
  const auto normalize = [&](const auto& skips) {
    ForAllRows<Affine>(
        p, stream, skips,
        [&](size_t unit, size_t channel) { return normals[unit].With(data.weight, data.bias, channel); },
        [&](size_t at, size_t runs, size_t length, const Affine* affines) {
          p.kernels->normalize[p.Options(stream)](data.src.At(at), data.dst.At(at), runs, length, length, affines, 1,
                                                  0);
        });
  };
  if (!some_outside) {  // without a check for each row: with it 61 channels of 221 elements took 7 % longer
    normalize(kSkipsNone);
    return NN_OK;
  }
  normalize(outside);
  ForOutside(p, outside, [&](size_t unit) { NormalizeExactly(p, Units(p), data, unit, mean[unit], variance[unit]); });
  return NN_OK;
}

int ChannelsFirstForward(const Plan& p, const Forward& data) {
  const Units units(p);
  if (!p.given && UnitByUnit(p, units, data.part)) {
    const Pieces pieces = units.ForMoments();
    const auto outside = [&](const Normal& normal, size_t unit) {
      return p.operation == NN_BATCH ? normal.IsOutside(data.weight, data.bias, unit) : normal.IsOutside();
    };
    const bool stream = p.StreamsRuns(p.ForwardBytes(), data.IsInPlace(), p.spatial);
    const auto normalize = p.kernels->normalize[p.Options(stream)];
    const size_t early = units.rows * units.length <= kMeasuredEarly ? 1 : 0;
    const Range all = data.part.Of(units.count);
    const size_t parts = Parts(p, all.end - all.begin);
    Parallel(p.team, parts, [&](size_t i) {
      const Range range = PartOf(all, parts, i);
      Moments measured = {0, 0};
      for (size_t next = range.begin; next < range.end + early; ++next) {
        const Moments before = measured;
        if (next < range.end) measured = MeasureUnit(p, units, pieces, data.src, next);
        if (next < range.begin + early) continue;
        const size_t unit = next - early, first = units.Row(unit, 0) * units.length;
        const Moments found = early > 0 ? before : measured;
        const double variance = found.m2 * units.share;
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
                normalize(data.src.At(at), data.dst.At(at), runs, length, length, affines, 1, ahead);
              });
        } else {
          const Affine affine = normal.With(data.weight, data.bias, unit);
          normalize(data.src.At(first), data.dst.At(first), units.rows, units.length, units.RunStride(), &affine, 0,
                    ahead);
        }
      }
      EndStream(stream);
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
      variance[unit] *= units.share;
      Measured(data, unit, mean[unit], variance[unit]);
    }
  }
  return ChannelsFirstNormalize(p, data, mean, variance);
}

}  // namespace nn
