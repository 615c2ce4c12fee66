// What the channels-last drivers share, forward and backward: batch, group and instance normalization of samples that
// are matrices of rows (positions) and columns (channels). For batch normalization the whole tensor is one sample.
// Kernels work column by column; the drivers merge the columns of a unit.
#ifndef NATIVENORM_CHANNELS_LAST_H_
#define NATIVENORM_CHANNELS_LAST_H_

#include "plan/column_sums.h"
#include "plan/masked.h"
#include "plan/plan.h"
#include "plan/scratch.h"
#include "threads/workers.h"

namespace nn {

struct Samples {
  size_t count;
  size_t rows;
  size_t columns;
  size_t members;  // columns of a unit
  size_t units;    // of a sample
  // The rows that count, whose number `rows` is, if these are not all.
  const CountedRows* counted = nullptr;

  explicit Samples(const Plan& p)
      : count(p.operation == NN_BATCH ? 1 : p.batch),
        rows(p.operation == NN_BATCH ? p.batch * p.spatial : p.spatial),
        columns(p.channels),
        members(p.operation == NN_BATCH ? 1 : p.channels / p.groups),
        units(p.channels / members) {}

  // One sample, of which some rows count.
  Samples(const Plan& p, const CountedRows& some) : Samples(p) {
    count = 1;
    rows = some.Count();
    counted = &some;
  }

  size_t Elements() const { return rows * columns; }
  nn::Unit Exact(size_t unit) const { return Part(unit * members, members); }
  nn::Unit Column() const { return Part(0, 1); }
  double Values() const { return static_cast<double>(rows) * static_cast<double>(members); }

 private:
  nn::Unit Part(size_t column, size_t width) const {
    if (counted == nullptr) return {rows, width, columns, 1, column, 0, 1};
    return {counted->AllRows(), width, columns, 1, column, 0, 1, counted->Mask(), 1, 0};
  }
};

// Whether there are samples enough to give each thread some, and so one pass after the other; else their rows are
// divided among the threads. (Dividing columns would save the merging, but strips of columns leave gaps in memory: 64
// channels of 3136 positions took twice as long.)
inline bool SampleBySample(const Plan& p, const Samples& s) {
  return p.team.threads == 1 || s.count >= 2 * static_cast<size_t>(p.team.threads);
}

// Where a sample's rows are divided, each thread has one part of them in both passes. Parts begin where a row begins on
// a cache line as the first one does: kernels fold rows, and behind it all their vectors would lie across two lines
// (8x61x17x13 on two threads: inference 11.5 us instead of 6.1 and gradients 23.8 instead of 16.2 with AVX-512, 12.3
// instead of 10.7 and 34 instead of 32 with AVX2).
struct RowParts {
  size_t per_sample;
  size_t count;
  size_t together;  // rows

  RowParts(const Plan& p, const Samples& s) : together(1) {
    const size_t threads = static_cast<size_t>(p.team.threads);
    per_sample = (threads + s.count - 1) / s.count;
    if (per_sample > s.rows) per_sample = s.rows;
    count = per_sample * s.count;
    while (together * s.columns % kColumnPadding != 0) together *= 2;
    if (s.rows < kLeastFolded * together * per_sample) together = 1;
  }

  Range Rows(const Samples& s, size_t part) const {
    const Range range = PartOf((s.rows + together - 1) / together, per_sample, part % per_sample);
    const size_t end = range.end * together;
    return {range.begin * together, end < s.rows ? end : s.rows};
  }

  // body(sample, offset of the first row, rows) over all parts.
  template <class Body>
  void ForAll(const Plan& p, const Samples& s, const Body& body) const {
    Parallel(p.team, count, [&](size_t part) {
      const Range rows = Rows(s, part);
      const size_t sample = part / per_sample;
      body(sample, sample * s.Elements() + rows.begin * s.columns, rows.end - rows.begin);
    });
  }
};

// Arrays over columns for the parameters of a kernel. Columns whose `first` is NaN are outside (exact.h), if whoever
// set them says that there are such. `dy_center` is null where no column is constant.
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

  Parameters(float* center, float* first, float* second, float* third, float* dy_center)
      : center(center), first(first), second(second), third(third), dy_center(dy_center) {}
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
  Parameters From(size_t j) const {
    return {center + j, first + j, second + j, third + j, dy_center == nullptr ? nullptr : dy_center + j};
  }
  ColumnAffine AsAffine(size_t j) const { return {center + j, first + j, second + j}; }
  ColumnGradient AsGradient(size_t j) const { return {center + j, first + j, second + j, third + j, At(dy_center, j)}; }

  // Where some are outside, a unit is outside as a whole if the factor of one of its columns is NaN, be it by its
  // weight: loops in doubles go over the whole unit, and in place its x must not be overwritten before.
  void JoinUnits(size_t columns, size_t members) const {
    for (size_t begin = 0; begin < columns; begin += members) {
      bool outside = false;
      for (size_t j = begin; j < begin + members; ++j) outside |= IsOutside(j);
      for (size_t j = begin; outside && j < begin + members; ++j) first[j] = NAN;
    }
  }

  // Of the padding: dy_factor * dy.
  ColumnGradient OfPadding(size_t j, const float* zeros) const {
    return {center + j, first + j, zeros, zeros, dy_center == nullptr ? nullptr : zeros};
  }

  // body(first column, columns) over all columns, or if some are outside, over the runs of columns between them.
  template <class Body>
  void ForInside(size_t columns, bool some_outside, const Body& body) const {
    if (!some_outside) return body(size_t{0}, columns);
    for (size_t begin = 0, end = 0; begin < columns; begin = end + 1) {
      for (end = begin; end < columns && !IsOutside(end);) ++end;
      if (end > begin) body(begin, end - begin);
    }
  }
};

// Parameters for each sample or each part.
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

// body(sample) over those samples of which some columns are outside; whether there are any.
template <class Flags, class Body>
bool ForSamplesWith(const Plan& p, const Samples& s, const Flags& some_outside, const Body& body) {
  bool any = false;
  for (size_t sample = 0; sample < s.count; ++sample) any |= some_outside[sample];
  if (!any) return false;
  Parallel(p.team, Parts(p, s.count), [&](size_t part) {
    const Range range = PartOf(s.count, Parts(p, s.count), part);
    for (size_t sample = range.begin; sample < range.end; ++sample) {
      if (some_outside[sample]) body(sample);
    }
  });
  return true;
}

// The moments of one sample's units, of the rows that count.
int ChannelsLastMoments(const Plan& p, const Samples& s, const Input& sample, double* mean, double* m2);
// sum(x - center) of its columns, of the rows that count.
int ChannelsLastResiduals(const Plan& p, const Samples& s, const Input& sample, const float* center, double* residuals);

inline void Widen(const float* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace nn

#endif  // NATIVENORM_CHANNELS_LAST_H_
