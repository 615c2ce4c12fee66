// Every kernel on every instruction set.
#include <set>

#include "kernel_cases.h"
#include "kernels/targets.h"
#include "nativenorm.h"
#include "storage.h"

namespace nntest {
namespace {

std::set<void (*)()> tested;

// Whether each line of variants.def has been run.
void CheckAllTested(const nn::Target& target) {
  using namespace nn;
#define NN_VARIANT(storage, kernel, options)                                                                           \
  if (const int type = TypeOf(storage()); type < kStorageTypes) {                                                      \
    Check(tested.count(reinterpret_cast<void (*)()>(target.tables[type].kernel[options])) > 0, "%s %s %s %s: no test", \
          target.name, #storage, #kernel, #options);                                                                   \
  }
#include "kernels/variants.def"
}

}  // namespace

void NoteTested(void (*body)()) { tested.insert(body); }

void groups::kernels() {
  const struct {
    const char* name;
    void (*run)(const Table&, const char*);
  } kTests[] = {
#define NN_TEST(options, result, name, parameters) {#name, test_of::name},
      NN_ELEMENT_KERNELS(NN_TEST) NN_PARAMETER_KERNELS(NN_TEST)
#undef NN_TEST
  };
  for (int target = 0; target < nn::TargetCount(); ++target) {
    const Table& table = nn::TargetAt(target).tables[NN_F32];
    const char* name = nn::TargetAt(target).name;
    for (const auto& test : kTests) test.run(table, name);
    TestStorages(nn::TargetAt(target));
    TestStores(nn::TargetAt(target));
    CheckAllTested(nn::TargetAt(target));
  }
}

}  // namespace nntest
