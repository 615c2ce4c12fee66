// Where memory or threads run out: a call fails or does without, and then all is as before. One after the other, each
// `operator new` and each thread that the library asks for is refused.
#include <stdlib.h>

#include <atomic>
#include <new>
#include <string>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

#include "check.h"
#include "results.h"
#include "watch_workers.h"

namespace nntest {
namespace {

std::atomic<long> until_failure{-1};  // 0: the next request fails; below: none does
std::atomic<bool> all_fail{false};    // after the first
std::atomic<long> failures{0};
std::atomic<long> requests{0};
std::atomic<long> live{0};

bool Fails() {
  requests.fetch_add(1);
  if (until_failure.load() < 0) return false;
  if (until_failure.load() > 0) {
    until_failure.fetch_sub(1);
    return false;
  }
  if (!all_fail.load()) until_failure = -1;
  failures.fetch_add(1);
  return true;
}

void* Allocate(size_t bytes, size_t alignment) {
  if (Fails()) throw std::bad_alloc();
  const size_t whole = (bytes + alignment) / alignment * alignment;
#if defined(_WIN32)
  void* memory = _aligned_malloc(whole, alignment);
#else
  void* memory = aligned_alloc(alignment, whole);
#endif
  if (memory == nullptr) throw std::bad_alloc();
  live.fetch_add(1);
  return memory;
}

void Deallocate(void* memory) {
  if (memory == nullptr) return;
  live.fetch_sub(1);
#if defined(_WIN32)
  _aligned_free(memory);
#else
  free(memory);
#endif
}

// While it lives, the n-th request from now on fails, the first being 0; or it and all after it.
class Failure {
 public:
  Failure(long n, bool all) : before_(failures.load()) {
    all_fail = all;
    until_failure = n;
  }
  ~Failure() { until_failure = -1; }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;

  bool Happened() const { return failures.load() > before_; }

 private:
  long before_;
};

}  // namespace
}  // namespace nntest

