#include "threads/openmp.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include "platform/system.h"
#include "threads/job.h"

namespace nn {

OpenMp OpenMpOf([[maybe_unused]] const char* library) {
#if !defined(_WIN32)
  if (void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD)) {
    OpenMp found;
    found.parallel = reinterpret_cast<decltype(OpenMp::parallel)>(dlsym(handle, "GOMP_parallel"));
    found.thread_number = reinterpret_cast<decltype(OpenMp::thread_number)>(dlsym(handle, "omp_get_thread_num"));
    found.most_threads = reinterpret_cast<decltype(OpenMp::most_threads)>(dlsym(handle, "omp_get_max_threads"));
    // The handle keeps it loaded.
    if (found.parallel != nullptr && found.thread_number != nullptr && found.most_threads != nullptr) return found;
    dlclose(handle);
  }
#endif
  return {};
}

void RunOnOpenMp(const OpenMp& openmp, int threads, size_t tasks, void (*task)(const void*, size_t),
                 const void* context) {
  const int most = openmp.most_threads();
  if (most < threads) threads = most;
  if (threads <= 1) {
    for (size_t i = 0; i < tasks; ++i) task(context, i);
    return;
  }
  struct Region {
    explicit Region(const OpenMp& of) : openmp(of) {}
    const OpenMp& openmp;
    Job job;
  } region(openmp);
  region.job.Set(threads, tasks, task, context);
  openmp.parallel(
      [](void* of) {
        Region& region = *static_cast<Region*>(of);
        const DefaultFloatingPoint as_default;
        region.job.Work(region.openmp.thread_number());
      },
      &region, static_cast<unsigned>(threads), 0);
}

}  // namespace nn
