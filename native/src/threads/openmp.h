// The OpenMP threads of another library in the process.
#ifndef NATIVENORM_OPENMP_H_
#define NATIVENORM_OPENMP_H_

#include <stddef.h>

namespace nn {

// What GNU's libgomp has, and LLVM's libomp and Intel's libiomp5 have for programs that were compiled for it.
struct OpenMp {
  // Has so many threads, the caller among them, call a function, and waits for them: GOMP_parallel. They are the
  // calling thread's own, as all that it begins in that library.
  void (*parallel)(void (*body)(void*), void* context, unsigned threads, unsigned flags) = nullptr;
  int (*thread_number)() = nullptr;  // within body, from 0 on: omp_get_thread_num
  int (*most_threads)() = nullptr;   // that a library wants where it is called: omp_get_max_threads

  bool IsThere() const { return parallel != nullptr; }
};

// Those of a library, or of one that it was linked with, that is loaded under that name, and then stays; else none.
OpenMp OpenMpOf(const char* library);

// Runs task(context, i) for every i below `tasks` on so many threads or, where OpenMP has or is to have fewer, on
// those. After another parallel region of the calling thread's they are awake, look for the next, and have its memory
// in their caches: each gets the part of the tasks that a loop of OpenMP's with a static schedule would give it.
void RunOnOpenMp(const OpenMp& openmp, int threads, size_t tasks, void (*task)(const void*, size_t),
                 const void* context);

}  // namespace nn

#endif  // NATIVENORM_OPENMP_H_
