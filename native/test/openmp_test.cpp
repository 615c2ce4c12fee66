// Work on another library's OpenMP threads: every task done once, by the thread whose part it is, and the same answers.
#include "threads/openmp.h"

#include <fenv.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "calls.h"
#include "check.h"
#include "run.h"
#include "threads/workers.h"
#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace nntest {
namespace {

// An OpenMP of the test's: as many threads as it is asked for, or fewer.
thread_local int number = 0;
int most_threads = 0, wanted = 8;
std::atomic<int> regions{0};

void RunRegion(void (*body)(void*), void* context, unsigned threads, unsigned) {
  ++regions;
  std::vector<std::thread> others;
  for (int i = 1; i < static_cast<int>(threads) && i < most_threads; ++i) {
    others.emplace_back([=] {
      number = i;
      body(context);
    });
  }
  body(context);
  for (std::thread& other : others) other.join();
}

constexpr nn::OpenMp kOpenMp = {RunRegion, [] { return number; }, [] { return wanted; }};

void TestEachTaskOnce() {
  for (int most : {1, 3, 8}) {
    most_threads = most;
    for (int threads : {1, 2, 8}) {
      for (size_t tasks : {0, 1, 2, 7, 64, 1000}) {
        const auto done = std::make_unique<std::atomic<int>[]>(tasks + 1);
        const auto task = [](const void* counts, size_t i) {
          (*static_cast<const std::unique_ptr<std::atomic<int>[]>*>(counts))[i].fetch_add(1);
        };
        nn::RunOnOpenMp(kOpenMp, threads, tasks, task, &done);
        size_t wrong = 0;
        for (size_t i = 0; i < tasks; ++i) wrong += done[i] != 1;
        Check(wrong == 0 && done[tasks] == 0, "%zu tasks, %d threads of %d: %zu not done once", tasks, threads, most,
              wrong);
      }
    }
  }
}

// What a thread has in its cache is its part of the next job too.
void TestOwnParts() {
  constexpr int kThreads = 4;
  most_threads = kThreads;
  std::atomic<int> there{0}, others{0};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  nn::SetWorkers(kThreads - 1);
  nn::Parallel({kThreads, false, kOpenMp}, kThreads, [&](size_t i) {
    there += 1;
    while (there.load() < kThreads && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    others += static_cast<int>(i) != number;
  });
  Check(there == kThreads && others == 0, "%d of %d threads came, %d did another's part", there.load(), kThreads,
        others.load());
  nn::SetWorkers(0);
}

// As many beside a caller as workers are allowed, and as OpenMP was told to have.
void TestLimit() {
  most_threads = 2;
  for (int limit : {0, 1}) {
    nn::SetWorkers(limit);
    for (int most : {1, 2}) {
      wanted = most;
      regions = 0;
      std::atomic<int> done{0};
      nn::Parallel({2, true, kOpenMp}, 8, [&](size_t) { ++done; });
      const int expected = limit == 1 && most == 2 ? 1 : 0;
      Check(regions == expected && done == 8, "%d regions with %d workers allowed and %d threads told, %d tasks done",
            regions.load(), limit, most, done.load());
    }
  }
  nn::SetWorkers(0);
  wanted = 8;
}

// OpenMP's threads compute as C++ begins, whatever the library has made of them.
void TestControlWord() {
  const auto region = [](void (*body)(void*), void* context, unsigned, unsigned) {
    std::thread([=] {
      fesetround(FE_DOWNWARD);
      body(context);
    }).join();
  };
  volatile float one = 1, three = 3;
  const float expected = one / three;
  std::atomic<int> others{0};
  const nn::OpenMp openmp = {region, kOpenMp.thread_number, kOpenMp.most_threads};
  nn::SetWorkers(1);
  nn::Parallel({2, true, openmp}, 8, [&](size_t) { others += one / three != expected; });
  Check(others == 0, "%d of 8 tasks rounded otherwise", others.load());
  nn::SetWorkers(0);
}

Shape Rows(size_t count) { return {NN_LAYER, NN_CHANNELS_FIRST, count, 768, 1, 1, 1e-5, false}; }

nn_problem On(const char* library, size_t rows, int task) {
  nn_problem problem = ProblemOf(Rows(rows), task, false, 2);
  problem.threads_of = library;
  return problem;
}

// Without such threads a call that ours would be late for is its caller's.
void TestNone() {
  Check(!nn::OpenMpOf("libnosuchlibrary.so.1").IsThere(), "a library that is not loaded has threads");
  Check(!nn::OpenMpOf("libc.so.6").IsThere(), "the C library has OpenMP's threads");
  for (size_t rows : {128, 512}) {
    const Prepared prepared(On("libnosuchlibrary.so.1", rows, NN_INFER));
    const int expected = rows == 128 ? 1 : 2;
    Check(nn_threads(prepared.plan.get()) == expected, "%d threads for %d rows, expected %d",
          nn_threads(prepared.plan.get()), static_cast<int>(rows), expected);
  }
}

#if defined(__linux__) && !defined(__SANITIZE_THREAD__)  // which does not see what libgomp waits for
// GNU's, which comes with the compiler that all this was built with, or not, with Clang.
void TestGnus() {
  Check(!nn::OpenMpOf("libgomp.so.1").IsThere(), "libgomp was loaded before");
  if (dlopen("libgomp.so.1", RTLD_LAZY) == nullptr) return;
  Check(nn::OpenMpOf("libgomp.so.1").IsThere(), "libgomp was not found");
  nn_set_workers(1);
  const Shape shape = Rows(128);
  const Problem data(shape, 7);
  for (int task : {NN_INFER, NN_TRAIN}) {
    const Prepared there(On("libgomp.so.1", 128, task)), own(On(nullptr, 128, task));
    const std::string name = nn_name(there.plan.get());
    Check(name == std::string(nn_name(own.plan.get())) + " openmp", "the plan on libgomp's is %s", name.c_str());
    std::vector<float> y(shape.Elements()), expected(shape.Elements()), mean(128), variance(128);
    for (int turn = 0; turn < 20; ++turn) {
      Forward(own.plan, data.x.data(), expected.data(), data.Weight(), data.Bias(), mean.data(), variance.data());
      y.assign(y.size(), 0);
      Forward(there.plan, data.x.data(), y.data(), data.Weight(), data.Bias(), mean.data(), variance.data());
      Check(y == expected, "other results on libgomp's threads");
    }
  }
  std::atomic<int> there{0};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  nn::Parallel({2, false, nn::OpenMpOf("libgomp.so.1")}, 2, [&](size_t) {
    there += 1;
    while (there.load() < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  });
  Check(std::chrono::steady_clock::now() < end, "libgomp's thread did not come");
  nn_set_workers(0);
}
#endif

}  // namespace

void groups::openmp() {
  TestEachTaskOnce();
  TestOwnParts();
  TestLimit();
  TestControlWord();
  TestNone();
#if defined(__linux__) && !defined(__SANITIZE_THREAD__)
  TestGnus();
#endif
}

}  // namespace nntest
