#include "threads/workers.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "platform/system.h"

namespace nn {
namespace {

constexpr int kMaxThreads = 256;
// How long a worker looks for the next job before it sleeps. Waking one takes 5 to 50 us, so a program that calls layer
// after layer is served without.
constexpr std::chrono::microseconds kLookingTime(50);
// Looks at the gate between two reads of the clock: 0.1 to 1 us, since a pause takes 5 to 60 ns.
constexpr int kLooks = 16;

inline void Pause() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

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

  void Work(int participant) {
    for (int k = 0; k < participants; ++k) {
      Share& share = shares[(participant + k) % participants];
      for (;;) {
        if (share.next.load(std::memory_order_relaxed) >= share.end) break;
        const size_t i = share.next.fetch_add(1, std::memory_order_relaxed);
        if (i >= share.end) break;
        task(context, i);
      }
    }
  }
};

struct Worker {
  std::thread thread;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<bool> sleeping{false};
  std::atomic<bool> ends{false};
};

class Workers {
 public:
  void Run(int threads, size_t tasks, void (*task)(const void*, size_t), const void* context) {
    const int callers = callers_.fetch_add(1, std::memory_order_relaxed) + 1;
    // Processors that no other caller works on.
    int helpers = limit_.load(std::memory_order_relaxed) + 1 - callers;
    if (helpers > threads - 1) helpers = threads - 1;
    if (static_cast<size_t>(helpers) > tasks - 1 && helpers > 0) helpers = static_cast<int>(tasks - 1);
    if (helpers > 0 && !busy_.exchange(true, std::memory_order_acquire)) {
      RunTogether(helpers, tasks, task, context);
      busy_.store(false, std::memory_order_release);
    } else {
      for (size_t i = 0; i < tasks; ++i) task(context, i);
    }
    callers_.fetch_sub(1, std::memory_order_relaxed);
  }

