// What the process is like: callers with control words of their own, forks, its end, and the library's unloading.
#include "platform/system.h"

#include <stdint.h>
#include <stdio.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#endif

#include "check.h"
#include "results.h"
#include "watch_workers.h"

#if defined(__linux__)
namespace {

bool is_child = false;  // of fork

}  // namespace

// Asked by the address sanitizer: what threads had that a child of fork has not, it need not free.
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() { return is_child; }
#endif

namespace nntest {
namespace {

constexpr uint64_t kSeed = 230001;
constexpr int kWorkers = 3;

struct Word {
  const char* name;
  uint64_t word;
};

#if defined(__x86_64__) || defined(_M_X64)
constexpr uint64_t kDefault = 0x1f80;
constexpr uint64_t kHappened = 0x3f;
constexpr Word kFlush = {"flushing subnormals", kDefault | 0x8040};
constexpr Word kWords[] = {{"rounding up", kDefault | 0x4000},
                           {"rounding down", kDefault | 0x2000},
                           {"rounding to zero", kDefault | 0x6000},
                           {"traps", 0}};
uint64_t ReadWord() { return __builtin_ia32_stmxcsr(); }
void WriteWord(uint64_t word) { __builtin_ia32_ldmxcsr(static_cast<unsigned>(word)); }
#else
constexpr uint64_t kHappened = 0;
constexpr Word kFlush = {"flushing subnormals", uint64_t{1} << 24};
constexpr Word kWords[] = {{"rounding up", uint64_t{1} << 22},
                           {"rounding down", uint64_t{2} << 22},
                           {"rounding to zero", uint64_t{3} << 22},
                           {"one NaN", uint64_t{1} << 25}};
uint64_t ReadWord() {
  uint64_t word;
  asm volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
void WriteWord(uint64_t word) { asm volatile("msr fpcr, %0" : : "r"(word) : "memory"); }
#endif

// The first large call, which starts the workers, comes from a thread with a word of its own; then others call.
void TestControlWord(const Problem& problem, const char* name, uint64_t word) {
  const Runs runs(problem.shape, kWorkers + 1);
  nn_set_workers(0);
  const Results expected = runs.Of(problem);
  std::vector<float> line(100000), plain(line.size()), stream(line.size());
  std::copy(problem.x.begin(), problem.x.begin() + static_cast<ptrdiff_t>(line.size()), line.begin());
  const auto pass = [&](std::vector<float>& y) {
    nn_stream(line.data(), y.data(), static_cast<int64_t>(line.size()), 1.0f / 3, 1e-39f, kWorkers + 1);
  };
  pass(plain);
  nn_set_workers(kWorkers);
  Results results(problem.shape);
  uint64_t after = 0;
  std::thread([&] {
    const uint64_t before = ReadWord();
    WriteWord(word);
    runs.Into(problem, results);
    pass(stream);
    after = ReadWord();
    WriteWord(before);
  }).join();
  int others = !(results == expected) + (stream != plain);
  Check(others == 0, "%s: with %s its caller has other results", problem.Text().c_str(), name);
  Check((after & ~kHappened) == word, "%s: %s became %llx", problem.Text().c_str(), name,
        static_cast<unsigned long long>(after));
  others = 0;
  for (int k = 0; k < 5; ++k) {
    runs.Into(problem, results);
    pass(stream);
    others += !(results == expected) + (stream != plain);
  }
  Check(others == 0, "%s: after %s others have other results in %d of 10 calls", problem.Text().c_str(), name, others);
  nn_set_workers(0);
}

// Normal numbers under each word in turn, and those that are flushed.
void TestControlWords() {
  uint64_t seed = kSeed;
  for (Shape shape : LargeShapes()) {
    nn_use_target(static_cast<int>(++seed) % nn_targets());
    const auto& word = kWords[seed % (sizeof kWords / sizeof kWords[0])];
    TestControlWord(Problem(shape, seed), word.name, word.word);
    shape.eps = 1e-30;
    TestControlWord(Problem(shape, seed, 0, 1e-39), kFlush.name, kFlush.word);
  }
  nn_use_target(nn_targets() - 1);  // which another copy of the library uses, too
}

#if defined(__linux__)

#if defined(__SANITIZE_THREAD__)
constexpr bool kChildrenMayHaveThreads = false;
#else
constexpr bool kChildrenMayHaveThreads = true;
#endif

// Runs it in a child of this process, which has 60 s, and gives the status of its end.
template <class Body>
int StatusOfChild(const Body& body) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    is_child = true;
    alarm(60);
    body();
    exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

// A problem that wakes workers, also of a library that does not wake them for all, with room for its results.
struct Large {
  Shape shape = {NN_BATCH, NN_CHANNELS_FIRST, 2, 8, 40000, 1, 1e-5, false};
  Problem problem{shape, kSeed + 1000};
  Runs runs{shape, kWorkers + 1};
  Results expected{runs.Of(problem)};
  Results results{shape};

  bool IsRight() {
    runs.Into(problem, results);
    return results == expected;
  }
};

// Callers that never stop, while it lives.
class Callers {
 public:
  explicit Callers(int count) {
    for (int k = 0; k < count; ++k) {
      threads_.emplace_back([this] {
        Large large;
        while (!stop_.load()) wrong_.fetch_add(!large.IsRight());
      });
    }
  }
  ~Callers() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    Check(wrong_ == 0, "%d calls with other results", wrong_.load());
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> wrong_{0};
  std::vector<std::thread> threads_;
};

// A child of fork has none of the threads, whatever they did, and can have its own.
void TestForks() {
  Large large;
  for (int callers : {0, 2}) {
    nn_set_workers(kWorkers);
    const Callers busy(callers);
    for (int k = 0; k < 5; ++k) {
      Check(large.IsRight(), "other results before a fork");
      const int status = StatusOfChild([&] {
        if (!large.IsRight()) _exit(1);
        if (!AWorkerHelps()) _exit(2);
        nn_set_workers(0);
        nn_set_workers(kWorkers);
        if (!large.IsRight()) _exit(3);
      });
      Check(status == 0, "with %d callers, fork %d: the child's end has status %x", callers, k,
            static_cast<unsigned>(status));
    }
  }
  nn_set_workers(0);
}

// A thread leaves a processor for the one that it is to go to, or another that it may run on, and may then run on all
// as before.
void TestLeavesProcessor() {
  std::thread([] {
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    for (int turn = 0; turn < 20 && CPU_COUNT(&before) > 1; ++turn) {
      cpu_set_t one;
      CPU_ZERO(&one);
      const int first = nn::CurrentProcessor();
      CPU_SET(first, &one);
      sched_setaffinity(0, sizeof one, &one);
      nn::LeaveProcessor(first, first + 1);  // may run on no other
      Check(nn::CurrentProcessor() == first, "left processor %d for one it may not run on", first);
      sched_setaffinity(0, sizeof before, &before);
      const int begun = nn::CurrentProcessor();
      nn::LeaveProcessor(begun, turn % 2 == 0 ? begun : CPU_SETSIZE);
      const int second = nn::CurrentProcessor();
      Check(second != begun, "is still on processor %d", begun);
      nn::LeaveProcessor(second, begun);
      Check(nn::CurrentProcessor() == begun, "is not back on processor %d", begun);
      sched_getaffinity(0, sizeof after, &after);
      Check(CPU_EQUAL(&before, &after), "may run on %d processors, not on %d as before", CPU_COUNT(&after),
            CPU_COUNT(&before));
    }
  }).join();
}

// A process ends while others call.
void TestEnds() {
  for (int callers : {1, 3}) {
    for (int k = 0; k < 5; ++k) {
      const int status = StatusOfChild([&] {
        nn_set_workers(kWorkers);
        new Callers(callers);  // which are never stopped
        std::this_thread::sleep_for(std::chrono::milliseconds(10 + k));
      });
      Check(status == 0, "with %d callers, a process's end has status %x", callers, static_cast<unsigned>(status));
    }
  }
}

bool IsMapped(const std::string& file) {
  std::ifstream maps("/proc/self/maps");
  const std::string all((std::istreambuf_iterator<char>(maps)), std::istreambuf_iterator<char>());
  return all.find(file) != std::string::npos;
}

// The threads of a library that is unloaded end before, and no thread that called it runs into where it was.
void TestUnloading() {
  const Large large;
  for (int k = 0; k < 5; ++k) {
    void* library = dlopen(NN_UNLOADED, RTLD_NOW | RTLD_LOCAL);
    if (!Check(library != nullptr, "%s cannot be loaded", NN_UNLOADED)) return;
    const auto function = [&](const char* name, auto* declared) {
      return reinterpret_cast<decltype(declared)>(dlsym(library, name));
    };
    std::atomic<bool> called{false}, unloaded{false};
    bool right = false;
    std::thread caller([&] {
      Results results(large.shape);
      const float* x = large.problem.x.data();
      const auto run = [&](int task, const nn_operands& operands) {
        const nn_problem problem = ProblemOf(large.shape, task, false, 4);
        nn_plan* plan = function("nn_prepare", &nn_prepare)(&problem, nullptr, 0);
        function("nn_execute", &nn_execute)(plan, &operands);
        function("nn_release", &nn_release)(plan);
      };
      function("nn_set_workers", &nn_set_workers)(kWorkers);
      run(NN_TRAIN, ForwardOperands(x, results.y.data(), large.problem.Weight(), large.problem.Bias(),
                                    results.mean.data(), results.variance.data()));
      right = results.y == large.expected.y;
      // Memory that is kept, too.
      run(NN_MEASURE, MeasureOperands(x, results.phases_mean.data(), results.phases_m2.data()));
      called = true;
      while (!unloaded.load()) std::this_thread::yield();
    });
    while (!called.load()) std::this_thread::yield();
    Check(right, "a library that was loaded has other results");
    Check(SoonWorkers(kWorkers), "%d workers of a library that was loaded", WorkerCount());
    dlclose(library);
    Check(SoonWorkers(0), "%d workers of a library that was unloaded", WorkerCount());
    Check(!IsMapped(NN_UNLOADED), "a library that was unloaded is still there");
    unloaded = true;
    caller.join();
  }
}

#endif

}  // namespace

void groups::system() {
  TestControlWords();
#if defined(__linux__)
  TestLeavesProcessor();
  TestUnloading();
  TestEnds();
  if (kChildrenMayHaveThreads) {
    TestForks();
  } else {
    printf("NOT TESTED: forks, whose children may have no threads under ThreadSanitizer\n");
  }
#endif
}

}  // namespace nntest
