#include "os.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <windows.h>
// Needs what windows.h declares:
#include <tlhelp32.h>
#else
#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace nntest {
namespace {

void Need(bool done, const char* what) {
  if (done) return;
  fprintf(stderr, "%s failed\n", what);
  abort();
}

}  // namespace

#if defined(_WIN32)

size_t PageBytes() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

char* ReservePages(size_t bytes) {
  void* memory = VirtualAlloc(nullptr, bytes, MEM_RESERVE, PAGE_NOACCESS);
  Need(memory != nullptr, "VirtualAlloc");
  return static_cast<char*>(memory);
}

void OpenPages(char* from, size_t bytes) {
  Need(VirtualAlloc(from, bytes, MEM_COMMIT, PAGE_READWRITE) != nullptr, "VirtualAlloc");
}

void ReleasePages(char* from, size_t) { Need(VirtualFree(from, 0, MEM_RELEASE), "VirtualFree"); }

int ThreadCount() {
  int count = 0;
  const HANDLE threads = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
  THREADENTRY32 thread = {};
  thread.dwSize = sizeof thread;
  for (BOOL there = Thread32First(threads, &thread); there; there = Thread32Next(threads, &thread)) {
    count += thread.th32OwnerProcessID == GetCurrentProcessId();
  }
  CloseHandle(threads);
  return count;
}

std::vector<std::string> Tasks() { return {}; }

#else

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

char* ReservePages(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Need(memory != MAP_FAILED, "mmap");
  return static_cast<char*>(memory);
}

void OpenPages(char* from, size_t bytes) { Need(mprotect(from, bytes, PROT_READ | PROT_WRITE) == 0, "mprotect"); }

void ReleasePages(char* from, size_t bytes) { Need(munmap(from, bytes) == 0, "munmap"); }

// Linux lists them.
std::vector<std::string> Tasks() {
  std::vector<std::string> tasks;
  if (DIR* listed = opendir("/proc/self/task")) {
    while (const dirent* task = readdir(listed)) {
      if (task->d_name[0] != '.') tasks.push_back(task->d_name);
    }
    closedir(listed);
  }
  return tasks;
}

int ThreadCount() { return static_cast<int>(Tasks().size()); }

#endif

}  // namespace nntest
