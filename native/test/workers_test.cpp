// The workers: never more than are allowed, gone when they are to go, and every task done once meanwhile.
#include "threads/workers.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "os.h"
#include "run.h"
#include "watch_workers.h"

namespace nntest {
namespace {

constexpr int kCallers = 4;
constexpr int kMostWorkers = 3;

// Before any worker. A sanitizer's own thread comes with the first.
const int kAtFirst = [] {
  std::thread([] {}).join();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return ThreadCount();
}();

// The most threads in so many looks. One takes 10 us on Linux and up to 30 ms on Windows, where fewer must do.
int MostThreads(int looks) {
  const auto end = std::chrono::steady_clock::now() + looks * std::chrono::microseconds(50);
  int most = 0;
  do {
    most = std::max(most, ThreadCount());
  } while (--looks > 0 && std::chrono::steady_clock::now() < end);
  return most;
}

// A thread that was joined may still be listed for a moment.
bool SoonAtMost(int most) {
  for (int looks = 0; looks < 1000; ++looks) {
    if (ThreadCount() <= most) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

void TestEachTaskOnce() {
  nn::SetWorkers(kMostWorkers);
  for (int threads : {1, 2, 4, 100}) {
    for (size_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
      constexpr int kTimes = 50;
      const auto done = std::make_unique<std::atomic<int>[]>(tasks + 1);
      for (int k = 0; k < kTimes; ++k) nn::Parallel({threads, false}, tasks, [&](size_t i) { done[i].fetch_add(1); });
      size_t wrong = 0;
      for (size_t i = 0; i < tasks; ++i) wrong += done[i] != kTimes;
      Check(wrong == 0 && done[tasks] == 0, "%zu tasks, %d threads: %zu not done once", tasks, threads, wrong);
    }
  }
  nn::SetWorkers(0);
}

// Workers do take part, also when they have gone to sleep: two tasks that wait for each other end.
void TestTogether() {
  nn::SetWorkers(1);
  for (int pause : {0, 0, 50, 50}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    Check(AWorkerHelps(), "a worker did not come to help after a pause of %d ms", pause);
  }
  nn::SetWorkers(0);
}

// How many tasks of a job, which take so long, others than the caller did.
int HelpedWith(nn::Team team, size_t tasks, std::chrono::microseconds each) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> helped{0};
  nn::Parallel(team, tasks, [&](size_t) {
    const auto end = std::chrono::steady_clock::now() + each;
    while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
    helped += std::this_thread::get_id() != caller;
  });
  return helped;
}

// Small jobs wake nobody after a pause, however many of them are one call's, but get help while they follow each other.
void TestSmallJobs() {
  constexpr std::chrono::microseconds kEach(10);
  constexpr std::chrono::milliseconds kPause(20);
  nn::SetWorkers(1);
  Check(AWorkerHelps(), "no worker");
  nn::WakeForAll(false);
  for (int turn = 0; turn < 5; ++turn) {
    std::this_thread::sleep_for(kPause);
    for (int job = 0; job < 2; ++job) {
      const int helped = HelpedWith({2, false}, 2, kEach);
      Check(helped == 0, "a worker was woken for job %d of a small call", job);
    }
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  int helped = 0;
  while (helped == 0 && std::chrono::steady_clock::now() < end) helped = HelpedWith({2, false}, 8, kEach);
  Check(helped > 0, "no worker came to help with small jobs one after the other");
  nn::WakeForAll(true);
  nn::SetWorkers(0);
}

// After how many small jobs for three threads, while two are awake, all three take part.
int JobsUntilAllCome(int most) {
  for (int job = 1; job <= most; ++job) {
    std::mutex mutex;
    std::set<std::thread::id> there;
    nn::Parallel({3, false}, 12, [&](size_t) {
      const auto enough = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
      while (std::chrono::steady_clock::now() < enough) std::this_thread::yield();
      const std::lock_guard<std::mutex> lock(mutex);
      there.insert(std::this_thread::get_id());
    });
    if (there.size() == 3) return job;
  }
  return most + 1;
}

// Small jobs one after the other get all that they can use, also where smaller ones before kept some awake.
void TestSomeAwake() {
  constexpr int kSmaller = 50, kMost = 200;
  constexpr std::chrono::microseconds kEach(10);
  nn::WakeForAll(false);
  for (int turn = 0; turn < 10; ++turn) {
    nn::SetWorkers(0);
    nn::SetWorkers(2);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (int helped = 0; helped < kSmaller && std::chrono::steady_clock::now() < end;) {
      helped += HelpedWith({2, false}, 8, kEach) > 0;
    }
    const int jobs = JobsUntilAllCome(kMost);
    Check(jobs <= kMost, "in turn %d not all of 3 threads came to %d small jobs", turn, kMost);
  }
  nn::WakeForAll(true);
  nn::SetWorkers(0);
}

// A caller that a worker has kept waiting goes without for a while, and only so long.
void TestKeptWaiting() {
  constexpr std::chrono::milliseconds kWait(50);  // by far more than workers can have saved
  constexpr std::chrono::microseconds kEach(100);
  nn::SetWorkers(1);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> begun{false};
  nn::Parallel({2, true}, 2, [&](size_t) {
    if (std::this_thread::get_id() == caller) {
      while (!begun.load()) std::this_thread::yield();
    } else {
      begun = true;
      std::this_thread::sleep_for(kWait);
    }
  });
  nn::WakeForAll(false);
  Check(HelpedWith({2, true}, 8, kEach) == 0, "the caller is kept waiting again at once");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  int helped = 0;
  while (helped == 0 && std::chrono::steady_clock::now() < end) helped = HelpedWith({2, true}, 8, kEach);
  Check(helped > 0, "no worker comes to help any more");
  nn::WakeForAll(true);
  nn::SetWorkers(0);
}

// All workers that sleep are woken.
void TestAllAreWoken() {
  constexpr int kAll = 12;
  nn::SetWorkers(kAll - 1);
  for (int turn = 0; turn < 3; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> there{0};
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    nn::Parallel({kAll, true}, kAll, [&](size_t) {
      there += 1;
      while (there.load() < kAll && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
    Check(std::chrono::steady_clock::now() < end, "in turn %d not all %d threads came", turn, kAll);
  }
  nn::SetWorkers(0);
}

void TestCallersAndLimits() {
  const Shape shape = {NN_BATCH, NN_CHANNELS_FIRST, 2, 8, 10000, 1, 1e-5, false};
  const Problem problem(shape, 314);
  const Plan plan = Prepare(shape, NN_INFER, false, 4);
  std::vector<float> expected(shape.Elements());
  Forward(plan, problem.x.data(), expected.data(), nullptr, nullptr, nullptr, nullptr);

  std::atomic<bool> stop{false};
  std::atomic<int> calls{0}, wrong{0};
  std::vector<std::thread> callers;
  for (int k = 0; k < kCallers; ++k) {
    callers.emplace_back([&] {
      std::vector<float> y(shape.Elements());
      while (!stop.load()) {
        Forward(plan, problem.x.data(), y.data(), nullptr, nullptr, nullptr, nullptr);
        wrong.fetch_add(y != expected);
        calls.fetch_add(1);
      }
    });
  }
  int most = 0;
  for (int turn = 0; turn < 300; ++turn) {
    const int limit = turn % (kMostWorkers + 1);
    nn_set_workers(limit);
    most = std::max(most, MostThreads(20));
    if (turn % 50 == 0) {
      Check(SoonAtMost(kAtFirst + kCallers + limit), "%d threads with %d callers and %d workers",
            ThreadCount() - kAtFirst, kCallers, limit);
    }
  }
  // One that was joined may still be listed next to one that has begun.
  Check(most <= kAtFirst + kCallers + 2 * kMostWorkers, "%d threads with %d callers and at most %d workers",
        most - kAtFirst, kCallers, kMostWorkers);
  nn_set_workers(kMostWorkers);
  stop = true;
  for (std::thread& caller : callers) caller.join();
  Check(wrong == 0, "%d of %d calls came to other results while workers came and went", wrong.load(), calls.load());
  nn_set_workers(0);
  Check(SoonAtMost(kAtFirst), "%d threads are left", ThreadCount() - kAtFirst);
}

// Fewer callers than workers get help, and more callers never bring more threads than workers.
void TestStaysWithin() {
  nn_set_workers(kMostWorkers);
  std::atomic<bool> stop{false};
  std::vector<std::thread> callers;
  for (int k = 0; k < kCallers; ++k) {
    callers.emplace_back([&] {
      while (!stop.load()) nn::Parallel({8, true}, 16, [](size_t) { std::this_thread::yield(); });
    });
  }
  const int most = MostThreads(2000);
  stop = true;
  for (std::thread& caller : callers) caller.join();
  Check(most <= kAtFirst + kCallers + kMostWorkers, "%d threads with %d callers and %d workers", most - kAtFirst,
        kCallers, kMostWorkers);
  nn_set_workers(0);
  Check(SoonAtMost(kAtFirst), "%d threads are left", ThreadCount() - kAtFirst);
}

// A call that has seen that workers are allowed, and goes on only after they were forbidden and ended, starts none:
// callers by far outnumber processors, so that they are preempted anywhere.
void TestNoneOnceForbidden() {
  std::atomic<bool> stop{false};
  std::vector<std::thread> callers;
  for (int k = 0; k < 2 * kCallers; ++k) {
    callers.emplace_back([&] {
      while (!stop.load()) nn::Parallel({2, true}, 2, [](size_t) {});
    });
  }
  int late = 0;
  for (int turn = 0; turn < 40 && late == 0; ++turn) {
    nn::SetWorkers(8 * kCallers);  // more than callers, who else find the processors taken
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    nn::SetWorkers(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // in which all of them have had their turn
    late = SoonAtMost(kAtFirst + 2 * kCallers) ? 0 : turn + 1;
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  Check(late == 0, "in turn %d a worker began after all were ended", late);
  nn::SetWorkers(0);
}

}  // namespace

void groups::workers() {
  nn_set_workers(0);
  TestEachTaskOnce();
  TestTogether();
  TestAllAreWoken();
  TestSmallJobs();
  TestSomeAwake();
  TestKeptWaiting();
  TestStaysWithin();
  TestCallersAndLimits();
  TestNoneOnceForbidden();
}

}  // namespace nntest
