// Statistics of some positions only: those that a mask counts. What counts is packed, piece by piece, and summed up by
// the kernels that sum up all: it has the order of sums, and so the bits, of a batch without padding.
#ifndef NATIVENORM_MASKED_H_
#define NATIVENORM_MASKED_H_

#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "plan/plan.h"
#include "plan/scratch.h"

namespace nn {

// The positions of each sample that count, in order.
class Positions {
 public:
  static size_t Bytes(const Plan& p) {
    return Scratch::Bytes<uint32_t>(p.batch * p.spatial) + Scratch::Bytes<size_t>(p.batch + 1);
  }
  Positions(const Plan& p, const unsigned char* mask, Scratch& scratch);

  size_t Count(size_t sample) const { return first_[sample + 1] - first_[sample]; }
  size_t Before(size_t sample) const { return first_[sample]; }
  const uint32_t* Of(size_t sample) const { return positions_ + first_[sample]; }

 private:
  uint32_t* positions_;
  size_t* first_;
};

// A unit for loops in doubles, and where it begins.
struct Place {
  size_t first;
  Unit unit;
};
Place PlaceOf(const Plan& p, size_t unit, const unsigned char* mask);

// Copies what counts of a channels-first unit, from one value to another. It needs some room behind.
constexpr size_t kBehindPacked = 2 * 64;
void PackUnit(const Plan& p, const Positions& positions, const unsigned char* mask, const Input& from, size_t unit,
              size_t begin, size_t end, char* to);

// sum(x - pivot) and sum((x - pivot)^2) of `count` values, all that count of a channels-first unit, by a team.
PivotSums SumAround(const Plan& p, const Positions& positions, const unsigned char* mask, const Input& x, size_t unit,
                    size_t count, float pivot, Team team, std::atomic<bool>* had_memory);

// Rows of channels-last samples, from one sample to another, that count.
class CountedRows {
 public:
  CountedRows(const Plan& p, const Positions& positions, const unsigned char* mask, size_t begin, size_t end)
      : positions_(positions),
        mask_(mask + begin * p.spatial),
        begin_(begin),
        end_(end),
        spatial_(p.spatial),
        row_bytes_(p.channels * p.element_bytes) {}

  size_t Count() const { return positions_.Before(end_) - positions_.Before(begin_); }
  size_t AllRows() const { return (end_ - begin_) * spatial_; }
  const unsigned char* Mask() const { return mask_; }

  // Copies those from one to another.
  void Pack(const Input& first, size_t begin, size_t end, char* to) const;

  // There was no memory to pack into.
  void MissMemory() const { had_memory_ = false; }
  bool HadMemory() const { return had_memory_; }

 private:
  const Positions& positions_;
  const unsigned char* mask_;
  size_t begin_, end_, spatial_, row_bytes_;
  mutable std::atomic<bool> had_memory_{true};
};

// What counts where dy is not 0 in all of the padding: a gradient's sums are then of all positions, but n and the
// distances from a center are of what counts, and dx of the padding is the weight's part alone.
class Counted {
 public:
  // The zeros are as many as Parameters has.
  Counted(const Plan& p, const Positions& positions, const unsigned char* mask, const Input& src, const float* zeros)
      : p_(p), positions_(positions), mask_(mask), src_(src), zeros_(zeros) {}

  // How many values of a unit.
  double Values(size_t unit) const;
  nn::Unit Exact(size_t unit) const { return PlaceOf(p_, unit, mask_).unit; }
  const unsigned char* MaskAt(size_t element) const;
  const float* Zeros() const { return zeros_; }

  // sum(x - center) of a channels-first unit, or of the columns of a channels-last sample, by a team.
  double Residual(size_t unit, float center, Team team) const;
  void Residuals(size_t sample, const float* centers, Team team, double* residuals) const;
  bool HadMemory() const { return had_memory_; }

 private:
  const Plan& p_;
  const Positions& positions_;
  const unsigned char* mask_;
  Input src_;
  const float* zeros_;
  mutable std::atomic<bool> had_memory_{true};
};

}  // namespace nn

#endif  // NATIVENORM_MASKED_H_
