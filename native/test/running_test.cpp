// Running statistics, bit by bit against their formula: the kernel, and nn_update_running.
#include <string.h>

#include <vector>

#include "kernel_cases.h"

namespace nntest {
namespace {

// Numbers whose sums depend on their order, zeros of both signs, and what is not finite.
float Number(Random& random, size_t i) {
  if (i % 31 == 3) return -0.0f;
  if (i % 97 == 5) return i % 2 == 0 ? INFINITY : -INFINITY;
  return static_cast<float>(random.Normal() * pow(10, static_cast<double>(i % 60) - 30));
}

// update(running, batch, samples, channels, share, correction)
template <class Update>
void TestUpdate(const char* who, const Update& update) {
  Random random(310001);
  for (size_t samples : {1, 2, 7}) {
    for (size_t channels : Lengths()) {
      for (double share : {0.0, 0.1, 1.0, 1.0 / 3}) {
        const double correction = 8.0 / 7;
        GuardedMemory running_memory(channels * sizeof(float)), batch_memory(samples * channels * sizeof(float));
        float* running = running_memory.Place<float>(channels, Side::kEnd, 0);
        float* batch = batch_memory.Place<float>(samples * channels, Side::kEnd, 0);
        for (size_t c = 0; c < channels; ++c) running[c] = Number(random, c);
        for (size_t i = 0; i < samples * channels; ++i) batch[i] = Number(random, i);
        std::vector<float> expected;
        for (size_t c = 0; c < channels; ++c) {
          double sum = 0;
          for (size_t sample = 0; sample < samples; ++sample) sum += batch[sample * channels + c];
          const double average = sum / static_cast<double>(samples);
          expected.push_back(static_cast<float>((1 - share) * running[c] + share * correction * average));
        }
        update(running, batch, samples, channels, share, correction);
        bool good = running_memory.IsIntact() && batch_memory.IsIntact();
        for (size_t c = 0; c < channels; ++c) {
          good &= isnan(expected[c]) ? isnan(running[c]) : memcmp(&expected[c], &running[c], sizeof(float)) == 0;
        }
        Check(good, "%s, running statistics: %zu x %zu, share %g", who, samples, channels, share);
      }
    }
  }
}

}  // namespace

void test_of::update_running(const Table& table, const char* target) {
  TestUpdate(target, [&](float* running, const float* batch, size_t samples, size_t channels, double share,
                         double correction) {
    BodyOf(table.update_running)(running, batch, samples, channels, share, share * correction);
  });
}

void groups::running() {
  TestUpdate("nn_update_running", [](float* running, const float* batch, size_t samples, size_t channels, double share,
                                     double correction) {
    const int status = nn_update_running(running, batch, static_cast<int64_t>(samples), static_cast<int64_t>(channels),
                                         share, correction);
    Check(status == NN_OK, "nn_update_running: status %d", status);
  });
  float one = 1, other = 2;
  Check(nn_update_running(nullptr, &one, 1, 1, 0.1, 1) == NN_WRONG_OPERANDS, "no running statistics");
  Check(nn_update_running(&other, nullptr, 1, 1, 0.1, 1) == NN_WRONG_OPERANDS && other == 2, "no batch");
  for (int64_t none : {int64_t{0}, int64_t{-1}, INT64_MIN}) {
    Check(nn_update_running(&other, &one, none, 1, 0.1, 1) == NN_OK &&
              nn_update_running(&other, &one, 1, none, 0.1, 1) == NN_OK && other == 2,
          "an extent of %lld", static_cast<long long>(none));
  }
}

}  // namespace nntest
