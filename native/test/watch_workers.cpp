#include "watch_workers.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "os.h"
#include "threads/workers.h"

namespace nntest {

bool AWorkerHelps() {
  std::atomic<int> there{0};
  std::atomic<bool> met{true};
  nn::Parallel({2, true}, 2, [&](size_t) {
    there.fetch_add(1);
    const auto begin = std::chrono::steady_clock::now();
    while (there.load() < 2 && met.load()) {
      if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(10)) met = false;
      std::this_thread::yield();
    }
  });
  return met;
}

int WorkerCount() {
  int count = 0;
  for (const std::string& task : Tasks()) {
    std::string name;
    std::ifstream("/proc/self/task/" + task + "/comm") >> name;
    count += name.rfind("nativenorm-", 0) == 0;
  }
  return count;
}

bool SoonWorkers(int count) {
  for (int looks = 0; looks < 2000; ++looks) {
    if (WorkerCount() == count) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace nntest
