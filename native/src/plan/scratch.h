// Scratch memory for the length of one call.
#ifndef NATIVENORM_SCRATCH_H_
#define NATIVENORM_SCRATCH_H_

#include <stddef.h>

namespace nn {

struct ScratchBlock;

// What is small lies in the object itself, on the stack: the least a block costs is 25 ns. What is larger is a block
// that is kept for the next calls; they may nest. Kept blocks grow to what calls have needed, up to a bound, so that
// calls that repeat allocate nothing.
//
// Blocks belong to no thread: what a thread has of its own must be destroyed when it ends, which may be after the
// library was unloaded, and cannot be made where memory is short (glibc ends the process then).
class Scratch {
 public:
  // With room for arrays that take this many Bytes together.
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Frees what is kept.
  static void FreeKept();

  bool IsThere() const { return next_ != nullptr; }

  // The next array, on cache lines of its own; of any content.
  template <class U>
  U* Take(size_t count) {
    U* array = reinterpret_cast<U*>(next_);
    next_ += Bytes<U>(count);
    return array;
  }

  // What an array takes.
  template <class U>
  static constexpr size_t Bytes(size_t count) {
    return (count * sizeof(U) + kLine - 1) / kLine * kLine;
  }

 private:
  static constexpr size_t kLine = 64;
  static constexpr size_t kSmall = 4096;

  ScratchBlock* block_ = nullptr;  // the whole of it belongs to this call
  char* next_ = nullptr;
  char small_[kSmall + kLine];
};

}  // namespace nn

#endif  // NATIVENORM_SCRATCH_H_
