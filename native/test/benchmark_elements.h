// What the bodies that benchmark.cpp times read and write, in each storage type, and how wrong it is.
#ifndef NATIVENORM_BENCHMARK_ELEMENTS_H_
#define NATIVENORM_BENCHMARK_ELEMENTS_H_

#include <vector>

#include "kernel_cases.h"

namespace nntest {

constexpr size_t kRows = 32, kColumns = 768, kAll = kRows * kColumns;

// Elements as the body that is timed has them stored, and the same numbers as floats.
struct Elements {
  const void* stored;
  std::vector<float> numbers = std::vector<float>(kAll);

  double operator[](size_t i) const { return numbers[i]; }
};
inline Elements x, dy, outputs, constant;
inline void* result;
inline float (*result_at)(size_t i);

template <class T>
void Store() {
  struct alignas(64) Of {
    T elements[kAll];
  };
  static Of all[5];
  const float* const from[] = {Numbers(0).data(), Numbers(1).data(), Outputs().data(), nullptr};
  Elements* const to[] = {&x, &dy, &outputs, &constant};
  for (size_t k = 0; k < 4; ++k) {
    for (size_t i = 0; i < kAll; ++i) {
      to[k]->numbers[i] = all[k].elements[i] = T(from[k] == nullptr ? 0.5f : from[k][i]);
    }
    to[k]->stored = all[k].elements;
  }
  result = all[4].elements;
  result_at = [](size_t i) -> float { return all[4].elements[i]; };
}
inline const void* StoredY(unsigned options) { return Has(options, nn::kRelu) ? outputs.stored : nullptr; }
inline double CutDy(unsigned options, size_t i) {
  return Cut(dy.numbers.data(), Has(options, nn::kRelu) ? outputs.numbers.data() : nullptr, i);
}

// The largest error of n values, relative to 1 or more.
template <class Found, class Value>
double LargestOf(const Found& found, size_t n, const Value& value) {
  double largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const double expected = value(i), error = fabs(found(i) - expected) / (1 + fabs(expected));
    if (!(error <= largest)) largest = isnan(error) ? INFINITY : error;
  }
  return largest;
}

template <class To, class Value>
double Largest(const To* to, size_t n, const Value& value) {
  return LargestOf([&](size_t i) { return double{to[i]}; }, n, value);
}

// The same of the elements that were written.
template <class Value>
double LargestOfResult(const Value& value) {
  return LargestOf([](size_t i) { return double{result_at(i)}; }, kAll, value);
}

}  // namespace nntest

#endif  // NATIVENORM_BENCHMARK_ELEMENTS_H_
