// The drivers of masked batch and group normalization.
#include "plan/masked.h"

#include <string.h>

#include "plan/channels_first.h"
#include "plan/channels_last.h"

namespace nn {

Positions::Positions(const Plan& p, const unsigned char* mask, Scratch& scratch)
    : positions_(scratch.Take<uint32_t>(p.batch * p.spatial)), first_(scratch.Take<size_t>(p.batch + 1)) {
  size_t count = 0;
  for (size_t n = 0; n < p.batch; ++n) {
    first_[n] = count;
    const unsigned char* counts = mask + n * p.spatial;
    for (size_t i = 0; i < p.spatial; ++i) {  // each is written, as a branch would be predicted wrongly
      positions_[count] = static_cast<uint32_t>(i);
      count += counts[i] != 0 ? 1 : 0;
    }
  }
  first_[p.batch] = count;
}

namespace {

// Copies rows, runs of neighbours at once.
void PackRows(const char* from, size_t row_bytes, const uint32_t* at, size_t count, char* to) {
  for (size_t i = 0; i < count;) {
    const size_t begin = i++;
    while (i < count && at[i] - at[begin] == i - begin) ++i;
    const size_t bytes = (i - begin) * row_bytes;
    memcpy(to, from + at[begin] * row_bytes, bytes);
    to += bytes;
  }
}

}  // namespace

void CountedRows::Pack(const Input& first, size_t begin, size_t end, char* to) const {
  const size_t before = positions_.Before(begin_);
  for (size_t n = begin_; n < end_ && begin < end; ++n) {
    const size_t from = positions_.Before(n) - before, upto = positions_.Before(n + 1) - before;
    if (begin >= upto) continue;
    const size_t count = (end < upto ? end : upto) - begin;
    const char* sample = static_cast<const char*>(first.At(0)) + (n - begin_) * spatial_ * row_bytes_;
    PackRows(sample, row_bytes_, positions_.Of(n) + (begin - from), count, to);
    to += count * row_bytes_;
    begin += count;
  }
}

Place PlaceOf(const Plan& p, size_t unit, const unsigned char* mask) {
  if (p.channels_first) {
    const Units units(p);
    Place place = {units.Row(unit, 0) * units.length, units.Exact(unit, p.channels)};
    place.unit.mask = units.of_group ? mask + unit / p.groups * p.spatial : mask;
    place.unit.outer_mask = units.of_group ? 0 : p.spatial;
    place.unit.inner_mask = 1;
    return place;
  }
  const Samples s(p);
  const size_t sample = unit / s.units, of_sample = unit % s.units;
  Place place = {sample * s.Elements() + of_sample * s.members, s.Exact(of_sample)};
  place.unit.mask = mask + sample * s.rows;
  place.unit.outer_mask = 1;
  return place;
}

void PackUnit(const Plan& p, const Positions& positions, const unsigned char* mask, const Input& from, size_t unit,
              size_t begin, size_t end, char* to) {
  const Units units(p);
  size_t before = 0;
  for (size_t k = 0; k < units.rows && begin < end; ++k) {
    const size_t sample = units.of_group ? unit / p.groups : k, upto = before + positions.Count(sample);
    if (begin < upto) {
      const size_t count = (end < upto ? end : upto) - begin;
      const uint32_t* at = positions.Of(sample) + (begin - before);
      const size_t first = at[0], length = at[count - 1] - first + 1;
      const void* row = from.At(units.Row(unit, k) * units.length + first);
      if (length == count) {  // as lengths have them
        memcpy(to, row, count * p.element_bytes);
      } else {
        p.kernels->pack[kPlain](row, mask + sample * p.spatial + first, length, p.element_bytes, to);
      }
      to += count * p.element_bytes;
      begin += count;
    }
    before = upto;
  }
}

PivotSums SumAround(const Plan& p, const Positions& positions, const unsigned char* mask, const Input& x, size_t unit,
                    size_t count, float pivot, Team team, std::atomic<bool>* had_memory) {
  const Pieces pieces(1, count);
  Scratch scratch(Scratch::Bytes<PivotSums>(pieces.count));
  if (!scratch.IsThere()) *had_memory = false;
  if (!*had_memory) return {0, 0};
  PivotSums* sums = scratch.Take<PivotSums>(pieces.count);
  Parallel(team, pieces.count, [&](size_t i) {
    const Pieces::Piece piece = pieces[i];
    Scratch room(piece.length * p.element_bytes + kBehindPacked);
    sums[i] = {0, 0};
    if (!room.IsThere()) {
      *had_memory = false;
      return;
    }
    char* packed = room.Take<char>(0);
    PackUnit(p, positions, mask, x, unit, piece.begin, piece.begin + piece.length, packed);
    sums[i] = p.kernels->pivot_sums[kPlain](packed, 1, piece.length, 0, pivot);
  });
  PivotSums total = {0, 0};
  for (size_t i = 0; i < pieces.count; ++i) total += sums[i];
  return total;
}

namespace {

// Channels-first units: what counts in one, as a run of neighbours.
class CountedUnits {
 public:
  CountedUnits(const Plan& p, const Units& units, const Positions& positions, const Forward& data)
      : p_(p), units_(units), positions_(positions), data_(data) {}

  size_t Count(size_t unit) const {
    return units_.of_group ? positions_.Count(unit / p_.groups) * units_.rows : positions_.Before(p_.batch);
  }

