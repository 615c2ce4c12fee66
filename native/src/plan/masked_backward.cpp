// The driver of masked backward.
#include <string.h>

#include "plan/channels_first.h"
#include "plan/channels_last.h"
#include "plan/masked.h"

namespace nn {

double Counted::Values(size_t unit) const {
  if (p_.operation == NN_BATCH) return static_cast<double>(positions_.Before(p_.batch));
  return static_cast<double>(positions_.Count(unit / p_.groups) * (p_.channels / p_.groups));
}

const unsigned char* Counted::MaskAt(size_t element) const {
  if (!p_.channels_first) return mask_ + element / p_.channels;
  return mask_ + element / (p_.channels * p_.spatial) * p_.spatial + element % p_.spatial;
}

double Counted::Residual(size_t unit, float center, Team team) const {
  return SumAround(p_, positions_, mask_, src_, unit, static_cast<size_t>(Values(unit)), center, team, &had_memory_)
      .sum;
}

void Counted::Residuals(size_t sample, const float* centers, Team team, double* residuals) const {
  const size_t samples = p_.batch / Samples(p_).count;
  const CountedRows rows(p_, positions_, mask_, sample * samples, (sample + 1) * samples);
  if (rows.Count() == 0) return;
  Plan by = p_;
  by.team = team;
  const Input first = src_.From(sample * rows.AllRows() * p_.channels);
  const int status = ChannelsLastResiduals(by, Samples(p_, rows), first, centers, residuals);
  if (status != NN_OK || !rows.HadMemory()) had_memory_ = false;
}

namespace {

// Whether some element is not 0, which -0 is.
bool IsSomeNotZero(const char* elements, size_t bytes, size_t element_bytes) {
  const uint64_t magnitude = element_bytes == sizeof(float) ? 0x7fffffff7fffffff : 0x7fff7fff7fff7fff;
  uint64_t bits = 0;
  size_t i = 0;
  for (uint64_t word; i + sizeof word <= bytes; i += sizeof word) {
    memcpy(&word, elements + i, sizeof word);
    bits |= word;
  }
  uint64_t rest = 0;
  memcpy(&rest, elements + i, bytes - i);
  return ((bits | rest) & magnitude) != 0;
}

// Whether dy is 0 in all of the padding, as behind a loss that leaves it out.
bool IsZeroInPadding(const Plan& p, const Backward& data, const unsigned char* padding) {
  std::atomic<bool> is_zero{true};
  const size_t rows = p.channels_first ? p.batch * p.channels : p.batch * p.spatial, parts = Parts(p, rows);
  Parallel(p.team, parts, [&](size_t i) {
    constexpr size_t kChunk = 2048;
    alignas(64) char packed[kChunk * sizeof(float) + kBehindPacked];
    const Range range = PartOf(rows, parts, i);
    for (size_t row = range.begin; row < range.end && is_zero; ++row) {
      if (!p.channels_first) {
        const auto* dy = static_cast<const char*>(data.diff_dst.At(row * p.channels));
        if (padding[row] != 0 && IsSomeNotZero(dy, p.channels * p.element_bytes, p.element_bytes)) is_zero = false;
        continue;
      }
      const unsigned char* mask = padding + row / p.channels * p.spatial;
      for (size_t at = 0; at < p.spatial; at += kChunk) {
        const size_t length = p.spatial - at < kChunk ? p.spatial - at : kChunk;
        const void* dy = data.diff_dst.At(row * p.spatial + at);
        const size_t count = p.kernels->pack[kPlain](dy, mask + at, length, p.element_bytes, packed);
        if (IsSomeNotZero(packed, count * p.element_bytes, p.element_bytes)) is_zero = false;
      }
    }
  });
  return is_zero;
}

// A gradient of what counts, packed, as of a batch without padding.
class Packed {
 public:
  Packed(const Plan& p, const Backward& data, size_t elements)
      : p_(p),
        bytes_((elements * p.element_bytes + kBehindPacked + 63) / 64 * 64),
        scratch_((p.relu ? 4 : 3) * bytes_),
        first_(scratch_.IsThere() ? scratch_.Take<char>(0) : nullptr),
        data_(data) {}

  bool IsThere() const { return first_ != nullptr; }
  char* X() const { return first_; }
  char* Dy() const { return first_ + bytes_; }
  char* Dx() const { return first_ + 2 * bytes_; }
  char* Y() const { return p_.relu ? first_ + 3 * bytes_ : nullptr; }

