// What nn_prepare takes and what it refuses, and why.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "kernels/kernels.h"
#include "run.h"

namespace nntest {
namespace {

constexpr double kEps = 1e-5;
constexpr Shape kGood = {NN_BATCH, NN_CHANNELS_FIRST, 2, 6, 5, 1, kEps, false};

// What came of preparing a problem: a plan or a reason.
struct Prepared {
  Plan plan;
  std::string reason;

  explicit Prepared(const nn_problem* problem) {
    char text[200] = "left as it was";
    plan.reset(nn_prepare(problem, text, sizeof text));
    reason = text;
  }
  explicit Prepared(const nn_problem& problem) : Prepared(&problem) {}
};

// Each thing that can be wrong by itself, with its reason.
void TestReasons() {
  const nn_problem good = ProblemOf(kGood, NN_TRAIN, false, 1);
  const Prepared prepared(good);
  Check(prepared.plan != nullptr && prepared.reason.empty(), "a good problem: %s", prepared.reason.c_str());
  const auto refuses = [&](const char* reason, auto change) {
    nn_problem bad = good;
    change(bad);
    const Prepared refused(bad);
    Check(refused.plan == nullptr && refused.reason == reason, "%s instead of %s",
          refused.plan != nullptr ? "prepared" : refused.reason.c_str(), reason);
  };
  refuses("operation is 4, expected 0 to 3", [](nn_problem& p) { p.operation = NN_GROUP + 1; });
  refuses("operation is -1, expected 0 to 3", [](nn_problem& p) { p.operation = -1; });
  refuses("statistics is 2, expected 0 to 1", [](nn_problem& p) { p.statistics = NN_GIVEN + 1; });
  refuses("layout is 2, expected 0 to 1", [](nn_problem& p) { p.layout = NN_CHANNELS_LAST + 1; });
  refuses("src_type is 6, expected 0 to 5", [](nn_problem& p) { p.src_type = NN_I64 + 1; });
  refuses("dst_type is -3, expected 0 to 5", [](nn_problem& p) { p.dst_type = -3; });
  refuses("parameters_type is 7, expected 0 to 5", [](nn_problem& p) { p.parameters_type = 7; });
  refuses("computes F32, BF16 and F16 only, not S8", [](nn_problem& p) { p.src_type = NN_S8; });
  refuses("computes F32, BF16 and F16 only, not U8", [](nn_problem& p) { p.dst_type = NN_U8; });
  if (nn::kStorageTypes > 2) {  // instrumented there are fewer
    refuses("computes two types only where one is F32, not BF16 to F16", [](nn_problem& p) {
      p.src_type = NN_BF16;
      p.dst_type = NN_F16;
    });
  }
  refuses("computes with parameters in F32 only, not I64", [](nn_problem& p) { p.parameters_type = NN_I64; });
  refuses("affine is 4, expected 0 to 3", [](nn_problem& p) { p.affine = 4; });
  refuses("activation is 2, expected 0 to 1", [](nn_problem& p) { p.activation = NN_RELU + 1; });
  refuses("task is 7, expected 0 to 6", [](nn_problem& p) { p.task = NN_APPLY_GRADIENTS + 1; });
  refuses("threads is 0, expected 1 to 65536", [](nn_problem& p) { p.threads = 0; });
  refuses("batch is 0, expected 1 or more", [](nn_problem& p) { p.batch = 0; });
  refuses("channels is 0, expected 1 or more", [](nn_problem& p) { p.channels = 0; });
  refuses("spatial is -5, expected 1 or more", [](nn_problem& p) { p.spatial = -5; });
  refuses("groups is 0, expected 1 or more", [](nn_problem& p) { p.groups = 0; });
  refuses("1099511627776 x 6 x 8192 elements are more than 2^53", [](nn_problem& p) {
    p.batch = int64_t{1} << 40;
    p.spatial = 1 << 13;
  });
  refuses("6 channels cannot be divided into 4 groups", [](nn_problem& p) { p.groups = 4; });
  refuses("eps is -1, expected a finite number, 0 or more", [](nn_problem& p) { p.eps = -1; });
  refuses("eps is inf, expected a finite number, 0 or more", [](nn_problem& p) { p.eps = INFINITY; });
  refuses("statistics are given to batch normalization only", [](nn_problem& p) {
    p.operation = NN_GROUP;
    p.statistics = NN_GIVEN;
  });
  refuses("spatial is 5, but rows have no more than a batch and channels", [](nn_problem& p) { p.operation = NN_RMS; });
  for (int task = NN_MEASURE; task <= NN_APPLY_GRADIENTS; ++task) {
    refuses("only batch normalization is computed in phases", [&](nn_problem& p) {
      p.operation = NN_GROUP;
      p.task = task;
    });
    refuses("statistics are given to none of the phases", [&](nn_problem& p) {
      p.statistics = NN_GIVEN;
      p.task = task;
    });
  }
  refuses("the size of nn_problem is 0, expected 88", [](nn_problem& p) { p.size = 0; });
  refuses("the size of nn_problem is 7, expected 88", [](nn_problem& p) { p.size = 7; });
  refuses("the size of nn_problem is 4097, expected 88", [](nn_problem& p) { p.size = 4097; });
}

// There may be no room for a reason, or for a part of it.
void TestRoom() {
  nn_problem bad = ProblemOf(kGood, NN_TRAIN, false, 1);
  bad.batch = 0;
  const std::string whole = Prepared(bad).reason;
  for (size_t room = 0; room <= whole.size() + 2; ++room) {
    char text[100];
    memset(text, '#', sizeof text);
    Check(nn_prepare(&bad, text, room) == nullptr, "prepared");
    Check(room == 0 || text == whole.substr(0, room - 1), "a room of %zu has %s", room, text);
    Check(std::all_of(text + room, text + sizeof text, [](char c) { return c == '#'; }), "behind a room of %zu", room);
  }
  Check(nn_prepare(&bad, nullptr, 100) == nullptr, "prepared");
}

// Callers that were compiled with a header of another version.
void TestSizes() {
  struct {
    nn_problem problem;
    char more[40];
  } later = {ProblemOf(kGood, NN_TRAIN, false, 1), {}};
  for (size_t more = 0; more <= sizeof later.more; ++more) {
    later.problem.size = sizeof(nn_problem) + more;
    Check(Prepared(&later.problem).plan != nullptr, "refused with %zu zeros that are not known", more);
    if (more == 0) continue;
    later.more[more - 1] = 1;
    const Prepared refused(&later.problem);
    Check(
        refused.plan == nullptr && refused.reason == "nn_problem has something behind the 88 bytes that are known here",
        "byte %zu that is not known is 1: %s", more - 1, refused.reason.c_str());
    later.more[more - 1] = 0;
  }
  later.problem.size = sizeof(nn_problem);
  later.more[0] = 1;
  Check(Prepared(&later.problem).plan != nullptr, "what is behind a problem was looked at");

  // What an older caller does not have is 0: here inference, of floats, without parameters and activation.
  nn_problem earlier = ProblemOf(kGood, 99, false, 1);
  earlier.size = offsetof(nn_problem, src_type);
  earlier.src_type = earlier.dst_type = earlier.parameters_type = earlier.affine = earlier.activation = 99;
  const Prepared prepared(earlier);
  if (!Check(prepared.plan != nullptr, "an earlier problem: %s", prepared.reason.c_str())) return;
  const Problem data(kGood, 1);
  std::vector<float> y(kGood.Elements()), expected(kGood.Elements());
  Check(Forward(prepared.plan, data.x.data(), y.data(), data.Weight(), data.Bias(), nullptr, nullptr) == NN_OK,
        "an earlier problem is not run");
  Forward(Prepare(kGood, NN_INFER, false, 1), data.x.data(), expected.data(), nullptr, nullptr, nullptr, nullptr);
  Check(y == expected, "an earlier problem has weight, bias or activation");
  for (size_t size = sizeof earlier.size; size <= offsetof(nn_problem, threads); ++size) {
    earlier.size = size;
    Check(Prepared(earlier).plan == nullptr, "prepared %zu bytes, without threads", size);
  }
}

void TestThreadsAndNames() {
  Shape large = kGood;
  large.spatial = 100000;
  const auto threads = [](const Shape& shape) { return nn_threads(Prepare(shape, NN_TRAIN, false, 3).get()); };
  Check(threads(large) == 3, "a large problem has %d threads", threads(large));
  large.spatial = 10;
  Check(threads(large) == 1, "a small problem has %d threads", threads(large));
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    const std::string name = std::string(nn_target_name(target)) + " batch_channels_first_f32";
    const Plan plan = Prepare(kGood, NN_TRAIN, false, 1);
    Check(nn_name(plan.get()) == name, "%s is called %s", name.c_str(), nn_name(plan.get()));
  }
}

std::string TextOf(const nn_problem& p) {
  char text[500];
  snprintf(text, sizeof text,
           "operation %d statistics %d eps %g batch %lld channels %lld spatial %lld groups %lld layout %d threads %d "
           "types %d %d %d affine %d activation %d task %d",
           p.operation, p.statistics, p.eps, static_cast<long long>(p.batch), static_cast<long long>(p.channels),
           static_cast<long long>(p.spatial), static_cast<long long>(p.groups), p.layout, p.threads, p.src_type,
           p.dst_type, p.parameters_type, p.affine, p.activation, p.task);
  return text;
}

constexpr int kLastType = nn::kStorageTypes - 1;

// The header's words, with products in 128 bits.
const char* WhatIsWrong(const nn_problem& p) {
  const auto outside = [](int32_t value, int32_t first, int32_t last) { return value < first || value > last; };
  if (outside(p.operation, NN_BATCH, NN_GROUP)) return "operation";
  if (outside(p.task, NN_INFER, NN_APPLY_GRADIENTS)) return "task";
  if (outside(p.statistics, NN_COMPUTED, NN_GIVEN)) return "statistics";
  if (outside(p.src_type, NN_F32, kLastType) || outside(p.dst_type, NN_F32, kLastType)) return "type";
  if ((p.src_type != p.dst_type && p.src_type != NN_F32 && p.dst_type != NN_F32) || p.parameters_type != NN_F32)
    return "type";
  if (outside(p.layout, NN_CHANNELS_FIRST, NN_CHANNELS_LAST)) return "layout";
  if (outside(p.affine, 0, NN_WEIGHT + NN_BIAS)) return "affine";
  if (outside(p.activation, NN_NONE, NN_RELU)) return "activation";
  if (outside(p.threads, 1, 65536)) return "threads";
  if (std::min({p.batch, p.channels, p.spatial, p.groups}) < 1) return "extents";
  // Two at a time: three of 2^63 would not fit in 128 bits.
  const auto area = static_cast<unsigned __int128>(p.batch) * static_cast<unsigned __int128>(p.channels);
  const auto most = static_cast<unsigned __int128>(1) << 53;
  if (area > most || area * static_cast<unsigned __int128>(p.spatial) > most) return "elements";
  if (p.channels % p.groups != 0) return "groups";
  if (isnan(p.eps) || isinf(p.eps) || p.eps < 0) return "eps";
  if (p.task >= NN_MEASURE && (p.operation != NN_BATCH || p.statistics == NN_GIVEN)) return "phase";
  if (p.statistics == NN_GIVEN && p.operation != NN_BATCH) return "given";
  if ((p.operation == NN_LAYER || p.operation == NN_RMS) && p.spatial != 1) return "rows";
  return nullptr;
}

class Hostile {
 public:
  explicit Hostile(uint64_t seed) : random_(seed) {}

