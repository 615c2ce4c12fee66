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
#include "threads/job.h"

namespace nn {
namespace {

using Clock = std::chrono::steady_clock;

// How long a worker looks for the next job before it sleeps. Waking one takes the caller 5 to 20 us, and it comes 5 to
// 80 us later, so a program that calls layer after layer is served without.
constexpr std::chrono::microseconds kLookingTime(50);
// Small jobs wake nobody until they have followed each other for so long, each sooner than a worker falls asleep: after
// a pause of 0.1 ms and more BatchNorm's training of 16x16x16x16 took two threads 1.3 times one's time.
constexpr std::chrono::microseconds kSteadyTime(100);
// A worker that another program's thread keeps from its processor in the middle of a task makes its caller wait, for
// some ms. Once that has cost more than workers had brought lately, at most as much as kMostSaved, callers go without
// for so many times the difference: a twentieth of the time is lost.
constexpr int kTimesAlone = 20;
constexpr std::chrono::microseconds kMostSaved(4000), kMostLost(50);
// Looks at the gate between two reads of the clock: 0.1 to 1 us, since a pause takes 5 to 60 ns.
constexpr int kLooks = 16;

std::atomic<bool> wake_for_all{false};

inline void Pause() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

struct Worker {
  std::thread thread;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<bool> sleeping{false};
  std::atomic<bool> ends{false};
  std::atomic<int> waker{-1};  // the processor it was woken from
};

class Workers {
 public:
  void Run(Team team, size_t tasks, void (*task)(const void*, size_t), const void* context) {
    const int callers = callers_.fetch_add(1, std::memory_order_relaxed) + 1;
    // Processors that no other caller works on.
    int helpers = limit_.load(std::memory_order_relaxed) + 1 - callers;
    if (helpers > team.threads - 1) helpers = team.threads - 1;
    if (static_cast<size_t>(helpers) > tasks - 1 && helpers > 0) helpers = static_cast<int>(tasks - 1);
    const int wanted = helpers;
    bool alone = true;
    if (helpers > 0 && team.openmp.IsThere()) {
      RunOnOpenMp(team.openmp, helpers + 1, tasks, task, context);
      alone = false;
    } else if (helpers > 0 && !busy_.exchange(true, std::memory_order_acquire)) {
      helpers = WorthHaving(helpers, team.wakes);
      if (helpers > 0) {
        RunTogether(helpers, tasks, task, context);
        alone = false;
      }
      busy_.store(false, std::memory_order_release);
    }
    if (alone) {
      for (size_t i = 0; i < tasks; ++i) task(context, i);
    }
    if (helpers < wanted) last_without_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
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

  // How many of the helpers are to take part: those that are awake, or all if it is worth waking them.
  int WorthHaving(int helpers, bool wakes) {
    if (wake_for_all.load(std::memory_order_relaxed)) return helpers;
    int awake = 0;
    if (asleep_.load(std::memory_order_relaxed) < started_) {
      while (awake < helpers && awake < started_ && !workers_[awake].sleeping.load(std::memory_order_relaxed)) ++awake;
    }
    const bool kept_waiting = alone_until_ != Clock::time_point();
    if (!kept_waiting && (awake == helpers || wakes)) return helpers;
    const auto now = Clock::now();
    if (kept_waiting) {
      if (now < alone_until_) return 0;
      alone_until_ = Clock::time_point();
    }
    const Clock::time_point last{Clock::duration(last_without_.load(std::memory_order_relaxed))};
    if (now - last > kLookingTime) steady_since_ = now;
    return wakes || now - steady_since_ > kSteadyTime ? helpers : awake;
  }

  void RunTogether(int helpers, size_t tasks, void (*task)(const void*, size_t), const void* context) {
    // It may have sunk since this was decided, and the workers have ended.
    const int limit = limit_.load(std::memory_order_relaxed);
    if (helpers > limit) helpers = limit;
    while (started_ < helpers && Start(started_)) ++started_;
    if (helpers > started_) helpers = started_;
    job_.Set(helpers + 1, tasks, task, context);
    const auto begin = Clock::now();
    const uint64_t epoch = Epoch(gate_.load(std::memory_order_relaxed)) + 1;
    gate_.store(epoch << 32 | kOpen, std::memory_order_seq_cst);
    for (int w = 0; w < helpers; ++w) {
      if (workers_[w].sleeping.load(std::memory_order_seq_cst)) Wake(workers_[w]);
    }
    const size_t own = job_.Work(0);
    gate_.fetch_and(~kOpen, std::memory_order_relaxed);
    const auto done = Clock::now();
    auto now = done;
    while ((gate_.load(std::memory_order_acquire) & kInside) != 0) {
      if (now - done < kLookingTime) {
        Pause();
      } else {
        std::this_thread::yield();
      }
      now = Clock::now();
    }
    if (own > 0) Account((done - begin) * static_cast<Clock::rep>(tasks) / static_cast<Clock::rep>(own), now - begin);
  }

  // A job took so long that would have taken a caller alone so long.
  void Account(Clock::duration alone, Clock::duration together) {
    saved_ += alone - together;
    if (saved_ > kMostSaved) saved_ = kMostSaved;
    if (saved_ > -kMostLost) return;
    alone_until_ = Clock::now() - kTimesAlone * saved_;
    saved_ = Clock::duration();
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
    const int home = CurrentProcessor();
    std::unique_lock<std::mutex> lock(worker.mutex);
    asleep_.fetch_add(1, std::memory_order_relaxed);
    worker.sleeping.store(true, std::memory_order_seq_cst);
    worker.wake.wait(lock, [&] {
      return Epoch(gate_.load(std::memory_order_seq_cst)) != seen || worker.ends.load(std::memory_order_acquire);
    });
    worker.sleeping.store(false, std::memory_order_relaxed);
    asleep_.fetch_sub(1, std::memory_order_relaxed);
    lock.unlock();
    LeaveProcessor(worker.waker.load(std::memory_order_relaxed), home);
    return !worker.ends.load(std::memory_order_acquire);
  }

  static void Wake(Worker& worker) {
    worker.waker.store(CurrentProcessor(), std::memory_order_relaxed);
    { std::lock_guard<std::mutex> lock(worker.mutex); }
    worker.wake.notify_one();
  }

  static void End(Worker& worker) {
    worker.ends.store(true, std::memory_order_release);
    Wake(worker);
    worker.thread.join();
  }

  // All that a small call looks at after a pause, in one cache line.
  alignas(64) std::atomic<bool> busy_{false};  // held by the caller whose job it is
  std::atomic<int> callers_{0};
  std::atomic<int> limit_{0};
  std::atomic<int> asleep_{0};
  int started_ = 0;
  Clock::duration saved_{};        // by workers, lately
  Clock::time_point alone_until_;  // the beginning of time unless workers lately cost more
  Clock::time_point steady_since_;
  std::atomic<Clock::rep> last_without_{0};  // when the last job ended that could have used workers that sleep
  alignas(64) std::atomic<uint64_t> gate_{0};
  Job job_;
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

void RunTasks(Team team, size_t tasks, void (*task)(const void*, size_t), const void* context) {
  if (team.threads > 1 && tasks > 1) {
    TheWorkers().Run(team, tasks, task, context);
  } else {
    for (size_t i = 0; i < tasks; ++i) task(context, i);
  }
}

void WakeForAll(bool all) { wake_for_all.store(all, std::memory_order_relaxed); }

void SetWorkers(int count) { TheWorkers().SetLimit(count); }

void EndIdleWorkers() { TheWorkers().EndIdle(); }

}  // namespace nn
