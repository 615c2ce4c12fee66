// Weight and bias of a row.
#ifndef NATIVENORM_ROW_PARAMETERS_INL_H_
#define NATIVENORM_ROW_PARAMETERS_INL_H_

#include "kernels/kernels.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"
#include "kernels/write-inl.h"

namespace nn {
namespace NN_TARGET {

// Whether rows have such parameters, or may have.
template <Options kOption, class Set>
constexpr bool kReads = kHas<kOption, Set> || kLooksAt<kOption, Set>;

// A row's weight or bias. Where there is none, a body that looks at the option reads a number that changes nothing:
// with branches gradients of 4096x768 in F16 take 1.18 times as long (AVX2).
template <Options kOption, class Set>
class RowParameters {
 public:
  RowParameters(Set set, const float* from) : from_(from), mask_(~size_t{0}) {
    if constexpr (kLooksAt<kOption, Set>) {
      if (Has<kOption>(set)) return;
      alignas(64) static constexpr float kOnes[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
      alignas(64) static constexpr float kZeros[] = {-0.f, -0.f, -0.f, -0.f, -0.f, -0.f, -0.f, -0.f,
                                                     -0.f, -0.f, -0.f, -0.f, -0.f, -0.f, -0.f, -0.f};
      from_ = kOption == kWeight ? kOnes : kZeros;
      mask_ = 0;
    }
  }

  template <class Lanes>
  HWY_INLINE Floats At(Lanes lanes, size_t i) const {
    return Load(lanes, from_ + (i & mask_));
  }

 private:
  const float* from_;
  size_t mask_;
};

// Copies of floats that go with rows of so many elements at most, for which these are written by pairs of vectors
// (write-inl.h): number(lanes, i) in the order of these.
constexpr size_t kMostPaired = 4096;
template <class Number>
HWY_INLINE void CopyToPairs(size_t n, const Number& number, float* to) {
  size_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const Floats first = number(AllLanes(), i), second = number(AllLanes(), i + kLanes);
    hn::StoreU(hn::ConcatEven(kFloats, second, first), kFloats, to + i);
    hn::StoreU(hn::ConcatOdd(kFloats, second, first), kFloats, to + i + kLanes);
  }
  Sweep<1>(n - i, [&](auto lanes, size_t j, size_t) NN_INLINED { Store(lanes, number(lanes, i + j), to + i + j); });
}

HWY_INLINE void CopyFromPairs(const float* from, size_t n, float* to) {
  size_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const Floats even = hn::LoadU(kFloats, from + i), odd = hn::LoadU(kFloats, from + i + kLanes);
    const Floats lower = hn::InterleaveLower(kFloats, even, odd), upper = hn::InterleaveUpper(kFloats, even, odd);
    hn::StoreU(hn::ConcatLowerLower(kFloats, upper, lower), kFloats, to + i);
    hn::StoreU(hn::ConcatUpperUpper(kFloats, upper, lower), kFloats, to + i + kLanes);
  }
  Sweep<1>(n - i,
           [&](auto lanes, size_t j, size_t) NN_INLINED { Store(lanes, Load(lanes, from + i + j), to + i + j); });
}

// Such a copy of a weight with its offset, or of a bias, in which a NaN is one that BF16 has.
template <Options kOption, class Set>
class RowParameterPairs {
 public:
  RowParameterPairs(Set set, const float* from, float offset, size_t length) {
    if constexpr (kReads<kOption, Set>) {
      const RowParameters<kOption, Set> parameters(set, from);
      const auto number = [&](auto lanes, size_t i) NN_INLINED {
        return Quiet<bf16>(hn::Add(parameters.At(lanes, i), hn::Set(kFloats, offset)));
      };
      CopyToPairs(length, number, copy_);
    }
  }

  template <class Lanes>
  HWY_INLINE Floats At(Lanes lanes, size_t i) const {
    return Load(lanes, copy_ + i);
  }

 private:
  alignas(32) float copy_[kReads<kOption, Set> ? kMostPaired : 1];
};

// The gradients of rows' weight and bias, in this order until Store.
template <bool kSums>
class RowSumPairs {
 public:
  explicit RowSumPairs(const RowsToDifferentiate& rows) : rows_(rows), paired_(rows) {
    if constexpr (kSums) {
      paired_.weight_gradient = sums_[0];
      if (rows.bias_gradient != nullptr) paired_.bias_gradient = sums_[1];
      ForBoth([&](const float* from, float* to) NN_INLINED {
        CopyToPairs(
            rows.length, [&](auto lanes, size_t i) NN_INLINED { return Load(lanes, from + i); }, to);
      });
    }
  }

  // The rows, whose sums these are.
  const RowsToDifferentiate& Paired() const { return paired_; }

  void Store() const {
    ForBoth([&](float* to, const float* from) NN_INLINED { CopyFromPairs(from, rows_.length, to); });
  }

 private:
  template <class Body>
  HWY_INLINE void ForBoth(const Body& body) const {
    if constexpr (kSums) {
      body(rows_.weight_gradient, paired_.weight_gradient);
      if (rows_.bias_gradient != nullptr) body(rows_.bias_gradient, paired_.bias_gradient);
    }
  }

  const RowsToDifferentiate& rows_;
  RowsToDifferentiate paired_;
  alignas(32) float sums_[2][kSums ? kMostPaired : 1];
};

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ROW_PARAMETERS_INL_H_
