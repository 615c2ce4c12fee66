// Weight and bias of a row.
#ifndef NATIVENORM_ROW_PARAMETERS_INL_H_
#define NATIVENORM_ROW_PARAMETERS_INL_H_

#include "kernels/kernels.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"

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

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ROW_PARAMETERS_INL_H_
