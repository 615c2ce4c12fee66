// Gradients as they are wanted: those that are left out change no bit of the others, and are not written; and with
// `accumulate` those of the parameters are added to what is there. All of it is the same some channels at a time.
#include <math.h>
#include <string.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "platform/system.h"
#include "problem_cases.h"
#include "results.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 170003;

// Also units that are constant, or that floats do not compute.
Problem HardProblem(const Shape& shape, size_t turn) {
  Problem problem(shape, kSeed + turn, turn % 3 == 0 ? 100 : 1);
  const float scales[] = {1, 1e-30f, 0, 1e37f, 1e-40f, 1, INFINITY}, of_dy[] = {1, 1e-36f, 1, 1e36f};
  for (size_t n = 0; turn % 2 == 1 && n < shape.batch; ++n) {
    for (size_t c = 0; c < shape.channels; ++c) {
      const size_t unit = shape.Unit(n, c);
      for (size_t s = 0; s < shape.spatial; ++s) {
        problem.x[shape.Offset(n, c, s)] *= scales[unit % std::size(scales)];
        problem.dy[shape.Offset(n, c, s)] *= of_dy[unit % std::size(of_dy)];
      }
    }
  }
  problem.weighted = turn % 4 != 3;
  problem.given = shape.operation == NN_BATCH && turn % 5 == 1;
  return problem;
}

// Elements of a type: floats, or their upper halves, which are numbers of any 16-bit type.
std::vector<char> As(int type, const std::vector<float>& values) {
  const size_t bytes = type == NN_F32 ? sizeof(float) : sizeof(float) / 2;
  std::vector<char> elements(values.size() * bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    memcpy(&elements[i * bytes], reinterpret_cast<const char*>(&values[i]) + sizeof(float) - bytes, bytes);
  }
  return elements;
}

template <class Number>
bool SameBits(const std::vector<Number>& a, const std::vector<Number>& b) {
  return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(Number)) == 0;
}

struct Gradients {
  std::vector<char> src;
  std::vector<float> weight, bias;
  int status = NN_OK;
};

class Backwards {
 public:
  // So many channels at a time, or all if these are 0.
  Backwards(const Problem& problem, int src_type, int dst_type, int threads, size_t together = 0)
      : problem_(problem),
        together_(together),
        src_type_(src_type),
        x_(As(src_type, problem.x)),
        dy_(As(dst_type, problem.dy)),
        y_(dy_.size()),
        mean_(problem.shape.Units(), 0.5f),
        variance_(problem.shape.Units(), 2) {
    nn_operands operands = Operands();
    if (!problem.given) {
      const Plan train = Prepared(Of(NN_TRAIN, dst_type, threads)).plan;
      Execute(train, operands);
    }
    plan_ = Prepared(Of(NN_BACKWARD, dst_type, threads)).plan;
  }

  // What is not wanted is null; all places have a value before.
  Gradients Of(bool src, bool weight, bool bias, bool accumulate) {
    const size_t channels = problem_.shape.channels;
    Gradients g = {std::vector<char>(x_.size(), 85), Before(channels), Before(channels)};
    nn_operands operands = Operands();
    if (src) operands.diff_src = g.src.data();
    if (weight) operands.diff_weight = g.weight.data();
    if (bias) operands.diff_bias = g.bias.data();
    operands.accumulate = accumulate ? 1 : 0;
    g.status = Execute(plan_, operands);
    return g;
  }

  bool HasForwardOf(const Backwards& other) const {
    return SameBits(y_, other.y_) && SameBits(mean_, other.mean_) && SameBits(variance_, other.variance_);
  }

  static std::vector<float> Before(size_t count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = 0.1f + static_cast<float>(i);
    return values;
  }

 private:
  int Execute(const Plan& plan, nn_operands operands) const {
    if (together_ == 0) return nn_execute(plan.get(), &operands);
    int status = NN_OK;
    for (size_t c = 0, count = problem_.shape.channels; c < count; c += together_) {
      operands.first_unit = static_cast<int64_t>(c);
      operands.units = static_cast<int64_t>(std::min(together_, count - c));
      status |= nn_execute(plan.get(), &operands);
    }
    return status;
  }

  nn_problem Of(int task, int dst_type, int threads) const {
    nn_problem problem = ProblemOf(problem_.shape, task, problem_.given, threads);
    problem.src_type = src_type_;
    problem.dst_type = dst_type;
    return problem;
  }

  nn_operands Operands() {
    nn_operands operands = {};
    operands.size = sizeof operands;
    operands.src = x_.data();
    operands.dst = y_.data();
    operands.weight = problem_.Weight();
    operands.mean = mean_.data();
    operands.variance = variance_.data();
    operands.diff_dst = dy_.data();
    return operands;
  }

  const Problem& problem_;
  size_t together_;
  int src_type_;
  std::vector<char> x_, dy_, y_;
  std::vector<float> mean_, variance_;
  Plan plan_;
};

