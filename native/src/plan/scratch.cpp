#include "plan/scratch.h"

#include <stdint.h>

#include <atomic>
#include <new>

namespace nn {

// The arrays follow it, on the next line.
struct alignas(64) ScratchBlock {
  size_t bytes;
};

namespace {

// 1 MB holds the statistics and parameters of 20,000 channels.
constexpr size_t kKept = size_t{1} << 20;

// Where a block is kept: a cache line each, so that concurrent callers do not share one.
struct alignas(64) Place {
  std::atomic<ScratchBlock*> block;
};
constexpr unsigned kPlaces = 32;
Place places[kPlaces];

// A call takes up to four blocks, one inside the other.
constexpr unsigned kLooks = 4;

// Where a thread looks first: the same place each time, as its stack has another address than other threads' stacks.
unsigned FirstPlace(const void* on_stack) {
  const uint64_t quarter_megabyte = reinterpret_cast<uintptr_t>(on_stack) >> 18;
  return static_cast<unsigned>(quarter_megabyte * 0x9e3779b97f4a7c15 >> 48);
}

std::atomic<ScratchBlock*>& PlaceAfter(unsigned first, unsigned k) { return places[(first + k) % kPlaces].block; }

ScratchBlock* TakeKept(unsigned first) {
  for (unsigned k = 0; k < kLooks; ++k) {
    std::atomic<ScratchBlock*>& place = PlaceAfter(first, k);
    if (place.load(std::memory_order_relaxed) == nullptr) continue;
    if (ScratchBlock* block = place.exchange(nullptr, std::memory_order_acquire)) return block;
  }
  return nullptr;
}

bool Keep(ScratchBlock* block, unsigned first) {
  for (unsigned k = 0; k < kLooks; ++k) {
    std::atomic<ScratchBlock*>& place = PlaceAfter(first, k);
    ScratchBlock* none = nullptr;
    if (place.load(std::memory_order_relaxed) == nullptr &&
        place.compare_exchange_strong(none, block, std::memory_order_release, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

constexpr std::align_val_t kAlignment{alignof(ScratchBlock)};

void Free(ScratchBlock* block) { ::operator delete(block, kAlignment); }

}  // namespace

Scratch::Scratch(size_t bytes) {
  if (bytes <= kSmall) {
    next_ = small_ + (kLine - reinterpret_cast<uintptr_t>(small_) % kLine) % kLine;
    return;
  }
  if (bytes <= kKept) block_ = TakeKept(FirstPlace(this));
  if (block_ == nullptr || block_->bytes < bytes) {
    if (block_ != nullptr) Free(block_);
    block_ = static_cast<ScratchBlock*>(::operator new(sizeof(ScratchBlock) + bytes, kAlignment, std::nothrow));
    if (block_ == nullptr) return;
    block_->bytes = bytes;
  }
  next_ = reinterpret_cast<char*>(block_ + 1);
}

Scratch::~Scratch() {
  if (block_ != nullptr && (block_->bytes > kKept || !Keep(block_, FirstPlace(this)))) Free(block_);
}

void Scratch::FreeKept() {
  for (Place& place : places) {
    if (ScratchBlock* block = place.block.exchange(nullptr, std::memory_order_acquire)) Free(block);
  }
}

}  // namespace nn
