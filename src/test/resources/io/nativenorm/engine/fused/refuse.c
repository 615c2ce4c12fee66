// Preloaded into a JVM: refuses one of the requests for memory and threads that NativeNorm's library makes, and passes
// on all others. The file that NATIVENORM_REFUSE names is shared with the test.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct {
  int64_t until;  // 0: the next is refused; below: none is
  int64_t refused;
}* shared;

__attribute__((constructor)) static void share(void) {
  int file = open(getenv("NATIVENORM_REFUSE"), O_RDWR);
  void* memory = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) abort();
  shared = memory;
}

static int refuses(void* caller) {
  Dl_info found;
  if (shared == NULL || __atomic_load_n(&shared->until, __ATOMIC_SEQ_CST) < 0) return 0;
  if (!dladdr(caller, &found) || strstr(found.dli_fname, "jninativenorm") == NULL) return 0;
  if (__atomic_fetch_sub(&shared->until, 1, __ATOMIC_SEQ_CST) != 0) return 0;
  __atomic_fetch_add(&shared->refused, 1, __ATOMIC_SEQ_CST);
  return 1;
}

void* __libc_malloc(size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) { return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes); }

void* aligned_alloc(size_t alignment, size_t bytes) {
  return refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  static int (*next)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  if (refuses(__builtin_return_address(0))) return EAGAIN;
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "pthread_create");
  return next(thread, attributes, start, argument);
}
