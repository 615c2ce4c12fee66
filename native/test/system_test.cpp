// What a thread has for itself lives as long as the thread, whoever started it.
#include "system.h"

#include "check.h"
#include "os.h"

namespace nntest {
namespace {

constexpr int kThreads = 5;

int created = 0;
int kept = 0;
int intact = 0;

// Knows whether its memory is still what it was.
struct Witness {
  const Witness* self = this;

  Witness() { ++created; }
  ~Witness() { intact += self == this; }
};

}  // namespace

void TestSystem() {
  for (int k = 0; k < kThreads; ++k) {
    RunOnForeignThread([] {
      const Witness* witness = nn::OfThisThread<Witness>();
      kept += witness != nullptr && witness == nn::OfThisThread<Witness>();
    });
  }
  Check(created == kThreads && kept == kThreads && intact == kThreads,
        "of %d threads %d created what is their own, %d kept it, %d destroyed it whole", kThreads, created, kept,
        intact);
}

}  // namespace nntest
