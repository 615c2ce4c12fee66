// What callers hand over, looked at before anything is done with it.
#ifndef NATIVENORM_PROBLEM_H_
#define NATIVENORM_PROBLEM_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nativenorm.h"
#include "platform/printf.h"

namespace nn {

// Where a refusal is explained; at first nothing is.
class Reason {
 public:
  // Text may be null.
  Reason(char* text, size_t room);

  // False, so that a check can return it.
  __attribute__((format(NN_PRINTF, 2, 3))) bool Refuse(const char* format, ...) const;

 private:
  char* text_;
  size_t room_;
};

// Larger is not the size of a struct but uninitialized memory.
constexpr size_t kLargestStruct = 4096;

template <class Struct>
bool IsSized(const Struct& given) {
  return given.size >= sizeof given.size && given.size <= kLargestStruct;
}

// A caller's struct, which may be older or newer than this library's; `filled` has room for one whose last fields are
// 0, as the caller's does not have them. Null if it has something that is not known here, or its size is none. What is
// known is not copied: reading in one what was just written field by field takes 15 ns.
template <class Struct>
const Struct* Known(const Struct* given, Struct* filled) {
  if (given->size == sizeof(Struct)) return given;
  if (!IsSized(*given)) return nullptr;
  const char* bytes = reinterpret_cast<const char*>(given);
  for (size_t i = sizeof(Struct); i < given->size; ++i) {
    if (bytes[i] != 0) return nullptr;
  }
  if (given->size > sizeof(Struct)) return given;
  *filled = Struct();
  memcpy(static_cast<void*>(filled), bytes, given->size);
  return filled;
}

// Whether it is as the header says, and is of a kind that is computed here.
bool IsProblem(const nn_problem& p, const Reason& reason);

}  // namespace nn

#endif  // NATIVENORM_PROBLEM_H_
