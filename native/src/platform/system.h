// What the operating system knows or does, each in its own way.
#ifndef NATIVENORM_SYSTEM_H_
#define NATIVENORM_SYSTEM_H_

#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <thread>

namespace nn {

// Where the last-level cache's size cannot be told, 32 MB.
size_t LastLevelCacheBytes();
// Another size, for tests of prefetches and non-temporal stores; 0 for the real one.
void SetLastLevelCacheBytes(size_t bytes);

// Starts a thread "nativenorm-<number>" that gets none of the host's signals and computes as C++ begins, whatever its
// creator does; throws std::system_error or std::bad_alloc where there can be no more.
std::thread StartThread(int number, std::function<void()> body);

// The one that the calling thread runs on; -1 where that cannot be told: not on Linux.
int CurrentProcessor();
// Moves the calling thread from this processor, if it runs there, to that one, or where that is the same or forbidden
// to any other that it may run on. Linux in a virtual machine puts a thread that it wakes beside the one that wakes it
// when the others have slept for 1 ms: it takes a halted processor for one that its host has preempted.
void LeaveProcessor(int from, int to);

// Has this called in each child that fork makes, where such children may go on (Linux; elsewhere they only start
// programs). Never called after the library is unloaded.
void CallInForkedChildren(void (*body)());

// While it lives, the calling thread computes as C++ begins: to nearest, with subnormal numbers, without traps. Costs
// 4 ns where it does so already.
class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() : before_(Read()) {
    if ((before_ & kSettings) != kDefault) Write(kDefault);
  }
  ~DefaultFloatingPoint() {
    if ((before_ & kSettings) != kDefault) Write(before_);
  }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  using Word = unsigned;
  static constexpr Word kDefault = 0x1f80;
  static constexpr Word kSettings = 0xffffffc0;  // the others say what has happened
  static Word Read() { return __builtin_ia32_stmxcsr(); }
  static void Write(Word word) { __builtin_ia32_ldmxcsr(word); }
#elif defined(__aarch64__)
  using Word = uint64_t;
  static constexpr Word kDefault = 0;
  static constexpr Word kSettings = ~Word{0};
  static Word Read() {
    Word word;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void Write(Word word) { asm volatile("msr fpcr, %0" : : "r"(word) : "memory"); }
#endif

  Word before_;
};

}  // namespace nn

#endif  // NATIVENORM_SYSTEM_H_