  // Of a unit or sample whose statistics and channels begin with these.
  Backward Operands(size_t statistics, size_t channel, float* weight, float* bias) const {
    return {{X(), p_.element_bytes},
            {Y(), p_.element_bytes},
            data_.weight == nullptr ? nullptr : data_.weight + channel,
            data_.mean + statistics,
            data_.variance + statistics,
            {Dy(), p_.element_bytes},
            {data_.WantsInput() ? Dx() : nullptr, p_.element_bytes},
            weight,
            bias,
            {0, 0},
            nullptr};
  }

 private:
  const Plan& p_;
  size_t bytes_;
  Scratch scratch_;
  char* first_;
  const Backward& data_;
};

// The plan of one sample in which all counts.
Plan PlanOf(const Plan& p, size_t channels, size_t groups, size_t spatial, Team team) {
  Plan packed = p;
  packed.masked = false;
  packed.batch = 1;
  packed.channels = channels;
  packed.groups = groups;
  packed.spatial = spatial;
  packed.team = team;
  return packed;
}

// Puts what was packed in its place, items of some bytes, and 0 in the padding.
void Unpack(const char* packed, size_t item_bytes, const uint32_t* at, size_t count, size_t all, char* to) {
  memset(to, 0, all * item_bytes);
  for (size_t i = 0; i < count;) {
    const size_t begin = i++;
    while (i < count && at[i] - at[begin] == i - begin) ++i;
    memcpy(to + at[begin] * item_bytes, packed + begin * item_bytes, (i - begin) * item_bytes);
  }
}

bool DifferentiateUnit(const Plan& p, const Positions& positions, const Backward& data, size_t unit, size_t n,
                       Team team, float* weight, float* bias) {
  const Units units(p);
  const Packed packed(p, data, n);
  if (!packed.IsThere()) return false;
  PackUnit(p, positions, data.mask, data.src, unit, 0, n, packed.X());
  PackUnit(p, positions, data.mask, data.diff_dst, unit, 0, n, packed.Dy());
  if (p.relu) PackUnit(p, positions, data.mask, data.dst, unit, 0, n, packed.Y());
  const size_t channels = units.of_group ? units.rows : 1;
  const Backward one = packed.Operands(unit, units.Row(unit, 0) % p.channels, weight, bias);
  if (ChannelsFirstBackward(PlanOf(p, channels, 1, n / channels, team), one) != NN_OK) return false;
  const char* next = packed.Dx();
  for (size_t k = 0; data.WantsInput() && k < units.rows; ++k) {
    const size_t sample = units.of_group ? unit / p.groups : k, count = positions.Count(sample);
    auto* row = static_cast<char*>(data.diff_src.At(units.Row(unit, k) * units.length));
    Unpack(next, p.element_bytes, positions.Of(sample), count, units.length, row);
    next += count * p.element_bytes;
  }
  return true;
}

bool DifferentiateSample(const Plan& p, const CountedRows& counted, const Positions& positions, const Backward& data,
                         size_t first_sample, size_t samples, size_t unit, Team team, float* weight, float* bias) {
  const size_t n = counted.Count(), row_bytes = p.channels * p.element_bytes;
  const Packed packed(p, data, n * p.channels);
  if (!packed.IsThere()) return false;
  const size_t at = first_sample * p.spatial * p.channels;
  counted.Pack(data.src.From(at), 0, n, packed.X());
  counted.Pack(data.diff_dst.From(at), 0, n, packed.Dy());
  if (p.relu) counted.Pack(data.dst.From(at), 0, n, packed.Y());
  const Backward one = packed.Operands(unit, 0, weight, bias);
  if (ChannelsLastBackward(PlanOf(p, p.channels, p.groups, n, team), one) != NN_OK) return false;
  const char* next = packed.Dx();
  for (size_t k = first_sample; data.WantsInput() && k < first_sample + samples; ++k) {
    auto* rows = static_cast<char*>(data.diff_src.At(k * p.spatial * p.channels));
    Unpack(next, row_bytes, positions.Of(k), positions.Count(k), p.spatial, rows);
    next += positions.Count(k) * row_bytes;
  }
  return true;
}

// By the drivers of what is not masked, which know of a mask only that it counts less than all.
int DifferentiateAll(const Plan& p, const Positions& positions, const Backward& data) {
  const size_t zero_count = Parameters::Padded(p.channels_first ? 0 : p.channels);
  Scratch scratch(Scratch::Bytes<float>(zero_count));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  float* zeros = scratch.Take<float>(zero_count);
  for (size_t j = 0; j < zero_count; ++j) zeros[j] = 0;
  const Counted counted(p, positions, data.mask, data.src, zeros);
  Backward all = data;
  all.counted = &counted;
  const int status = p.channels_first ? ChannelsFirstBackward(p, all) : ChannelsLastBackward(p, all);
  return counted.HadMemory() ? status : NN_OUT_OF_MEMORY;
}

}  // namespace

int MaskedBackward(const Plan& p, const Backward& data) {
  const size_t units = p.Units(), of_unit = p.operation == NN_BATCH ? 1 : p.channels / p.groups;
  const size_t entries = units * of_unit, count = p.batch * p.spatial;
  Scratch scratch(Positions::Bytes(p) + Scratch::Bytes<unsigned char>(count) + 2 * Scratch::Bytes<float>(entries) +
                  2 * Scratch::Bytes<double>(entries));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  const Positions positions(p, data.mask, scratch);
  auto* padding = scratch.Take<unsigned char>(count);
  for (size_t i = 0; i < count; ++i) padding[i] = data.mask[i] == 0;
  float* weight = scratch.Take<float>(entries);
  float* bias = scratch.Take<float>(entries);
  double* exact_weight = scratch.Take<double>(entries);
  double* exact_bias = scratch.Take<double>(entries);
  if (!IsZeroInPadding(p, data, padding)) return DifferentiateAll(p, positions, data);
  std::atomic<bool> had_memory{true};
  const auto exactly = [&](size_t unit) {
    const Place place = PlaceOf(p, unit, data.mask);
    const size_t at = place.first, first = unit * of_unit;
    for (size_t k = first; k < first + of_unit; ++k) exact_weight[k] = exact_bias[k] = 0;
    p.loops->exact_backward(place.unit, data.src.At(at), data.diff_dst.At(at), data.dst.At(at), data.diff_src.At(at),
                            data.weight, nullptr, true, p.eps, {exact_weight + first, exact_bias + first, 1});
    for (size_t k = first; k < first + of_unit; ++k) {
      weight[k] = static_cast<float>(exact_weight[k]);
      bias[k] = static_cast<float>(exact_bias[k]);
    }
  };
  const auto for_all = [&](size_t things, const auto& body) {
    if (p.team.threads > 1 && things < 2 * static_cast<size_t>(p.team.threads)) {
      for (size_t i = 0; i < things; ++i) body(i, p.team);
      return;
    }
    const size_t parts = Parts(p, things);
    Parallel(p.team, parts, [&](size_t part) {
      const Range range = PartOf(things, parts, part);
      for (size_t i = range.begin; i < range.end; ++i) body(i, kAlone);
    });
  };
  if (p.channels_first) {
    for_all(units, [&](size_t unit, Team team) {
      const size_t rows = p.operation == NN_BATCH ? positions.Before(p.batch) : positions.Count(unit / p.groups);
      if (rows < 2) return exactly(unit);  // of one value in a row units are rows
      const size_t first = unit * of_unit;
      if (!DifferentiateUnit(p, positions, data, unit, rows * of_unit, team, weight + first, bias + first)) {
        had_memory = false;
      }
    });
  } else {
    const Samples s(p);
    const size_t samples = p.batch / s.count;
    for_all(s.count, [&](size_t sample, Team team) {
      const CountedRows counted(p, positions, data.mask, sample * samples, (sample + 1) * samples);
      if (counted.Count() == 0) {
        for (size_t u = 0; u < s.units; ++u) exactly(sample * s.units + u);
        return;
      }
      const size_t first = sample * s.columns;
      if (!DifferentiateSample(p, counted, positions, data, sample * samples, samples, sample * s.units, team,
                               weight + first, bias + first)) {
        had_memory = false;
      }
    });
  }
  for (size_t c = 0; c < p.channels; ++c) {
    double weight_sum = 0, bias_sum = 0;
    for (size_t i = c; i < entries; i += p.channels) {
      weight_sum += weight[i];
      bias_sum += bias[i];
    }
    if (data.diff_weight != nullptr) data.diff_weight[c] = static_cast<float>(weight_sum);
    if (data.diff_bias != nullptr) data.diff_bias[c] = static_cast<float>(bias_sum);
  }
  return had_memory ? NN_OK : NN_OUT_OF_MEMORY;
}

}  // namespace nn
