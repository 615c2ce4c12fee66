#include "scratch.h"

#include <stdint.h>

#include <cstdlib>

namespace nn {
namespace {

// 1 MB holds the statistics and parameters of 20,000 channels.
constexpr size_t kKept = size_t{1} << 20;

struct Arena {
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

thread_local Arena arena;

}  // namespace

Scratch::Scratch(size_t bytes) : bytes_(bytes + kLine) {
  if (arena.used + bytes_ > arena.wanted) arena.wanted = arena.used + bytes_;
  arena.Grow();
  if (arena.used + bytes_ <= arena.bytes) {
    begin_ = arena.memory + arena.used;
  } else {
    own_ = static_cast<char*>(std::malloc(bytes_));
    begin_ = own_;
  }
  arena.used += bytes_;
  if (begin_ != nullptr) begin_ += (kLine - reinterpret_cast<uintptr_t>(begin_) % kLine) % kLine;
}

Scratch::~Scratch() {
  arena.used -= bytes_;
  std::free(own_);
}

}  // namespace nn
