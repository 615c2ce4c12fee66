// A job: tasks that some threads share.
#ifndef NATIVENORM_JOB_H_
#define NATIVENORM_JOB_H_

#include <stddef.h>

#include <atomic>

#include "threads/workers.h"

namespace nn {

constexpr int kMaxThreads = 256;

// The tasks of one participant. Each takes its own first, so that its cache has the same memory in the next job,
// then those that others have not begun.
struct alignas(64) Share {
  std::atomic<size_t> next;
  size_t end;
};

struct Job {
  void (*task)(const void*, size_t);
  const void* context;
  int participants;
  Share shares[kMaxThreads];

  // Before anybody works on it.
  void Set(int all, size_t tasks, void (*what)(const void*, size_t), const void* with) {
    task = what;
    context = with;
    participants = all;
    for (int p = 0; p < all; ++p) {
      const Range range = PartOf(tasks, static_cast<size_t>(all), static_cast<size_t>(p));
      shares[p].next.store(range.begin, std::memory_order_relaxed);
      shares[p].end = range.end;
    }
  }

  // How many it did.
  size_t Work(int participant) {
    size_t done = 0;
    for (int k = 0; k < participants; ++k) {
      Share& share = shares[(participant + k) % participants];
      for (;;) {
        if (share.next.load(std::memory_order_relaxed) >= share.end) break;
        const size_t i = share.next.fetch_add(1, std::memory_order_relaxed);
        if (i >= share.end) break;
        task(context, i);
        ++done;
      }
    }
    return done;
  }
};

}  // namespace nn

#endif  // NATIVENORM_JOB_H_
