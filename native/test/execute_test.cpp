// What nn_execute makes of operands that are there or not.
#include <math.h>
#include <string.h>

#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "plan/variants.h"
#include "platform/system.h"
#include "run.h"

namespace nntest {
namespace {

constexpr double kEps = 1e-5;
const char* const kTasks[] = {"infer", "train", "backward", "measure", "apply", "sum gradients", "apply gradients"};

// Memory that is neither read nor written.
void* const kNowhere = reinterpret_cast<void*>(64);

// All that a task may name, of one problem.
struct Data {
  Problem problem;
  Truth truth;
  std::vector<float> y, dx, mean, variance, diff_weight, diff_bias;
  std::vector<double> means, variances, sum_dy, sum_dy_centered;

  explicit Data(const Shape& shape)
      : problem(shape, 4712),
        truth(problem),
        y(truth.output),
        dx(shape.Elements()),
        mean(truth.mean),
        variance(truth.variance),
        diff_weight(shape.channels),
        diff_bias(shape.channels),
        means(truth.statistics.mean),
        variances(truth.statistics.variance),
        sum_dy(shape.Units()),
        sum_dy_centered(shape.Units()) {}

  nn_operands Operands(int task) {
    const bool phase = task >= NN_MEASURE;
    nn_operands all = ForwardOperands(problem.x.data(), y.data(), problem.Weight(), problem.Bias(),
                                      phase ? static_cast<void*>(means.data()) : mean.data(),
                                      phase ? static_cast<void*>(variances.data()) : variance.data());
    all.diff_dst = problem.dy.data();
    all.diff_src = dx.data();
    all.diff_weight = diff_weight.data();
    all.diff_bias = diff_bias.data();
    all.sum_dy = sum_dy.data();
    all.sum_dy_centered = sum_dy_centered.data();
    all.count = static_cast<double>(problem.shape.Values());
    return all;
  }

