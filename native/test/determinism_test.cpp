// The same bits come out whoever does the work, as long as the problem is prepared for as many threads.
#include <string.h>

#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "run.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 90001;
constexpr double kEps = 1e-5;
constexpr int kThreads = 3;
constexpr int kRepetitions = 20;
constexpr int kCallers = 8;

// All that a forward and a backward run write.
struct Results {
  std::vector<float> y, mean, variance, diff_src, diff_weight, diff_bias;

  bool operator==(const Results& other) const {
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    return same(y, other.y) && same(mean, other.mean) && same(variance, other.variance) &&
           same(diff_src, other.diff_src) && same(diff_weight, other.diff_weight) && same(diff_bias, other.diff_bias);
  }
};

struct Kernels {
  Prepared forward, backward;

  explicit Kernels(const Shape& shape)
      : forward(Prepare(shape, NN_TRAINING, false, kThreads)), backward(Prepare(shape, NN_BACKWARD, false, kThreads)) {}

  Results Run(const Problem& p) const {
    const size_t n = p.shape.Elements(), units = p.shape.Units(), channels = p.shape.channels;
    Results r = {std::vector<float>(n), std::vector<float>(units),    std::vector<float>(units),
                 std::vector<float>(n), std::vector<float>(channels), std::vector<float>(channels)};
    nn_forward(forward.get(), p.x.data(), r.y.data(), p.Weight(), p.Bias(), r.mean.data(), r.variance.data());
    nn_backward(backward.get(), p.x.data(), r.y.data(), p.Weight(), r.mean.data(), r.variance.data(), p.dy.data(),
                r.diff_src.data(), r.diff_weight.data(), r.diff_bias.data());
    return r;
  }
};

}  // namespace

void TestDeterminism() {
  const Shape kShapes[] = {{NN_BATCH, NN_CHANNELS_FIRST, 1, 3, 34000, 1, kEps, true},
                           {NN_BATCH, NN_CHANNELS_FIRST, 4, 16, 1601, 1, kEps, false},
                           {NN_BATCH, NN_CHANNELS_LAST, 2, 5, 10007, 1, kEps, true},
                           {NN_BATCH, NN_CHANNELS_LAST, 2, 128, 401, 1, kEps, false},
                           {NN_GROUP, NN_CHANNELS_FIRST, 1, 4, 25001, 2, kEps, false},
                           {NN_GROUP, NN_CHANNELS_FIRST, 8, 8, 1601, 8, kEps, true},
                           {NN_GROUP, NN_CHANNELS_LAST, 1, 6, 17001, 2, kEps, false},
                           {NN_GROUP, NN_CHANNELS_LAST, 9, 32, 401, 8, kEps, true},
                           {NN_GROUP, NN_CHANNELS_FIRST, 300, 340, 1, 10, kEps, true},
                           {NN_LAYER, NN_CHANNELS_FIRST, 131, 770, 1, 1, kEps, false},
                           {NN_LAYER, NN_CHANNELS_FIRST, 2, 51001, 1, 1, kEps, true},
                           {NN_RMS, NN_CHANNELS_FIRST, 131, 770, 1, 1, kEps, true}};
  uint64_t seed = kSeed;
  size_t turn = 0;
  for (const Shape& shape : kShapes) {
    const Problem problem(shape, ++seed, 1);
    const int target = static_cast<int>(turn++ % static_cast<size_t>(nn_targets()));
    nn_use_target(target);
    const std::string text = std::string(nn_target_name(target)) + " " + problem.Text();
    const Kernels kernels(shape);
    Check(nn_threads(kernels.forward.get()) == kThreads, "%s: %d threads", text.c_str(),
          nn_threads(kernels.forward.get()));
    nn_set_workers(0);
    const Results alone = kernels.Run(problem);
    nn_set_workers(kThreads);
    int others = 0;
    for (int k = 0; k < kRepetitions; ++k) others += !(kernels.Run(problem) == alone);
    Check(others == 0, "%s: with helpers, %d of %d results are others than without", text.c_str(), others,
          kRepetitions);
    std::vector<std::thread> callers;
    std::vector<int> wrong(kCallers);
    for (int& count : wrong) {
      callers.emplace_back([&] {
        for (int k = 0; k < 3; ++k) count += !(kernels.Run(problem) == alone);
      });
    }
    for (std::thread& caller : callers) caller.join();
    for (int caller = 0; caller < kCallers; ++caller) {
      Check(wrong[caller] == 0, "%s: of %d callers at once, one got %d other results", text.c_str(), kCallers,
            wrong[caller]);
    }
  }
  nn_set_workers(0);
}

}  // namespace nntest
