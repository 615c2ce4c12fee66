#include "targets.h"

namespace nn {

#if defined(__x86_64__) || defined(_M_X64)
namespace sse4 {
extern const Target kTarget;
}
namespace avx2 {
extern const Target kTarget;
}
namespace avx512 {
extern const Target kTarget;
}
#else
namespace neon {
extern const Target kTarget;
}
#endif

namespace {

struct Found {
  const Target* targets[3];
  int count = 0;

  void Add(bool runs, const Target& target) {
    if (runs) targets[count++] = &target;
  }

  Found() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    const bool sse4_runs = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    const bool avx2_runs =
        sse4_runs && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool avx512_runs = avx2_runs && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                             __builtin_cpu_supports("avx512cd");
    Add(sse4_runs, sse4::kTarget);
    Add(avx2_runs, avx2::kTarget);
    Add(avx512_runs, avx512::kTarget);
#else
    Add(true, neon::kTarget);
#endif
  }
};

const Found& All() {
  static const Found found;
  return found;
}

}  // namespace

int TargetCount() { return All().count; }

const Target& TargetAt(int index) { return *All().targets[index]; }

}  // namespace nn
