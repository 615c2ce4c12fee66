// What nn_prepare takes and what it refuses.
#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "run.h"

namespace nntest {
namespace {

constexpr double kEps = 1e-5;

void TestEach() {
  struct Arguments {
    int operation, direction, statistics, type, layout;
    int64_t batch, channels, spatial, groups;
    int threads;
  };
  const Arguments good = {NN_BATCH, NN_TRAINING, NN_COMPUTED, NN_F32, NN_CHANNELS_FIRST, 2, 6, 5, 1, 1};
  const auto prepare = [](const Arguments& a) {
    return Plan(nn_prepare(a.operation, a.direction, a.statistics, a.type, a.layout, a.batch, a.channels, a.spatial,
                               a.groups, kEps, NN_NONE, a.threads));
  };
  Check(prepare(good) != nullptr, "a good problem is refused");
  const auto refuses = [&](const char* what, auto change) {
    Arguments bad = good;
    change(bad);
    Check(prepare(bad) == nullptr, "prepared although %s", what);
  };
  refuses("the operation is unknown", [](Arguments& a) { a.operation = NN_GROUP + 1; });
  refuses("the operation is negative", [](Arguments& a) { a.operation = -1; });
  refuses("the direction is unknown", [](Arguments& a) { a.direction = NN_BACKWARD + 1; });
  refuses("the type is unknown", [](Arguments& a) { a.type = NN_F32 + 1; });
  refuses("the batch is empty", [](Arguments& a) { a.batch = 0; });
  refuses("there are no channels", [](Arguments& a) { a.channels = 0; });
  refuses("there is nothing spatial", [](Arguments& a) { a.spatial = 0; });
  refuses("the extent is negative", [](Arguments& a) { a.spatial = -5; });
  refuses("there are no groups", [](Arguments& a) { a.groups = 0; });
  refuses("groups do not divide channels", [](Arguments& a) { a.groups = 4; });
  refuses("there are no threads", [](Arguments& a) { a.threads = 0; });
  refuses("group statistics are given", [](Arguments& a) {
    a.operation = NN_GROUP;
    a.statistics = NN_GIVEN;
  });
  Arguments large = good;
  large.spatial = 100000;
  large.threads = 3;
  Check(nn_threads(prepare(large).get()) == 3, "a large problem has %d threads", nn_threads(prepare(large).get()));
  large.spatial = 10;
  Check(nn_threads(prepare(large).get()) == 1, "a small problem has %d threads", nn_threads(prepare(large).get()));
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    const std::string name = std::string(nn_target_name(target)) + " batch_channels_first_f32";
    Check(nn_name(prepare(good).get()) == name, "%s is called %s", name.c_str(), nn_name(prepare(good).get()));
  }
}

// As nn_prepare takes it.
struct Arguments {
  int32_t operation, direction, statistics, type, layout;
  int64_t batch, channels, spatial, groups;
  double eps;
  int32_t activation, threads;

  Plan Prepare() const {
    return Plan(nn_prepare(operation, direction, statistics, type, layout, batch, channels, spatial, groups, eps,
                               activation, threads));
  }