// NaNs are one: which of two a sum has depends on the order of operands that a compiler chose.
bool Same(float a, float b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

void TestSubsets(const Shape& shape, int src_type, int dst_type, int threads, size_t turn) {
  const Problem problem = HardProblem(shape, turn);
  const std::string text = problem.Text() + " types " + std::to_string(src_type) + " " + std::to_string(dst_type) +
                           " threads " + std::to_string(threads) + " turn " + std::to_string(turn);
  // Some of whose diff_src may be infinite alone.
  const bool hard_rows = turn % 2 == 1 && (IsRows(shape.operation) || shape.spatial == 1);
  Backwards backwards(problem, src_type, dst_type, threads);
  const Gradients all = backwards.Of(true, true, true, false), none = backwards.Of(false, false, false, false);
  for (unsigned wanted = 0; wanted < 8; ++wanted) {
    const bool src = (wanted & 1) != 0, weight = (wanted & 2) != 0, bias = (wanted & 4) != 0;
    const Gradients some = backwards.Of(src, weight, bias, false);
    const auto has_src = [&](const Gradients& g) {
      return (hard_rows && wanted == 1) || SameBits(g.src, (src ? all : none).src);
    };
    Check(some.status == NN_OK && has_src(some) && SameBits(some.weight, (weight ? all : none).weight) &&
              SameBits(some.bias, (bias ? all : none).bias),
          "%s: status %d or other bits with%s%s%s", text.c_str(), some.status, src ? " dx" : "",
          weight ? " dweight" : "", bias ? " dbias" : "");
    const Gradients added = backwards.Of(src, weight, bias, true);
    bool right = added.status == NN_OK && has_src(added);
    for (size_t c = 0; c < shape.channels; ++c) {
      const float before = none.weight[c];
      right &= Same(added.weight[c], weight ? before + all.weight[c] : before);
      right &= Same(added.bias[c], bias ? before + all.bias[c] : before);
    }
    Check(right, "%s: status %d or other sums with%s%s%s", text.c_str(), added.status, src ? " dx" : "",
          weight ? " dweight" : "", bias ? " dbias" : "");
  }
}

// Channels that lie apart, in one type; others are refused, as a place in memory tells.
void TestParts(const Shape& shape, int src_type, int dst_type, int threads, size_t turn) {
  const Problem problem = HardProblem(shape, turn);
  const std::string text = problem.Text() + " types " + std::to_string(src_type) + " " + std::to_string(dst_type) +
                           " threads " + std::to_string(threads) + " turn " + std::to_string(turn) + " in parts";
  const bool are_apart = shape.operation == NN_BATCH && shape.layout == NN_CHANNELS_FIRST && shape.spatial > 1;
  Backwards whole(problem, src_type, dst_type, threads);
  Backwards parts(problem, src_type, dst_type, threads, 1 + turn % 4);
  if (!are_apart || src_type != dst_type) {
    const Gradients refused = parts.Of(true, true, true, false), none = whole.Of(false, false, false, false);
    Check(refused.status == NN_WRONG_OPERANDS && SameBits(refused.src, none.src) &&
              SameBits(refused.weight, none.weight) && SameBits(refused.bias, none.bias),
          "%s: status %d", text.c_str(), refused.status);
    return;
  }
  Check(parts.HasForwardOf(whole), "%s: other bits forward", text.c_str());
  for (const bool accumulate : {false, true}) {
    const Gradients expected = whole.Of(true, true, true, accumulate), found = parts.Of(true, true, true, accumulate);
    Check(found.status == NN_OK && SameBits(found.src, expected.src) && SameBits(found.weight, expected.weight) &&
              SameBits(found.bias, expected.bias),
          "%s: status %d or other bits, added %d", text.c_str(), found.status, accumulate);
  }
}

}  // namespace

void groups::wanted() {
  const int types[][2] = {{NN_F32, NN_F32}, {NN_BF16, NN_BF16}, {NN_F16, NN_F16}, {NN_F32, NN_BF16}, {NN_F16, NN_F32}};
  size_t turn = 0;
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    ForOperations([&](int operation, int layout) {
      for (Shape shape : ShapesOf(operation, layout)) {
        for (size_t i = 0; i < 6; ++i, ++turn) {
          shape.relu = turn % 3 == 2;
          const auto& type = types[turn % std::size(types)];
          const int threads = 1 + 2 * static_cast<int>(i % 2);
          TestSubsets(shape, type[0], type[1], threads, turn);
          TestParts(shape, type[0], type[1], threads, turn);
        }
      }
    });
    // Past the cache, with non-temporal stores.
    nn::SetLastLevelCacheBytes(1 << 14);
    for (const Shape& shape : LargeShapes()) {
      TestSubsets(shape, NN_F32, NN_F32, 3, turn);
      TestParts(shape, NN_F32, NN_F32, 3, turn++);
    }
    nn::SetLastLevelCacheBytes(0);
  }
  nn_use_target(nn_targets() - 1);
}

}  // namespace nntest
