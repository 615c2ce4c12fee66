#include "scratch.h"

#include <stdint.h>

#include <cstdlib>

#include "system.h"

namespace nn {

// 1 MB holds the statistics and parameters of 20,000 channels.
constexpr size_t kKept = size_t{1} << 20;

struct Scratch::Arena {
  char* memory = nullptr;
  size_t bytes = 0;
  size_t used = 0;
  size_t wanted = 0;  // the most that calls on this thread have needed at a time

  ~Arena() { std::free(memory); }

  void Grow() {
    const size_t enough = wanted < kKept ? wanted : kKept;
    if (used > 0 || enough <= bytes) return;
    std::free(memory);
    memory = static_cast<char*>(std::malloc(enough));
    bytes = memory == nullptr ? 0 : enough;
  }
};

Scratch::Scratch(size_t bytes) : bytes_(bytes + kLine), arena_(OfThisThread<Arena>()) {
  if (arena_ == nullptr) return;
  if (arena_->used + bytes_ > arena_->wanted) arena_->wanted = arena_->used + bytes_;
  arena_->Grow();
  if (arena_->used + bytes_ <= arena_->bytes) {
    begin_ = arena_->memory + arena_->used;
  } else {
    own_ = static_cast<char*>(std::malloc(bytes_));
    begin_ = own_;
  }
  arena_->used += bytes_;
  if (begin_ != nullptr) begin_ += (kLine - reinterpret_cast<uintptr_t>(begin_) % kLine) % kLine;
}

Scratch::~Scratch() {
  if (arena_ != nullptr) arena_->used -= bytes_;
  std::free(own_);
}

}  // namespace nn
