#include "kernels/targets.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "nativenorm.h"

namespace nn {

// NN_TARGETS is a line NN_EACH(sse4) NN_EACH(avx2) ... of what was compiled, worst first. The objects of a family add
// their bodies.
#define NN_EACH(name)                 \
  namespace name {                    \
  template <class T>                  \
  void AddSpans(KernelTable&);        \
  template <class T>                  \
  void AddColumns(KernelTable&);      \
  template <class T>                  \
  void AddRowsForward(KernelTable&);  \
  template <class T>                  \
  void AddRowsBackward(KernelTable&); \
                                      \
  template <class T>                  \
  void AddAll(KernelTable& table) {   \
    table.element_bytes = sizeof(T);  \
    AddSpans<T>(table);               \
    AddColumns<T>(table);             \
    AddRowsForward<T>(table);         \
    AddRowsBackward<T>(table);        \
  }                                   \
  }
NN_TARGETS
#undef NN_EACH

namespace {

// Whether this processor runs them.
#if defined(__x86_64__) || defined(_M_X64)
inline bool sse4_runs() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }

inline bool avx2_runs() {
  return sse4_runs() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}

inline bool avx512_runs() {
  return avx2_runs() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}
#else
inline bool neon_runs() { return true; }
#endif

// What knows no elements is compiled once, for F32.
void Share(Target& target) {
  for (int type = NN_F32 + 1; type < kStorageTypes; ++type) {
#define NN_SHARE(options, result, name, parameters) \
  std::copy(std::begin(target.tables[NN_F32].name), std::end(target.tables[NN_F32].name), target.tables[type].name);
    NN_PARAMETER_KERNELS(NN_SHARE)
#undef NN_SHARE
  }
}

struct Found {
  Target targets[3];
  int count = 0;

  Found() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
#endif
#define NN_EACH(target)                         \
  if (target##_runs()) {                        \
    using namespace target;                     \
    targets[count].name = #target;              \
    KernelTable* table = targets[count].tables; \
    NN_STORAGES                                 \
    Share(targets[count]);                      \
    ++count;                                    \
  }
#define NN_EACH_STORAGE(T) AddAll<T>(*table++);
    NN_TARGETS
#undef NN_EACH_STORAGE
#undef NN_EACH
  }
};

const Found& All() {
  static const Found found;
  return found;
}

}  // namespace

int TargetCount() { return All().count; }

const Target& TargetAt(int index) { return All().targets[index]; }

}  // namespace nn
