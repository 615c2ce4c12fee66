// What the operating system knows or does, each in its own way.
#ifndef NATIVENORM_SYSTEM_H_
#define NATIVENORM_SYSTEM_H_

#include <stddef.h>

#include <functional>
#include <new>
#include <thread>

namespace nn {

// Where the last-level cache's size cannot be told, 32 MB.
size_t LastLevelCacheBytes();

// Starts a thread that gets none of the host's signals; throws std::system_error where there can be no more.
std::thread StartThread(std::function<void()> body);

// The calling thread's own T, destroyed when the thread ends. Null where there is no memory for it.
#if defined(_WIN32)
// Not a thread_local variable: on threads that MinGW did not start, such as the JVM's, it frees the variable first and
// then lets the destructor read it.
class ThreadSlot {
 public:
  explicit ThreadSlot(void (*destroy)(void*));
  ~ThreadSlot();
  ThreadSlot(const ThreadSlot&) = delete;
  ThreadSlot& operator=(const ThreadSlot&) = delete;

  void* Get() const;
  bool Set(void* value) const;

 private:
  unsigned long index_;
};

template <class T>
T* OfThisThread() {
  static const ThreadSlot slot([](void* value) { delete static_cast<T*>(value); });
  T* value = static_cast<T*>(slot.Get());
  if (value != nullptr) return value;
  value = new (std::nothrow) T;
  if (slot.Set(value)) return value;
  delete value;
  return nullptr;
}
#else
template <class T>
T* OfThisThread() {
  static thread_local T value;
  return &value;
}
#endif

}  // namespace nn

#endif  // NATIVENORM_SYSTEM_H_
