#include "platform/system.h"

#include <stdint.h>

#include <atomic>
#include <cstdio>
#include <utility>

#if defined(_WIN32)
#include <windows.h>

#include <memory>
#include <new>
#else
#include <pthread.h>
#include <signal.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sched.h>
#endif
#endif

namespace nn {
namespace {

std::atomic<size_t> cache_bytes_of_tests{0};

// 0 where it cannot be told. The first processor's stands for all.
#if defined(_WIN32)
size_t AskCacheBytes() {
  using Entry = SYSTEM_LOGICAL_PROCESSOR_INFORMATION;
  DWORD bytes = 0;
  GetLogicalProcessorInformation(nullptr, &bytes);
  const std::unique_ptr<Entry[]> entries(new (std::nothrow) Entry[bytes / sizeof(Entry)]);
  if (entries == nullptr || !GetLogicalProcessorInformation(entries.get(), &bytes)) return 0;
  for (size_t i = 0; i < bytes / sizeof(Entry); ++i) {
    const Entry& entry = entries[i];
    if (entry.Relationship == RelationCache && entry.Cache.Level == 3) return entry.Cache.Size;
  }
  return 0;
}
#elif defined(__APPLE__)
size_t AskCacheBytes() {
  // Apple's own processors name no third level.
  for (const char* name : {"hw.l3cachesize", "hw.perflevel0.l2cachesize"}) {
    uint64_t value = 0;  // some of these are 4 bytes, in a machine that begins with the low ones
    size_t bytes = sizeof value;
    if (sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 && value > 0) return static_cast<size_t>(value);
  }
  return 0;
}
#else
size_t AskCacheBytes() {
  unsigned long kilobytes = 0;
  // Of Linux. The C library's sysconf counts the caches of all processors of a virtual machine's host together:
  // 320 MB where each has 32.
  if (std::FILE* file = std::fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r")) {
    if (std::fscanf(file, "%luK", &kilobytes) != 1) kilobytes = 0;
    std::fclose(file);
  }
  return size_t{kilobytes} << 10;
}
#endif

#if !defined(_WIN32)
// While it lives, signals go to other threads than this one and those that it starts.
class SignalsHeldOff {
 public:
  SignalsHeldOff() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsHeldOff() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeldOff(const SignalsHeldOff&) = delete;
  SignalsHeldOff& operator=(const SignalsHeldOff&) = delete;

 private:
  sigset_t before_;
};
#endif

// Which debuggers and the like show; not on Windows.
void SetThreadName([[maybe_unused]] int number) {
#if !defined(_WIN32)
  char name[16];
  std::snprintf(name, sizeof name, "nativenorm-%d", number);
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
#endif
}

}  // namespace

size_t LastLevelCacheBytes() {
  static const size_t bytes = [] {
    const size_t told = AskCacheBytes();
    return told > 0 ? told : size_t{32} << 20;
  }();
  const size_t of_tests = cache_bytes_of_tests.load(std::memory_order_relaxed);
  return of_tests > 0 ? of_tests : bytes;
}

void SetLastLevelCacheBytes(size_t bytes) { cache_bytes_of_tests.store(bytes, std::memory_order_relaxed); }

std::thread StartThread(int number, std::function<void()> body) {
#if !defined(_WIN32)
  const SignalsHeldOff held_off;
#endif
  return std::thread([number, body = std::move(body)] {
    SetThreadName(number);
    const DefaultFloatingPoint as_default;
    body();
  });
}

#if defined(__linux__)
int CurrentProcessor() { return sched_getcpu(); }

void LeaveProcessor(int from, int to) {
  if (from < 0 || CurrentProcessor() != from) return;
  cpu_set_t allowed;  // its size does for 1024 processors; with more the thread stays
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(from, &others);
  if (to >= 0 && CPU_ISSET(to, &others)) {
    CPU_ZERO(&others);
    CPU_SET(to, &others);
  }
  if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) {
    sched_setaffinity(0, sizeof allowed, &allowed);
  }
}
#else
int CurrentProcessor() { return -1; }
void LeaveProcessor(int, int) {}
#endif

void CallInForkedChildren(void (*body)()) {
#if defined(__linux__)
  pthread_atfork(nullptr, nullptr, body);
#else
  static_cast<void>(body);
#endif
}

}  // namespace nn
