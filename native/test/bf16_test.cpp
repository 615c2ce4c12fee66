// bfloat16: its conversions, its kernels, and problems of it. What is computed is what F32 gives for the same numbers,
// rounded once.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "calls.h"
#include "kernel_cases.h"
#include "kernels/targets.h"
#include "nativenorm.h"
#include "platform/system.h"

namespace nntest {
namespace {

using nn::bf16;

constexpr size_t kNumbers = 1 << 16;

float NumberOf(size_t bits) {
  bf16 number;
  number.bits = static_cast<uint16_t>(bits);
  return number;
}

// Each number, and with it what is between it and the next: next to both, and around the middle.
std::vector<float> Floats() {
  std::vector<float> floats;
  for (uint32_t upper = 0; upper < kNumbers; ++upper) {
    for (uint32_t lower : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      const uint32_t bits = upper << 16 | lower;
      float value;
      memcpy(&value, &bits, sizeof value);
      floats.push_back(value);
    }
  }
  return floats;
}

// In doubles, in which the middle between two numbers is exact; infinity stands for 2^128.
float Nearest(float value, uint32_t below) {
  if (std::isnan(value)) return NAN;
  const double size = fabs(double{value}), lower = fabs(double{NumberOf(below)});
  const double upper = (below & 0x7FFF) == 0x7F7F ? 0x1p128 : fabs(double{NumberOf(below + 1)});
  const double middle = (lower + upper) / 2;
  return NumberOf(size > middle || (size == middle && below % 2 == 1) ? below + 1 : below);
}

bool IsSame(float a, float b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

void TestConversions() {
  const std::vector<float> floats = Floats();
  for (size_t i = 0; i < floats.size(); ++i) {
    const uint32_t below = static_cast<uint32_t>(i / 6);
    Check(IsSame(bf16(floats[i]), Nearest(floats[i], below)), "bf16 of %a", double{floats[i]});
  }
}

std::vector<bf16> Rounded(const std::vector<float>& floats) {
  std::vector<bf16> rounded;
  for (float value : floats) rounded.emplace_back(value);
  return rounded;
}

// Whether they are the floats, rounded once.
bool IsRounded(const bf16* found, const std::vector<float>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!IsSame(found[i], bf16(expected[i]))) return false;
  }
  return true;
}

struct Tables {
  const Table& f32;
  const Table& bf16;
};

// Every float as a bias, so that every float is written.
void TestStores(const Tables& tables, const char* target) {
  const std::vector<float> floats = Floats();
  const size_t length = 4099, options = nn::kCentered | nn::kWeight | nn::kBias;
  const std::vector<float> x(Numbers(0).begin(), Numbers(0).begin() + length), weight(length);
  const std::vector<bf16> rounded = Rounded(x);
  const std::vector<float> widened(rounded.begin(), rounded.end());
  for (size_t begin = 0; begin + length <= floats.size(); begin += length) {
    std::vector<float> expected(length);
    std::vector<bf16> found(length);
    const float* bias = floats.data() + begin;
    const nn::RowsToNormalize rows = {true, length,  1,       0,     1,     kEps, weight.data(),
                                      bias, nullptr, nullptr, false, false, false};
    BodyOf(tables.f32.row_normalize, options)(widened.data(), expected.data(), rows);
    BodyOf(tables.bf16.row_normalize, options)(rounded.data(), found.data(), rows);
    Check(IsRounded(found.data(), expected), "row_normalize bf16 %s: floats from %zu on", target, begin);
  }
}

void TestRows(const Tables& tables, const char* target) {
  Memory& memory = TheMemory();
  size_t turn = 0;
  for (size_t length : Lengths()) {
    ForPlaces(target, [&](Place place) {
      const size_t rows = length > 300 ? 1 : 3, n = rows * length;
      for (int flags = 0; flags < 16; ++flags, ++turn) {
        if (length > 300 && turn % 4 != 0) continue;
        const bool weighted = flags & 1, biased = flags & 2, relu = flags & 4, stream = flags & 8;
        const bool in_place = turn % 3 == 1, prefetch = turn % 2 == 0;
        bf16* y = memory.y.Place<bf16>(n, place.side, place.gap);
        bf16* x = in_place ? y : memory.x.Place<bf16>(n, place.side, place.Other(1));
        std::vector<float> widened(n), expected(n);
        for (size_t i = 0; i < n; ++i) widened[i] = x[i] = bf16(Numbers(turn % 2)[i]);
        float* weight = weighted ? memory.parameters[0].Place<float>(length, place.side, place.Other(2)) : nullptr;
        float* bias = biased ? memory.parameters[1].Place<float>(length, place.side, place.Other(3)) : nullptr;
        if (weighted) std::copy_n(Numbers(3).data(), length, weight);
        if (biased) std::copy_n(Numbers(2).data(), length, bias);
        const unsigned options = nn::kCentered | OptionIf(relu, nn::kRelu) | OptionIf(weighted, nn::kWeight) |
                                 OptionIf(biased, nn::kBias);
        const nn::RowsToNormalize to_normalize = {true, length, 1, 0, rows, kEps, weight, bias, nullptr, nullptr,
                                                  relu, prefetch, stream};
        BodyOf(tables.f32.row_normalize, options)(widened.data(), expected.data(), to_normalize);
        BodyOf(tables.bf16.row_normalize, options)(x, y, to_normalize);
        Check(IsRounded(y, expected) && memory.IsIntact(), "row_normalize bf16 %s: rows of %zu, %s, flags %d, turn %zu",
              target, length, Text(place).c_str(), flags, turn);
      }
    });
  }
}

void TestSums(const Tables& tables, const char* target) {
  for (size_t length : Lengths()) {
    ForPlaces(target, [&](Place place) {
      bf16* x = TheMemory().x.Place<bf16>(length, place.side, place.gap);
      std::vector<float> widened(length);
      for (size_t i = 0; i < length; ++i) widened[i] = x[i] = bf16(Numbers(0)[i]);
      for (float pivot : {0.0f, 0.4f}) {
        const nn::PivotSums expected = BodyOf(tables.f32.pivot_sums)(widened.data(), 1, length, 0, pivot);
        const nn::PivotSums found = BodyOf(tables.bf16.pivot_sums)(x, 1, length, 0, pivot);
        Check(found.sum == expected.sum && found.squares == expected.squares, "pivot_sums bf16 %s: %zu, %s", target,
              length, Text(place).c_str());
      }
    });
  }
}

// Rows that floats compute and rows that they do not, one after the other.
std::vector<bf16> Values(size_t rows, size_t length) {
  const float scales[] = {1, 1e-30f, 1e37f, 0, 1e-40f, 1, INFINITY};
  Random random(kSeed + length);
  std::vector<bf16> values;
  for (size_t r = 0; r < rows; ++r) {
    const float scale = scales[r % std::size(scales)];
    for (size_t i = 0; i < length; ++i) values.emplace_back(scale * (3 + static_cast<float>(random.Normal())));
  }
  return values;
}

void TestProblem(size_t rows, size_t length, double eps, int threads, int turn) {
  const bool in_place = turn % 2 == 1;
  nn_problem problem = ProblemOf({NN_LAYER, false, rows, length, 1, 1, eps, turn % 3 == 0}, NN_INFER, false, threads);
  problem.affine = turn % 4;
  const Plan f32(nn_prepare(&problem, nullptr, 0));
  problem.src_type = problem.dst_type = NN_BF16;
  const Plan plan(nn_prepare(&problem, nullptr, 0));
  if (!Check(f32 != nullptr && plan != nullptr, "bf16 %zux%zu: refused", rows, length)) return;
  std::vector<bf16> x = Values(rows, length), y(x.size());
  const std::vector<float> widened(x.begin(), x.end());
  std::vector<float> expected(x.size());
  const float* weight = Numbers(3).data();
  const float* bias = Numbers(2).data();
  const nn_operands floats = ForwardOperands(widened.data(), expected.data(), weight, bias, nullptr, nullptr);
  nn_operands operands = floats;
  operands.src = x.data();
  operands.dst = in_place ? x.data() : y.data();
  const bool ran = nn_execute(f32.get(), &floats) == NN_OK && nn_execute(plan.get(), &operands) == NN_OK;
  Check(ran && IsRounded(static_cast<const bf16*>(operands.dst), expected), "bf16 %s %zux%zu eps %g threads %d turn %d",
        nn_name(plan.get()), rows, length, eps, threads, turn);
}

void TestAllProblems() {
  const size_t shapes[][2] = {{1, 1}, {7, 2}, {9, 5}, {14, 33}, {21, 64}, {7, 255}, {9, 768}, {130, 1024}, {2, 20001}};
  nn_set_workers(2);
  for (size_t bytes : {size_t{0}, size_t{1}}) {  // within the last-level cache, and beyond
    nn::SetLastLevelCacheBytes(bytes);
    int turn = 0;
    for (const auto& shape : shapes) {
      for (double eps : {1e-5, 0.0, 1e-30}) {
        for (int threads : {1, 3}) {
          for (int k = 0; k < 5; ++k) TestProblem(shape[0], shape[1], eps, threads, turn++);
        }
      }
    }
  }
  nn::SetLastLevelCacheBytes(0);
  nn_set_workers(0);
}

}  // namespace

void TestBf16Kernels(const nn::Target& target) {
  const Tables tables = {target.tables[NN_F32], target.tables[NN_BF16]};
  TestStores(tables, target.name);
  TestRows(tables, target.name);
  TestSums(tables, target.name);
}

void TestBf16() {
  TestConversions();
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    TestAllProblems();
  }
}

}  // namespace nntest