  bool operator==(const Data& other) const {
    return y == other.y && dx == other.dx && mean == other.mean && variance == other.variance &&
           diff_weight == other.diff_weight && diff_bias == other.diff_bias && means == other.means &&
           variances == other.variances && sum_dy == other.sum_dy && sum_dy_centered == other.sum_dy_centered;
  }
};

enum class Need { kNamed, kOptional, kNone };

struct Operand {
  const char* name;
  size_t offset;
  Need need[NN_APPLY_GRADIENTS + 1];  // of each task
};

constexpr Need R = Need::kNamed, O = Need::kOptional, N = Need::kNone;
// The header's words, of batch normalization with computed statistics and an activation.
constexpr Operand kOperands[] = {
    {"src", offsetof(nn_operands, src), {R, R, R, R, R, R, R}},
    {"dst", offsetof(nn_operands, dst), {R, R, R, N, R, R, R}},
    {"weight", offsetof(nn_operands, weight), {O, O, O, N, O, N, O}},
    {"bias", offsetof(nn_operands, bias), {O, O, N, N, O, N, N}},
    {"mean", offsetof(nn_operands, mean), {O, O, R, R, R, R, R}},
    {"variance", offsetof(nn_operands, variance), {O, O, R, R, R, N, R}},
    {"diff_dst", offsetof(nn_operands, diff_dst), {N, N, R, N, N, R, R}},
    {"diff_src", offsetof(nn_operands, diff_src), {N, N, O, N, N, N, R}},
    {"diff_weight", offsetof(nn_operands, diff_weight), {N, N, O, N, N, N, N}},
    {"diff_bias", offsetof(nn_operands, diff_bias), {N, N, O, N, N, N, N}},
    {"sum_dy", offsetof(nn_operands, sum_dy), {N, N, N, N, N, R, R}},
    {"sum_dy_centered", offsetof(nn_operands, sum_dy_centered), {N, N, N, N, N, R, R}},
};

Need NeedOf(const Operand& operand, const Shape& shape, int task, bool given) {
  const std::string name = operand.name;
  const bool statistics = name == "mean" || name == "variance";
  if (name == "dst" && task != NN_INFER && task != NN_TRAIN && task != NN_APPLY && !shape.relu) return N;
  if (name == "mean" && shape.operation == NN_RMS) return N;
  if (statistics && given && task <= NN_TRAIN) return R;
  return operand.need[task];
}

void Set(nn_operands& operands, const Operand& operand, void* pointer) {
  memcpy(reinterpret_cast<char*>(&operands) + operand.offset, &pointer, sizeof pointer);
}

// Each operand is null once, and once it points nowhere.
void TestEach(const Shape& shape, int task, bool given) {
  const Plan plan = Prepare(shape, task, given, 1);
  const std::string text = shape.Name() + " " + kTasks[task] + (given ? " given" : "");
  Data expected(shape);
  const nn_operands all = expected.Operands(task);
  if (!Check(nn_execute(plan.get(), &all) == NN_OK, "%s: does not run", text.c_str())) return;
  for (const Operand& operand : kOperands) {
    const Need need = NeedOf(operand, shape, task, given);
    Data data(shape);
    const Data before = data;
    nn_operands without = data.Operands(task);
    Set(without, operand, nullptr);
    const int status = nn_execute(plan.get(), &without);
    Check(status == (need == R ? NN_WRONG_OPERANDS : NN_OK), "%s without %s: status %d", text.c_str(), operand.name,
          status);
    if (need == R) Check(data == before, "%s without %s: something was written", text.c_str(), operand.name);
    if (need != N) continue;
    Check(data == expected, "%s without %s: other results", text.c_str(), operand.name);
    nn_operands elsewhere = data.Operands(task);
    Set(elsewhere, operand, kNowhere);
    Check(nn_execute(plan.get(), &elsewhere) == NN_OK, "%s looks at %s", text.c_str(), operand.name);
  }
  if (task != NN_APPLY_GRADIENTS) return;
  for (double count : {0.0, -1.0, static_cast<double>(NAN)}) {
    Data data(shape);
    nn_operands operands = data.Operands(task);
    operands.count = count;
    Check(nn_execute(plan.get(), &operands) == NN_WRONG_OPERANDS, "%s of %g values", text.c_str(), count);
  }
}

// A parameter that the problem does not have is not read; one that it has may be null.
void TestAffine(const Shape& shape) {
  for (int task : {NN_TRAIN, NN_BACKWARD, NN_APPLY, NN_APPLY_GRADIENTS}) {
    if (task >= NN_MEASURE && shape.operation != NN_BATCH) continue;
    for (int affine = 0; affine <= NN_WEIGHT + NN_BIAS; ++affine) {
      nn_problem problem = ProblemOf(shape, task, false, 1);
      problem.affine = affine;
      const Plan plan(nn_prepare(&problem, nullptr, 0)), both = Prepare(shape, task, false, 1);
      Data data(shape), expected(shape);
      nn_operands operands = data.Operands(task), nulls = expected.Operands(task);
      if ((affine & NN_WEIGHT) == 0) {
        operands.weight = kNowhere;
        nulls.weight = nullptr;
      }
      if ((affine & NN_BIAS) == 0) {
        operands.bias = kNowhere;
        nulls.bias = nullptr;
      }
      const int status = nn_execute(plan.get(), &operands) | nn_execute(both.get(), &nulls);
      Check(status == NN_OK && data == expected, "%s %s affine %d: status %d or other results", shape.Name().c_str(),
            kTasks[task], affine, status);
    }
  }
}

// Callers that were compiled with a header of another version.
void TestSizes(const Shape& shape) {
  const Plan plan = Prepare(shape, NN_TRAIN, false, 1);
  const auto run = [&](size_t size, char more, Data& data) {
    struct {
      nn_operands operands;
      char more[24];
    } later = {data.Operands(NN_TRAIN), {}};
    later.operands.size = size;
    later.more[sizeof later.more - 1] = more;
    return nn_execute(plan.get(), &later.operands);
  };
  Data expected(shape);
  run(sizeof(nn_operands), 1, expected);  // which is behind it
  Data larger(shape);
  Check(run(sizeof(nn_operands) + 24, 0, larger) == NN_OK && larger == expected, "%s: larger operands with zeros",
        shape.Name().c_str());
  for (size_t size : {size_t{0}, size_t{7}, sizeof(nn_operands) + 24, size_t{4097}, SIZE_MAX}) {
    Data data(shape);
    const Data before = data;
    Check(run(size, 1, data) == NN_WRONG_OPERANDS && data == before, "%s: operands of %zu bytes", shape.Name().c_str(),
          size);
  }
  // Without the last fields: they are null.
  Data smaller(shape), without(shape);
  Check(run(offsetof(nn_operands, bias), 0, smaller) == NN_OK, "%s: smaller operands", shape.Name().c_str());
  Forward(plan, without.problem.x.data(), without.y.data(), without.problem.Weight(), nullptr, nullptr, nullptr);
  Check(smaller == without, "%s: smaller operands have a bias or statistics", shape.Name().c_str());
  Check(run(offsetof(nn_operands, dst), 0, smaller) == NN_WRONG_OPERANDS, "%s: operands without dst",
        shape.Name().c_str());
}

// Each body is taken out of the table in turn: a plan that may call it is refused, every other one runs without it.
void TestMissing(const Shape& shape, int task, bool given) {
  const Plan plan = Prepare(shape, task, given, 1);
  const std::string text = shape.Name() + " " + kTasks[task] + (given ? " given" : "");
  Data expected(shape);
  const nn_operands all = expected.Operands(task);
  nn_execute(plan.get(), &all);
  const nn::KernelTable& table = *plan->kernels;
  constexpr size_t kBodies = sizeof table / sizeof(void*);
  size_t refused = 0;
  for (size_t i = 0; i < kBodies; ++i) {
    nn::KernelTable without = table;
    memset(reinterpret_cast<char*>(&without) + i * sizeof(void*), 0, sizeof(void*));
    if (memcmp(&without, &table, sizeof table) == 0) continue;  // there is none
    plan->kernels = &without;
    if (nn::MissingKernel(*plan) != nullptr) {
      ++refused;
    } else {
      Data data(shape);
      const nn_operands operands = data.Operands(task);
      Check(nn_execute(plan.get(), &operands) == NN_OK && data == expected, "%s: body %zu is missed", text.c_str(), i);
    }
    plan->kernels = &table;
  }
  // Two to six kernels, of eight bodies each at most.
  Check(refused >= 1 && refused <= 20, "%s: %zu bodies are said to be called", text.c_str(), refused);
}

// Results go past the cache where tensors take more than half of it, and more than 90 MB of any.
void TestStreams() {
  const struct {
    size_t cache_megabytes, spatial;
    bool streams;
  } cases[] = {{32, 16, false}, {32, 17, true}, {480, 90, false}, {480, 91, true}};
  for (const auto& c : cases) {
    nn::SetLastLevelCacheBytes(c.cache_megabytes << 20);
    const Shape shape = {NN_BATCH, NN_CHANNELS_FIRST, 1, 1 << 17, c.spatial, 1, kEps, false};  // of 8 bytes each
    const Plan plan = Prepare(shape, NN_TRAIN, false, 1);
    Check(plan->Streams(8, false) == c.streams && !plan->Streams(8, true), "%zu MB of a cache of %zu", c.spatial,
          c.cache_megabytes);
  }
  // As runs that are whole cache lines, or long.
  const Shape shape = {NN_BATCH, NN_CHANNELS_FIRST, 1, 1, 1 << 10, 1, kEps, false};
  nn::SetLastLevelCacheBytes(2 << 12);
  const Plan plan = Prepare(shape, NN_TRAIN, false, 1);
  for (size_t length : {16, 48, 256, 257}) {
    Check(plan->StreamsRuns(8, false, length) && !plan->StreamsRuns(8, true, length), "runs of %zu", length);
  }
  for (size_t length : {15, 17, 49, 255}) Check(!plan->StreamsRuns(8, false, length), "runs of %zu", length);
  nn::SetLastLevelCacheBytes(0);
}

}  // namespace

void groups::execute() {
  TestStreams();
  for (bool relu : {false, true}) {
    for (const Shape& shape : {Shape{NN_BATCH, NN_CHANNELS_FIRST, 3, 5, 7, 1, kEps, relu},
                               Shape{NN_BATCH, NN_CHANNELS_LAST, 3, 5, 7, 1, kEps, relu},
                               Shape{NN_GROUP, NN_CHANNELS_FIRST, 3, 6, 7, 2, kEps, relu},
                               Shape{NN_GROUP, NN_CHANNELS_LAST, 3, 6, 7, 2, kEps, relu},
                               Shape{NN_GROUP, NN_CHANNELS_LAST, 3, 6, 1, 2, kEps, relu},
                               Shape{NN_LAYER, NN_CHANNELS_LAST, 3, 20, 1, 1, kEps, relu},
                               Shape{NN_RMS, NN_CHANNELS_LAST, 3, 20, 1, 1, kEps, relu}}) {
      const int last = shape.operation == NN_BATCH ? NN_APPLY_GRADIENTS : NN_BACKWARD;
      for (int task = NN_INFER; task <= last; ++task) {
        TestEach(shape, task, false);
        TestMissing(shape, task, false);
        if (shape.operation != NN_BATCH || task >= NN_MEASURE) continue;
        TestEach(shape, task, true);
        TestMissing(shape, task, true);
      }
      TestAffine(shape);
      TestSizes(shape);
    }
  }
}

}  // namespace nntest
