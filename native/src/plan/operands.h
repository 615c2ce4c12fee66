// What a driver is given: memory whose elements' type it does not know.
#ifndef NATIVENORM_OPERANDS_H_
#define NATIVENORM_OPERANDS_H_

#include <stddef.h>

#include "threads/workers.h"

namespace nn {

// An operand that is read; null where there is none, and then so is each of its elements.
class Input {
 public:
  Input(const void* first, size_t element_bytes) : first_(static_cast<const char*>(first)), bytes_(element_bytes) {}

  const void* At(size_t element) const { return first_ == nullptr ? nullptr : first_ + element * bytes_; }
  Input From(size_t element) const { return {At(element), bytes_}; }

 private:
  const char* first_;
  size_t bytes_;
};

// An operand that is written, or likewise not there.
class Output {
 public:
  Output(void* first, size_t element_bytes) : first_(static_cast<char*>(first)), bytes_(element_bytes) {}

  void* At(size_t element) const { return first_ == nullptr ? nullptr : first_ + element * bytes_; }
  Output From(size_t element) const { return {At(element), bytes_}; }

 private:
  char* first_;
  size_t bytes_;
};

// Some of the units, or all if these are 0.
struct PartOfUnits {
  size_t first;
  size_t count;

  Range Of(size_t units) const { return count == 0 ? Range{0, units} : Range{first, first + count}; }
};

struct Forward {
  Input src;
  Output dst;
  const float* weight;
  const float* bias;
  float* mean;
  float* variance;
  PartOfUnits part;
  const unsigned char* mask;

  bool IsInPlace() const { return src.At(0) == dst.At(0); }
};

class Counted;

struct Backward {
  Input src;
  Input dst;  // null without an activation
  const float* weight;
  const float* mean;
  const float* variance;
  Input diff_dst;
  Output diff_src;  // null where it is not wanted, as the next two
  float* diff_weight;
  float* diff_bias;
  PartOfUnits part;
  const unsigned char* mask;
  const Counted* counted = nullptr;  // where sums are of more than the mask counts

  bool WantsInput() const { return diff_src.At(0) != nullptr; }
  bool IsInPlace() const { return diff_dst.At(0) == diff_src.At(0); }
};

}  // namespace nn

#endif  // NATIVENORM_OPERANDS_H_