  // The limit comes first, so that other callers do without while this waits for the job of one.
  void SetLimit(int count) {
    limit_.store(count < 0 ? 0 : count < kMaxThreads ? count : kMaxThreads - 1, std::memory_order_relaxed);
    while (busy_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    EndThoseBeyondTheLimit();
    busy_.store(false, std::memory_order_release);
  }

  // Not while a job runs.
  void EndIdle() {
    if (busy_.exchange(true, std::memory_order_acquire)) return;
    limit_.store(0, std::memory_order_relaxed);
    EndThoseBeyondTheLimit();
    busy_.store(false, std::memory_order_release);
  }

  // In a child of fork, which has none of the threads: locks they held stay locked, so all is made anew.
  void ForgetThreads() {
    const int limit = limit_.load(std::memory_order_relaxed);
    (new (this) Workers)->limit_.store(limit, std::memory_order_relaxed);
  }

 private:
  // The gate of a job: an epoch, whether workers may still come in, and how many are inside. The caller leaves only
  // when it is shut and nobody is inside, so a worker that wakes late finds nothing and takes part in nothing.
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kInside = kOpen - 1;
  static uint64_t Epoch(uint64_t gate) { return gate >> 32; }

  void EndThoseBeyondTheLimit() {
    while (started_ > limit_.load(std::memory_order_relaxed)) End(workers_[--started_]);
  }

  void RunTogether(int helpers, size_t tasks, void (*task)(const void*, size_t), const void* context) {
    // It may have sunk since this was decided, and the workers have ended.
    const int limit = limit_.load(std::memory_order_relaxed);
    if (helpers > limit) helpers = limit;
    while (started_ < helpers && Start(started_)) ++started_;
    if (helpers > started_) helpers = started_;
    job_.task = task;
    job_.context = context;
    job_.participants = helpers + 1;
    for (int p = 0; p <= helpers; ++p) {
      const Range range = PartOf(tasks, static_cast<size_t>(helpers) + 1, static_cast<size_t>(p));
      job_.shares[p].next.store(range.begin, std::memory_order_relaxed);
      job_.shares[p].end = range.end;
    }
    const uint64_t epoch = Epoch(gate_.load(std::memory_order_relaxed)) + 1;
    gate_.store(epoch << 32 | kOpen, std::memory_order_seq_cst);
    for (int w = 0; w < helpers; ++w) {
      if (workers_[w].sleeping.load(std::memory_order_seq_cst)) Wake(workers_[w]);
    }
    job_.Work(0);
    gate_.fetch_and(~kOpen, std::memory_order_relaxed);
    const auto end = std::chrono::steady_clock::now() + kLookingTime;
    while ((gate_.load(std::memory_order_acquire) & kInside) != 0) {
      if (std::chrono::steady_clock::now() < end) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  bool Start(int index) {
    Worker& worker = workers_[index];
    worker.ends.store(false, std::memory_order_relaxed);
    const uint64_t seen = Epoch(gate_.load(std::memory_order_relaxed));
    try {
      worker.thread = StartThread(index + 1, [this, index, seen] { Serve(index, seen); });
    } catch (const std::exception&) {
      return false;  // no more threads or no memory for one: the caller works with those there are
    }
    return true;
  }

  void Serve(int index, uint64_t seen) {
    Worker& worker = workers_[index];
    while (AwaitEpoch(worker, seen)) {
      uint64_t gate = gate_.load(std::memory_order_acquire);
      seen = Epoch(gate);
      while ((gate & kOpen) != 0 && Epoch(gate) == seen) {
        if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) {
          if (index + 1 < job_.participants) job_.Work(index + 1);
          gate_.fetch_sub(1, std::memory_order_release);
          break;
        }
      }
    }
  }

  // Waits for a job after the one of an epoch; false if the worker is to end.
  bool AwaitEpoch(Worker& worker, uint64_t seen) {
    const auto end = std::chrono::steady_clock::now() + kLookingTime;
    do {
      for (int looks = 0; looks < kLooks; ++looks) {
        if (Epoch(gate_.load(std::memory_order_acquire)) != seen) return true;
        if (worker.ends.load(std::memory_order_acquire)) return false;
        Pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    std::unique_lock<std::mutex> lock(worker.mutex);
    worker.sleeping.store(true, std::memory_order_seq_cst);
    worker.wake.wait(lock, [&] {
      return Epoch(gate_.load(std::memory_order_seq_cst)) != seen || worker.ends.load(std::memory_order_acquire);
    });
    worker.sleeping.store(false, std::memory_order_relaxed);
    return !worker.ends.load(std::memory_order_acquire);
  }

  static void Wake(Worker& worker) {
    { std::lock_guard<std::mutex> lock(worker.mutex); }
    worker.wake.notify_one();
  }

  static void End(Worker& worker) {
    worker.ends.store(true, std::memory_order_release);
    Wake(worker);
    worker.thread.join();
  }

  std::atomic<bool> busy_{false};  // held by the caller whose job it is
  std::atomic<int> callers_{0};
  std::atomic<int> limit_{0};
  alignas(64) std::atomic<uint64_t> gate_{0};
  Job job_;
  int started_ = 0;
  Worker workers_[kMaxThreads];
};

// Never destroyed: calls of other threads may still use it while the process ends. Nor allocated, so that there is one
// where memory is short.
alignas(Workers) unsigned char place[sizeof(Workers)];

Workers& TheWorkers() {
  static Workers* const workers = [] {
    CallInForkedChildren([] { TheWorkers().ForgetThreads(); });
    return new (place) Workers;
  }();
  return *workers;
}

}  // namespace

void RunTasks(int threads, size_t tasks, void (*task)(const void*, size_t), const void* context) {
  if (threads > 1 && tasks > 1) {
    TheWorkers().Run(threads, tasks, task, context);
  } else {
    for (size_t i = 0; i < tasks; ++i) task(context, i);
  }
}

void SetWorkers(int count) { TheWorkers().SetLimit(count); }

void EndIdleWorkers() { TheWorkers().EndIdle(); }

}  // namespace nn
