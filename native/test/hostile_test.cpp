// Problems with any arguments: what the header refuses is refused with a reason, and what it takes runs.
#include <math.h>
#include <stdio.h>

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

std::string TextOf(const nn_problem& p) {
  char text[500];
  snprintf(text, sizeof text,
           "operation %d statistics %d eps %g batch %lld channels %lld spatial %lld groups %lld layout %d threads %d "
           "types %d %d %d affine %d activation %d task %d offset %g together %lld strides %lld %lld %lld %lld",
           p.operation, p.statistics, p.eps, static_cast<long long>(p.batch), static_cast<long long>(p.channels),
           static_cast<long long>(p.spatial), static_cast<long long>(p.groups), p.layout, p.threads, p.src_type,
           p.dst_type, p.parameters_type, p.affine, p.activation, p.task, p.unit_offset,
           static_cast<long long>(p.rows_together), static_cast<long long>(p.src_stride),
           static_cast<long long>(p.dst_stride), static_cast<long long>(p.diff_dst_stride),
           static_cast<long long>(p.diff_src_stride));
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
  const bool rows = p.operation == NN_LAYER || p.operation == NN_RMS;
  if (rows && p.spatial != 1) return "rows";
  if (p.rows_together < 0 || p.rows_together > (rows ? p.batch : 0)) return "together";
  if (p.rows_together != 0 && p.src_type != p.dst_type) return "apart";
  for (int64_t stride : {p.src_stride, p.dst_stride, p.diff_dst_stride, p.diff_src_stride}) {
    if (stride == 0) continue;
    if (p.rows_together == 0 || stride < p.rows_together * p.channels) return "stride";
    const auto steps = static_cast<unsigned __int128>((p.batch - 1) / p.rows_together);
    if (static_cast<unsigned __int128>(stride) * steps > most || stride > static_cast<int64_t>(most)) return "stride";
  }
  if (p.task != NN_BACKWARD && (p.diff_dst_stride != 0 || p.diff_src_stride != 0)) return "stride";
  if (p.unit_offset == 0) return nullptr;
  if (!isfinite(static_cast<float>(p.unit_offset)) || !rows || (p.affine & NN_WEIGHT) == 0) return "offset";
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
    const bool rows = a.operation == NN_LAYER || a.operation == NN_RMS;
    if (IsHostile() || (rows && (a.affine & NN_WEIGHT) != 0)) a.unit_offset = IsHostile() ? all[random_.Bits() % 8] : 1;
    if (IsHostile() || rows) MakeApart(a);
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

  void MakeApart(nn_problem& a) {
    if (a.src_type != a.dst_type && random_.Bits() % 8 != 0) return;
    const auto together = Small();
    a.rows_together = IsHostile() ? Extent() : std::min(a.batch, static_cast<int64_t>(together));
    for (int64_t* stride : {&a.src_stride, &a.dst_stride, &a.diff_dst_stride, &a.diff_src_stride}) {
      const bool used = a.task == NN_BACKWARD || stride == &a.src_stride || stride == &a.dst_stride;
      const auto least = static_cast<uint64_t>(a.rows_together) * static_cast<uint64_t>(a.channels);
      if (IsHostile()) {
        *stride = Extent();
      } else if (used && a.rows_together != 0) {
        *stride = static_cast<int64_t>(least + Small());
      }
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
  size_t elements = shape.Elements();
  for (int64_t stride : {a.src_stride, a.dst_stride, a.diff_dst_stride, a.diff_src_stride}) {
    if (stride > 5000) return true;  // memory that is not there
    const auto groups = a.rows_together == 0 ? 1 : (a.batch - 1) / a.rows_together + 1;
    elements = std::max(elements, static_cast<size_t>(groups * stride));
  }
  std::vector<float> x(elements, 1), y(elements), weight(shape.channels, 1), bias(shape.channels);
  std::vector<double> mean(shape.Units(), 1), variance(shape.Units(), 1), dy(shape.Units()), product(shape.Units());
  nn_operands all = ForwardOperands(x.data(), y.data(), weight.data(), bias.data(), mean.data(), variance.data());
  std::vector<float> means(shape.Units(), 1), variances(shape.Units(), 1), dx(elements);
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

}  // namespace

void groups::hostile() {
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
  Check(wrongs.size() == 19, "%zu kinds of wrong arguments", wrongs.size());
  for (const auto& [wrong, count] : wrongs) Check(count >= 50, "%d cases of wrong %s", count, wrong.c_str());
}

}  // namespace nntest
