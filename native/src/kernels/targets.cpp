#include "kernels/targets.h"

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
  void AddAll(Target& target) {       \
    KernelTable& f = target.tables[NN_F32]; \
    AddSpans<f32>(f);                 \
    AddColumns<f32>(f);               \
    AddRowsForward<f32>(f);           \
    AddRowsBackward<f32>(f);          \
    KernelTable& b = target.tables[NN_BF16]; \
    AddSpans<bf16>(b);                \
    AddRowsForward<bf16>(b);          \
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

struct Found {
  Target targets[3];
  int count = 0;

  Found() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
#endif
#define NN_EACH(target)                                 \
  if (target##_runs()) {                                \
    targets[count].name = #target;                      \
    target::AddAll(targets[count]); \
    ++count;                                            \
  }
    NN_TARGETS
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
