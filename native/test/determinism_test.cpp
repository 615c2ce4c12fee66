// The same bits come out whoever does the work, as long as the problem is prepared for as many threads.
#include <stdlib.h>

#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "results.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 90001;
constexpr int kThreads = 3;
constexpr int kCallers = 8;

// NATIVENORM_REPETITIONS for instrumented code: the thread sanitizer finds what is not ordered whichever comes first.
int Repetitions() {
  const char* wanted = getenv("NATIVENORM_REPETITIONS");
  return wanted == nullptr ? 20 : static_cast<int>(strtol(wanted, nullptr, 10));
}

}  // namespace

void groups::determinism() {
  const int repetitions = Repetitions();
  uint64_t seed = kSeed;
  size_t turn = 0;
  for (const Shape& shape : LargeShapes()) {
    const Problem problem(shape, ++seed, 1);
    const int target = static_cast<int>(turn++ % static_cast<size_t>(nn_targets()));
    nn_use_target(target);
    const std::string text = std::string(nn_target_name(target)) + " " + problem.Text();
    const Runs runs(shape, kThreads);
    Check(runs.Threads() == kThreads, "%s: %d threads", text.c_str(), runs.Threads());
    nn_set_workers(0);
    const Results alone = runs.Of(problem);
    nn_set_workers(kThreads);
    int others = 0;
    for (int k = 0; k < repetitions; ++k) others += !(runs.Of(problem) == alone);
    Check(others == 0, "%s: with helpers, %d of %d results are others than without", text.c_str(), others,
          repetitions);
    std::vector<std::thread> callers;
    std::vector<int> wrong(kCallers);
    for (int& count : wrong) {
      callers.emplace_back([&] {
        for (int k = 0; k < 3; ++k) count += !(runs.Of(problem) == alone);
      });
    }
    for (std::thread& caller : callers) caller.join();
    for (int caller = 0; caller < kCallers; ++caller) {
      Check(wrong[caller] == 0, "%s: of %d callers at once, one got %d other results", text.c_str(), kCallers,
            wrong[caller]);
    }
  }
  nn_set_workers(0);
}

}  // namespace nntest
