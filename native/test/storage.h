// What tests of storage types share: numbers of a type beside floats.
#ifndef NATIVENORM_STORAGE_H_
#define NATIVENORM_STORAGE_H_

#include <math.h>

#include <vector>

#include "kernels/kernels.h"
#include "nativenorm.h"

namespace nntest {

constexpr int TypeOf(nn::f32) { return NN_F32; }
constexpr int TypeOf(nn::bf16) { return NN_BF16; }
constexpr int TypeOf(nn::f16) { return NN_F16; }

// body(T()) for each type of 16 bits that was compiled.
template <class Body>
void ForStorages(const Body& body) {
  const auto if_short = [&](auto number) {
    if constexpr (sizeof number == 2) body(number);
  };
#define NN_EACH_STORAGE(T) if_short(nn::T());
  NN_STORAGES
#undef NN_EACH_STORAGE
}

// All NaNs are one.
inline bool IsSame(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

template <class T>
std::vector<T> Rounded(const std::vector<float>& floats) {
  std::vector<T> rounded;
  for (float value : floats) rounded.emplace_back(value);
  return rounded;
}

// Whether they are the floats, rounded once.
template <class T>
bool IsRounded(const T* found, const std::vector<float>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!IsSame(found[i], T(expected[i]))) return false;
  }
  return true;
}

}  // namespace nntest

#endif  // NATIVENORM_STORAGE_H_