  nn_problem Next() {
    // From all arguments as they should be to nearly all of them as they come.
    odds_ = static_cast<uint64_t>(1) << random_.Bits() % 8;
    nn_problem a = {};
    a.size = sizeof a;
    a.operation = Choice(NN_GROUP);
    a.task = Choice(a.operation == NN_BATCH ? NN_APPLY_GRADIENTS : NN_BACKWARD);
    a.statistics = Choice(a.operation == NN_BATCH && a.task < NN_MEASURE ? NN_GIVEN : NN_COMPUTED);
    a.src_type = Choice(kLastType);
    a.dst_type = IsHostile() ? Choice(kLastType) : a.src_type;
    a.parameters_type = Choice(NN_F32);
    a.affine = Choice(NN_WEIGHT + NN_BIAS);
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
  void MakeProductWrap(nn_problem& a) {
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
bool Runs(const nn_problem& a, const Plan& plan) {
  const Shape shape = {a.operation,
                       a.layout,
                       static_cast<size_t>(a.batch),
                       static_cast<size_t>(a.channels),
                       static_cast<size_t>(a.spatial),
                       static_cast<size_t>(a.groups),
                       a.eps,
                       a.activation == NN_RELU};
  std::vector<float> x(shape.Elements(), 1), y(shape.Elements()), weight(shape.channels, 1), bias(shape.channels);
  std::vector<double> mean(shape.Units(), 1), variance(shape.Units(), 1), dy(shape.Units()), product(shape.Units());
  nn_operands all = ForwardOperands(x.data(), y.data(), weight.data(), bias.data(), mean.data(), variance.data());
  std::vector<float> means(shape.Units(), 1), variances(shape.Units(), 1), dx(shape.Elements());
  if (a.task < NN_MEASURE) {
    all.mean = means.data();
    all.variance = variances.data();
  }
  all.diff_dst = x.data();
  all.diff_src = dx.data();
  all.diff_weight = weight.data();
  all.diff_bias = bias.data();
  all.sum_dy = dy.data();
  all.sum_dy_centered = product.data();
  all.count = 1;
  return nn_execute(plan.get(), &all) == NN_OK;
}

void TestHostile() {
  const uint64_t seed = SeedOr(24655);
  constexpr int kCases = 200000;
  Hostile hostile(seed);
  std::vector<std::pair<std::string, int>> wrongs;
  int valid = 0, ran = 0;
  for (int k = 0; k < kCases; ++k) {
    const nn_problem a = hostile.Next();
    const char* wrong = WhatIsWrong(a);
    const Prepared prepared(a);
    const Plan& plan = prepared.plan;
    Check((plan != nullptr) == (wrong == nullptr) && prepared.reason.empty() == (wrong == nullptr),
          "seed %llu case %d %s: %s", static_cast<unsigned long long>(seed), k, TextOf(a).c_str(),
          wrong == nullptr ? prepared.reason.c_str() : wrong);
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
      Check(Runs(a, plan), "seed %llu case %d %s: no memory", static_cast<unsigned long long>(seed), k,
            TextOf(a).c_str());
    }
  }
  Check(valid >= kCases / 10 && ran >= kCases / 20, "%d of %d cases are valid, %d ran", valid, kCases, ran);
  Check(wrongs.size() == 15, "%zu kinds of wrong arguments", wrongs.size());
  for (const auto& [wrong, count] : wrongs) Check(count >= 50, "%d cases of wrong %s", count, wrong.c_str());
}

}  // namespace

void groups::prepare() {
  TestReasons();
  TestRoom();
  TestSizes();
  TestThreadsAndNames();
  TestHostile();
}

}  // namespace nntest