  // Measures one, by a team.
  Moments Measure(size_t unit, Team team, std::atomic<bool>* had_memory) const {
    const double n = static_cast<double>(Count(unit));
    const auto sum = [&](float pivot) {
      return SumAround(p_, positions_, data_.mask, data_.src, unit, Count(unit), pivot, team, had_memory);
    };
    const auto exactly = [&] {
      const Place place = PlaceOf(p_, unit, data_.mask);
      return p_.loops->exact_moments(place.unit, data_.src.At(place.first), true);
    };
    const Moments found = nn::MeasureUnit(n, 1 / n, sum, exactly);
    return found.m2 / n + p_.eps < kLeastVariance ? exactly() : found;
  }

 private:
  const Plan& p_;
  const Units& units_;
  const Positions& positions_;
  const Forward& data_;
};

bool MeasureChannelsFirst(const Plan& p, const Positions& positions, const Forward& data, double* mean,
                          double* variance) {
  const Units units(p);
  const CountedUnits counted(p, units, positions, data);
  std::atomic<bool> had_memory{true};
  const auto measure = [&](size_t unit, Team team) {
    const size_t n = counted.Count(unit);
    const Moments found = n == 0 ? Moments{0, 0} : counted.Measure(unit, team, &had_memory);
    mean[unit] = found.mean;
    variance[unit] = n == 0 ? 0 : found.m2 * (1 / static_cast<double>(n));
  };
  if (UnitByUnit(p, units)) {
    const size_t parts = Parts(p, units.count);
    Parallel(p.team, parts, [&](size_t i) {
      const Range range = PartOf(units.count, parts, i);
      for (size_t unit = range.begin; unit < range.end; ++unit) measure(unit, kAlone);
    });
  } else {
    for (size_t unit = 0; unit < units.count; ++unit) measure(unit, p.team);
  }
  return had_memory;
}

bool MeasureChannelsLast(const Plan& p, const Positions& positions, const Forward& data, double* mean,
                         double* variance) {
  const Samples all(p);
  const size_t together = p.batch / all.count;
  std::atomic<bool> had_memory{true};
  const auto measure = [&](const Plan& by, size_t sample) {
    const CountedRows counted(p, positions, data.mask, sample * together, (sample + 1) * together);
    const Samples s(p, counted);
    double* mean_of_sample = mean + sample * s.units;
    double* variance_of_sample = variance + sample * s.units;
    if (s.rows == 0) {
      for (size_t u = 0; u < s.units; ++u) mean_of_sample[u] = variance_of_sample[u] = 0;
      return;
    }
    const Input first = data.src.From(sample * counted.AllRows() * s.columns);
    const int status = ChannelsLastMoments(by, s, first, mean_of_sample, variance_of_sample);
    if (status != NN_OK || !counted.HadMemory()) had_memory = false;
    for (size_t u = 0; u < s.units; ++u) variance_of_sample[u] *= 1 / s.Values();
  };
  if (SampleBySample(p, all)) {
    Plan alone = p;
    alone.team = kAlone;
    const size_t parts = Parts(p, all.count);
    Parallel(p.team, parts, [&](size_t i) {
      const Range range = PartOf(all.count, parts, i);
      for (size_t sample = range.begin; sample < range.end; ++sample) measure(alone, sample);
    });
  } else {
    for (size_t sample = 0; sample < all.count; ++sample) measure(p, sample);
  }
  return had_memory;
}

// Writes the bias to some samples: that of one position, by loops in doubles, to each position.
void WriteBias(const Plan& p, const Forward& data, size_t begin, size_t end, char* zeros, char* biases) {
  const size_t bytes = p.element_bytes;
  memset(zeros, 0, p.channels * bytes);
  p.loops->exact_forward({1, p.channels, 0, 1, 0, 0, 1}, zeros, biases, nullptr, data.bias, p.relu, 0, 0);
  for (size_t row = begin * p.channels; p.channels_first && row < end * p.channels; ++row) {
    const char* bias = biases + row % p.channels * bytes;
    for (size_t i = 0; i < p.spatial; ++i) memcpy(data.dst.At(row * p.spatial + i), bias, bytes);
  }
  for (size_t row = begin * p.spatial; !p.channels_first && row < end * p.spatial; ++row) {
    memcpy(data.dst.At(row * p.channels), biases, p.channels * bytes);
  }
}

}  // namespace

int MaskedForward(const Plan& p, const Forward& data) {
  const size_t units = p.Units();
  const size_t position = p.channels * p.element_bytes;
  Scratch scratch(Positions::Bytes(p) + 2 * Scratch::Bytes<double>(units) + 2 * Scratch::Bytes<char>(position));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  char* zeros = scratch.Take<char>(position);
  char* biases = scratch.Take<char>(position);
  const Positions positions(p, data.mask, scratch);
  double* mean = scratch.Take<double>(units);
  double* variance = scratch.Take<double>(units);
  const auto measure = p.channels_first ? &MeasureChannelsFirst : &MeasureChannelsLast;
  if (!measure(p, positions, data, mean, variance)) return NN_OUT_OF_MEMORY;
  for (size_t unit = 0; unit < units; ++unit) {
    if (data.mean != nullptr) data.mean[unit] = static_cast<float>(mean[unit]);
    if (data.variance != nullptr) data.variance[unit] = static_cast<float>(variance[unit]);
  }
  const auto normalize = p.channels_first ? &ChannelsFirstNormalize : &ChannelsLastNormalize;
  const int status = normalize(p, data, mean, variance);
  if (status != NN_OK) return status;
  const size_t together = p.operation == NN_BATCH ? p.batch : 1;
  for (size_t n = 0; n < p.batch; n += together) {
    if (positions.Before(n + together) > positions.Before(n)) continue;
    WriteBias(p, data, n, n + together, zeros, biases);
  }
  return NN_OK;
}

}  // namespace nn