  std::string Text() const {
    char text[400];
    snprintf(text, sizeof text,
             "operation %d direction %d statistics %d type %d layout %d batch %lld channels %lld spatial %lld groups "
             "%lld eps %g activation %d threads %d",
             operation, direction, statistics, type, layout, static_cast<long long>(batch),
             static_cast<long long>(channels), static_cast<long long>(spatial), static_cast<long long>(groups), eps,
             activation, threads);
    return text;
  }
};

// The header's words, with products in 128 bits.
const char* WhatIsWrong(const Arguments& a) {
  const auto outside = [](int32_t value, int32_t first, int32_t last) { return value < first || value > last; };
  if (outside(a.operation, NN_BATCH, NN_GROUP)) return "operation";
  if (outside(a.direction, NN_INFERENCE, NN_BACKWARD)) return "direction";
  if (outside(a.statistics, NN_COMPUTED, NN_GIVEN)) return "statistics";
  if (a.type != NN_F32) return "type";
  if (outside(a.layout, NN_CHANNELS_FIRST, NN_CHANNELS_LAST)) return "layout";
  if (outside(a.activation, NN_NONE, NN_RELU)) return "activation";
  if (outside(a.threads, 1, 65536)) return "threads";
  if (std::min({a.batch, a.channels, a.spatial, a.groups}) < 1) return "extents";
  // Two at a time: three of 2^63 would not fit in 128 bits.
  const auto area = static_cast<unsigned __int128>(a.batch) * static_cast<unsigned __int128>(a.channels);
  const auto most = static_cast<unsigned __int128>(1) << 53;
  if (area > most || area * static_cast<unsigned __int128>(a.spatial) > most) return "elements";
  if (a.channels % a.groups != 0) return "groups";
  if (isnan(a.eps) || isinf(a.eps) || a.eps < 0) return "eps";
  if (a.statistics == NN_GIVEN && a.operation != NN_BATCH) return "given";
  if ((a.operation == NN_LAYER || a.operation == NN_RMS) && a.spatial != 1) return "rows";
  return nullptr;
}

class Hostile {
 public:
  explicit Hostile(uint64_t seed) : random_(seed) {}

  Arguments Next() {
    // From all arguments as they should be to nearly all of them as they come.
    odds_ = static_cast<uint64_t>(1) << random_.Bits() % 8;
    Arguments a;
    a.operation = Choice(NN_GROUP);
    a.direction = Choice(NN_BACKWARD);
    a.statistics = Choice(a.operation == NN_BATCH ? NN_GIVEN : NN_COMPUTED);
    a.type = Choice(NN_F32);
    a.layout = Choice(NN_CHANNELS_LAST);
    a.batch = Extent();
    a.groups = Extent();
    a.channels = IsHostile() ? Extent() : static_cast<int64_t>(static_cast<uint64_t>(a.groups) * Small());
    a.spatial = a.operation == NN_BATCH || a.operation == NN_GROUP ? Extent() : IsHostile() ? Extent() : 1;
    const double all[] = {NAN, INFINITY, -INFINITY, -1e-5, -4.9e-324, 4.9e-324, 0, 1.7e308};
    a.eps = IsHostile() ? all[random_.Bits() % 8] : kEps;
    a.activation = Choice(NN_RELU);
    a.threads = IsHostile() ? Odd(65536) : static_cast<int32_t>(1 + random_.Bits() % 5);
    if (IsHostile()) MakeProductWrap(a);
    return a;
  }

 private:
  bool IsHostile() { return random_.Bits() % (4 * odds_) == 0; }
  uint64_t Small() { return 1 + random_.Bits() % 6; }

  // Near the ends of what is known, and of integers.
  int32_t Odd(int32_t last) {
    const int32_t all[] = {-1, last + 1, last, INT32_MIN, INT32_MAX, 256, static_cast<int32_t>(random_.Bits())};
    return all[random_.Bits() % 7];
  }

  int32_t Choice(int32_t last) {
    return IsHostile() ? Odd(last) : static_cast<int32_t>(random_.Bits() % (static_cast<uint64_t>(last) + 1));
  }

  int64_t Extent() {
    if (!IsHostile()) return static_cast<int64_t>(Small());
    const uint64_t power = uint64_t{1} << random_.Bits() % 64;
    const uint64_t all[] = {0, ~uint64_t{0}, uint64_t{1} << 63, ~uint64_t{0} >> 1, power, power - 1, random_.Bits()};
    return static_cast<int64_t>(all[random_.Bits() % 7]);
  }