void* operator new(size_t bytes) { return nntest::Allocate(bytes, alignof(max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return nntest::Allocate(bytes, static_cast<size_t>(alignment));
}
// Which do not come here by themselves under sanitizers, that have their own.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes, alignment);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { nntest::Deallocate(memory); }
void operator delete(void* memory, size_t) noexcept { nntest::Deallocate(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { nntest::Deallocate(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { nntest::Deallocate(memory); }

#if defined(__linux__)
// Before the C library's own, for the C++ library too.
extern "C" __attribute__((visibility("default"))) int pthread_create(pthread_t* thread,
                                                                     const pthread_attr_t* attributes,
                                                                     void* (*start)(void*), void* argument) noexcept {
  static const auto next = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return nntest::Fails() ? EAGAIN : next(thread, attributes, start, argument);
}
#endif

namespace nntest {
namespace {

constexpr uint64_t kSeed = 160001;
constexpr int kWorkers = 3;

// Refuses one request after the other, until a run asks for no more. `run` gives a status or throws.
template <class Run>
long RefuseEach(const std::string& text, const Runs& runs, const Problem& problem, const Results& expected,
                const Run& run) {
  Results results(problem.shape);
  long refused = 0;
  for (bool all : {false, true}) {
    for (long n = 0;; ++n) {
      nn_set_workers(0);
      const long before = live.load();
      bool threw = false, happened = false;
      int status = NN_OK;
      {
        const Failure failure(n, all);
        try {
          status = run(results);
        } catch (...) {
          threw = true;
        }
        happened = failure.Happened();
      }
      const char* which = all ? "requests from" : "request";
      Check(!threw, "%s: %s %ld on refused: an exception came out", text.c_str(), which, n);
      Check(status == NN_OK || (happened && status == NN_OUT_OF_MEMORY), "%s: %s %ld refused: status %d", text.c_str(),
            which, n, status);
      Check(status != NN_OK || results == expected, "%s: %s %ld refused: the results are others", text.c_str(), which,
            n);
      nn_set_workers(kWorkers);
      runs.Into(problem, results);
      Check(results == expected, "%s: %s %ld refused: afterwards the results are others", text.c_str(), which, n);
      Check(AWorkerHelps(), "%s: %s %ld refused: afterwards nobody helps", text.c_str(), which, n);
      nn_set_workers(0);
      const long left = live.load() - before;
      Check(left == 0, "%s: %s %ld refused: %ld blocks are left", text.c_str(), which, n, left);
      if (!happened) break;
      ++refused;
    }
  }
  return refused;
}

// How many requests of computing were refused.
long TestRefusals(const Shape& shape, bool masked, uint64_t seed) {
  const Problem problem(shape, seed, 1);
  nn_use_target(static_cast<int>(seed) % nn_targets());
  nn_set_workers(0);
  std::vector<unsigned char> some(shape.batch * shape.spatial);
  for (size_t i = 0; i < some.size(); ++i) some[i] = i * i % 7 < 4;
  const unsigned char* mask = masked ? some.data() : nullptr;
  const Runs runs(shape, kWorkers + 1, mask);
  const Results expected = runs.Of(problem);
  const std::string text = problem.Text() + (masked ? " masked" : "");
  const long computing = RefuseEach(text + " computing", runs, problem, expected, [&](Results& results) {
    nn_set_workers(kWorkers);
    runs.Into(problem, results);
    return results.status;
  });
  // Backward's scratch memory; and the workers' starts, where there is more than one thing to do.
  Check(computing >= (runs.Threads() > 1 ? 4 : 0), "%s: only %ld requests to refuse", text.c_str(), computing);
  const long preparing = RefuseEach(text + " preparing", runs, problem, expected, [&](Results& results) {
    const Runs others(shape, kWorkers + 1, mask);
    if (!others.ArePrepared()) return static_cast<int>(NN_OUT_OF_MEMORY);
    others.Into(problem, results);
    return results.status;
  });
  Check(preparing >= 4, "%s: only %ld requests to refuse in preparing", text.c_str(), preparing);
  nn_set_workers(2);
  const long fewer = RefuseEach(text + " fewer workers", runs, problem, expected, [&](Results& results) {
    nn_set_workers(kWorkers);
    runs.Into(problem, results);
    if (results.status != NN_OK) return results.status;
    nn_set_workers(1);
    runs.Into(problem, results);
    return results.status;
  });
  // A thread that packs asks for memory to pack into: how many do is not the same each time.
  Check(fewer >= (masked ? 4 : computing), "%s: only %ld requests to refuse with fewer workers", text.c_str(), fewer);
  return computing;
}

void TestRefusals() {
  uint64_t seed = kSeed;
  long total = 0;
  std::vector<Shape> shapes = LargeShapes();
  shapes.push_back({NN_LAYER, NN_CHANNELS_FIRST, 3, 50, 1, 1, 1e-5, false});  // on the stack
  shapes.push_back({NN_BATCH, NN_CHANNELS_FIRST, 2, 400, 9, 1, 1e-5, false});  // blocks in blocks, one thread
  shapes.push_back({NN_GROUP, NN_CHANNELS_LAST, 2, 400, 9, 4, 1e-5, true});
  for (const Shape& shape : shapes) {
    total += TestRefusals(shape, false, ++seed);
    if (shape.operation == NN_BATCH || shape.operation == NN_GROUP) TestRefusals(shape, true, seed);
  }
#if defined(__linux__)
  const long of_threads = 3;  // for what it runs, for its handle, and the thread itself
#else
  const long of_threads = 2;
#endif
  Check(total >= static_cast<long>(LargeShapes().size()) * kWorkers * of_threads, "only %ld requests to refuse", total);
}

// Calls that repeat ask for nothing, up to the bound of what is kept.
void TestSteadyState() {
  uint64_t seed = kSeed + 1000;
  nn_set_workers(kWorkers);
  for (const Shape& shape : LargeShapes()) {
    if (shape.channels > 20000) continue;
    const Problem problem(shape, ++seed, 1);
    const Runs runs(shape, kWorkers + 1);
    Results results(shape);
    for (int k = 0; k < 5; ++k) runs.Into(problem, results);
    const long before = requests.load();
    for (int k = 0; k < 5; ++k) runs.Into(problem, results);
    const long more = requests.load() - before;
    Check(more == 0, "%s: calls that repeat ask for memory %ld times", problem.Text().c_str(), more);
  }
  nn_set_workers(0);
}

}  // namespace

void groups::memory() {
  TestRefusals();
  TestSteadyState();
}

}  // namespace nntest
