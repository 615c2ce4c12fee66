// Memory for the length of one call.
#ifndef NATIVENORM_SCRATCH_H_
#define NATIVENORM_SCRATCH_H_

#include <stddef.h>

namespace nn {

// A part of a block that the thread keeps for its next calls; they may nest. The kept block grows to what calls have
// needed, up to a bound, so that calls that repeat allocate nothing.
class Scratch {
 public:
  // With room for arrays that take this many Bytes together.
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  bool IsThere() const { return begin_ != nullptr; }

  // The next array, on cache lines of its own; of any content.
  template <class U>
  U* Take(size_t count) {
    U* array = reinterpret_cast<U*>(begin_ + used_);
    used_ += Bytes<U>(count);
    return array;
  }

  // What an array takes.
  template <class U>
  static constexpr size_t Bytes(size_t count) {
    return (count * sizeof(U) + kLine - 1) / kLine * kLine;
  }

 private:
  struct Arena;
  static constexpr size_t kLine = 64;

  size_t bytes_;
  Arena* arena_;  // the thread's; where there is not even memory for that, there is nothing
  size_t used_ = 0;
  char* own_ = nullptr;  // where the kept block has no room
  char* begin_ = nullptr;
};

}  // namespace nn

#endif  // NATIVENORM_SCRATCH_H_