  // Extents whose product is small, or one, modulo 2^64.
  void MakeProductWrap(Arguments& a) {
    switch (random_.Bits() % 3) {
      case 0: {
        const uint64_t bits = 1 + random_.Bits() % 62;
        a.batch = static_cast<int64_t>(uint64_t{1} << bits);
        a.channels = static_cast<int64_t>(uint64_t{1} << (64 - bits < 63 ? 64 - bits : 62)) + 1;
        a.groups = 1;
        break;
      }
      case 1:  // 2^64 + 1 = 274177 * 67280421310721
        a.batch = 274177;
        a.channels = 67280421310721;
        a.groups = 1;
        break;
      default:  // exactly as many as there may be, and one row more
        a.batch = (int64_t{1} << 40) + static_cast<int64_t>(random_.Bits() % 2);
        a.channels = a.groups = 1;
        a.spatial = a.operation == NN_BATCH || a.operation == NN_GROUP ? int64_t{1} << 13 : 1;
        break;
    }
  }

  Random random_;
  uint64_t odds_ = 1;
};

// What was prepared can be run, where it is small.
bool Runs(const Arguments& a, const nn_plan* plan) {
  const Shape shape = {a.operation,
                       a.layout,
                       static_cast<size_t>(a.batch),
                       static_cast<size_t>(a.channels),
                       static_cast<size_t>(a.spatial),
                       static_cast<size_t>(a.groups),
                       a.eps,
                       a.activation == NN_RELU};
  std::vector<float> x(shape.Elements(), 1), y(shape.Elements()), mean(shape.Units(), 1), variance(shape.Units(), 1);
  std::vector<float> weight(shape.channels), bias(shape.channels);
  return NN_OK == (a.direction == NN_BACKWARD
                       ? nn_backward(plan, x.data(), x.data(), nullptr, mean.data(), variance.data(), x.data(),
                                     y.data(), weight.data(), bias.data())
                       : nn_forward(plan, x.data(), y.data(), nullptr, nullptr, mean.data(), variance.data()));
}

void TestHostile() {
  const uint64_t seed = SeedOr(24655);
  constexpr int kCases = 200000;
  Hostile hostile(seed);
  std::vector<std::pair<std::string, int>> wrongs;
  int valid = 0, ran = 0;
  for (int k = 0; k < kCases; ++k) {
    const Arguments a = hostile.Next();
    const char* wrong = WhatIsWrong(a);
    const Plan plan = a.Prepare();
    Check((plan != nullptr) == (wrong == nullptr), "seed %llu case %d %s: %s", static_cast<unsigned long long>(seed),
          k, a.Text().c_str(), wrong == nullptr ? "refused" : wrong);
    if (wrong != nullptr) {
      const auto known = std::find_if(wrongs.begin(), wrongs.end(), [&](const auto& w) { return w.first == wrong; });
      if (known == wrongs.end()) {
        wrongs.emplace_back(wrong, 1);
      } else {
        ++known->second;
      }
      continue;
    }
    ++valid;
    if (plan == nullptr) continue;
    const int threads = nn_threads(plan.get());
    Check(threads >= 1 && threads <= std::min(a.threads, 256), "seed %llu case %d: %d threads",
          static_cast<unsigned long long>(seed), k, threads);
    if (static_cast<double>(a.batch) * static_cast<double>(a.channels) * static_cast<double>(a.spatial) < 5000) {
      ++ran;
      Check(Runs(a, plan.get()), "seed %llu case %d %s: no memory", static_cast<unsigned long long>(seed), k,
            a.Text().c_str());
    }
  }
  Check(valid >= kCases / 10 && ran >= kCases / 20, "%d of %d cases are valid, %d ran", valid, kCases, ran);
  Check(wrongs.size() == 13, "%zu kinds of wrong arguments", wrongs.size());
  for (const auto& [wrong, count] : wrongs) Check(count >= 50, "%d cases of wrong %s", count, wrong.c_str());
}

}  // namespace

void TestPrepare() {
  TestEach();
  TestHostile();
}

}  // namespace nntest
