// Every kernel on every instruction set.
#include "kernel_cases.h"
#include "kernels/targets.h"
#include "nativenorm.h"

namespace nntest {

void TestKernels() {
  const struct {
    const char* name;
    void (*run)(const Table&, const char*);
  } kTests[] = {
#define NN_TEST(result, name, parameters) {#name, test_of::name},
      NN_KERNELS(NN_TEST)
#undef NN_TEST
  };
  for (int target = 0; target < nn::TargetCount(); ++target) {
    for (const auto& test : kTests) test.run(nn::TargetAt(target).tables[NN_F32], nn::TargetAt(target).name);
  }
}

}  // namespace nntest
