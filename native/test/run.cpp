#include "run.h"

#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <iterator>

#include "check.h"
#include "guarded_memory.h"

namespace nntest {
namespace {

constexpr size_t kMostElements = size_t{3} << 19;

// Made once: a mapping for each array of each run would take longer than the run.
struct Memory {
  GuardedMemory src{kMostElements * sizeof(float)}, dst{kMostElements * sizeof(float)};
  GuardedMemory diff_dst{kMostElements * sizeof(float)}, diff_src{kMostElements * sizeof(float)};
  GuardedMemory weight{1 << 20}, bias{1 << 20}, mean{1 << 20}, variance{1 << 20};
  GuardedMemory diff_weight{1 << 20}, diff_bias{1 << 20};

  static constexpr GuardedMemory Memory::*kAll[] = {
      &Memory::src,  &Memory::dst,  &Memory::diff_dst, &Memory::diff_src,    &Memory::weight,
      &Memory::bias, &Memory::mean, &Memory::variance, &Memory::diff_weight, &Memory::diff_bias};

  bool IsIntact() const {
    return std::all_of(std::begin(kAll), std::end(kAll), [this](auto memory) { return (this->*memory).IsIntact(); });
  }
};

Memory& TheMemory() {
  static Memory memory;
  for (auto unused : Memory::kAll) (memory.*unused).Place<float>(1, Side::kEnd, 0);
  return memory;
}

struct Place {
  Side side;
  size_t gap;

  explicit Place(size_t turn) : side(kSides[turn % 2]), gap(turn % 5 == 0 ? turn % 16 : 0) {}

  float* Array(GuardedMemory& memory, size_t count) const { return memory.Place<float>(count, side, gap); }
  float* Copy(GuardedMemory& memory, const std::vector<float>& values) const {
    float* to = Array(memory, values.size());
    std::copy(values.begin(), values.end(), to);
    return to;
  }
};

const char* const kTasks[] = {"inference", "training", "backward"};

std::string Text(const Problem& problem, int target, int task, int threads, size_t turn) {
  return std::string(nn_target_name(target)) + " " + problem.Text() + " " + kTasks[task] + " threads " +
         std::to_string(threads) + " turn " + std::to_string(turn);
}

double Ratio(double square, double of) { return square == 0 ? 0 : sqrt(square) / (of == 0 ? 1e-300 : of); }

}  // namespace

Problem::Problem(const Shape& shape, uint64_t seed, double mean, double deviation)
    : shape(shape), seed(seed), weighted(true), biased(true), given(false) {
  Random random(seed);
  char text[60];
  snprintf(text, sizeof text, "mean %g deviation %g", mean, deviation);
  values = text;
  x = random.Normals(shape.Elements(), mean, deviation);
  dy = random.Normals(shape.Elements(), 0.1, 1);
  weight = random.Normals(shape.channels, 1, 0.5);
  bias = random.Normals(shape.channels, 0, 1);
}

std::string Problem::Text() const {
  return shape.Name() + (weighted ? " weight" : "") + (biased ? " bias" : "") + (given ? " given" : "") + " " + values +
         " seed " + std::to_string(seed);
}

namespace {

// Given ones are near those of the data.
Statistics StatisticsOf(const Problem& problem) {
  Statistics statistics = Measure(problem.shape, problem.x.data());
  Random random(problem.seed + 1);
  for (size_t unit = 0; problem.given && unit < problem.shape.Units(); ++unit) {
    double& mean = statistics.mean[unit];
    double& variance = statistics.variance[unit];
    mean = static_cast<float>(mean + 0.1 * random.Normal() * sqrt(variance));
    variance = static_cast<float>(variance * (0.5 + random.Uniform()));
  }
  return statistics;
}

}  // namespace

Truth::Truth(const Problem& problem) : Truth(problem, StatisticsOf(problem)) {}

Truth::Truth(const Problem& problem, const Statistics& statistics)
    : statistics(statistics),
      mean(statistics.mean.begin(), statistics.mean.end()),
      variance(statistics.variance.begin(), statistics.variance.end()) {
  const Shape& shape = problem.shape;
  y = Normalize(shape, problem.x.data(), statistics, problem.Weight(), problem.Bias());
  output.assign(y.begin(), y.end());
  gradients = Differentiate(shape, problem.x.data(), shape.relu ? output.data() : nullptr, problem.dy.data(),
                            statistics, problem.Weight(), problem.given);
}

void CheckForward(const Problem& problem, const Truth& truth, int target, int threads, size_t turn,
                  const Tolerances& tolerances, const std::string& kind) {
  Memory& memory = TheMemory();
  const Shape& shape = problem.shape;
  const Place place(turn);
  const bool in_place = turn % 3 == 1;
  const int task = problem.given || turn % 4 == 0 ? NN_INFER : NN_TRAIN;
  const bool rms = shape.operation == NN_RMS;
  nn_use_target(target);
  const Plan plan = Prepare(shape, task, problem.given, threads);
  float* src = place.Copy(memory.src, problem.x);
  float* dst = in_place ? src : place.Array(memory.dst, shape.Elements());
  const float* weight = problem.weighted ? place.Copy(memory.weight, problem.weight) : nullptr;
  const float* bias = problem.biased ? place.Copy(memory.bias, problem.bias) : nullptr;
  float* mean = nullptr;
  float* variance = nullptr;
  if (problem.given) {
    mean = place.Copy(memory.mean, truth.mean);
    variance = place.Copy(memory.variance, truth.variance);
  } else if (task == NN_TRAIN) {
    if (!rms) mean = place.Array(memory.mean, shape.Units());
    variance = place.Array(memory.variance, shape.Units());
  }
  const int status = Forward(plan, src, dst, weight, bias, mean, variance);

  const std::string text = Text(problem, target, task, threads, turn);
  Distance distance, statistics;
  for (size_t i = 0; i < shape.Elements(); ++i, distance.Next()) distance.Add(dst[i], truth.y[i], 1 + fabs(truth.y[i]));
  for (size_t unit = 0; variance != nullptr && unit < shape.Units(); ++unit, statistics.Next()) {
    const double deviation = sqrt(truth.statistics.variance[unit]);
    const double size = fabs(truth.statistics.mean[unit]);
    // The mean of what has an infinity is infinite or, merged from parts, NaN.
    const bool finite = isfinite(truth.mean[unit]) || (mean != nullptr && isfinite(mean[unit]));
    if (mean != nullptr && finite) statistics.Add(mean[unit], truth.mean[unit], size + 4 * deviation + 1e-37);
    statistics.Add(variance[unit], truth.variance[unit], truth.statistics.variance[unit] + 1e-37);
  }
  const bool untouched = in_place || std::equal(problem.x.begin(), problem.x.end(), src,
                                                [](float a, float b) { return a == b || (isnan(a) && isnan(b)); });
  Note(distance.Largest(), "forward %s", kind.c_str());
  Note(statistics.Largest(), "statistics %s", kind.c_str());
  Check(status == NN_OK && distance.Largest() <= tolerances.y, "%s: y: error %g at %zu", text.c_str(),
        distance.Largest(), distance.At());
  // A float sum around a pivot 4 deviations from the mean loses 17 times a float's rounding.
  Check(statistics.Largest() <= 4e-6, "%s: statistics: error %g of unit %zu", text.c_str(), statistics.Largest(),
        statistics.At());
  Check(untouched && memory.IsIntact(), "%s: memory was changed that is not its own", text.c_str());
}

void CheckBackward(const Problem& problem, const Truth& truth, int target, int threads, size_t turn,
                   const Tolerances& tolerances, const std::string& kind) {
  Memory& memory = TheMemory();
  const Shape& shape = problem.shape;
  const Place place(turn);
  const bool in_place = turn % 3 == 1;
  nn_use_target(target);
  const Plan plan = Prepare(shape, NN_BACKWARD, problem.given, threads);
  const float* src = place.Copy(memory.src, problem.x);
  const float* dst = shape.relu ? place.Copy(memory.dst, truth.output) : nullptr;
  float* diff_dst = place.Copy(memory.diff_dst, problem.dy);
  float* diff_src = in_place ? diff_dst : place.Array(memory.diff_src, shape.Elements());
  const float* weight = problem.weighted ? place.Copy(memory.weight, problem.weight) : nullptr;
  const float* mean = shape.operation == NN_RMS ? nullptr : place.Copy(memory.mean, truth.mean);
  const float* variance = place.Copy(memory.variance, truth.variance);
  float* diff_weight = turn % 4 < 2 ? place.Array(memory.diff_weight, shape.channels) : nullptr;
  float* diff_bias = turn % 4 == 0 || turn % 4 == 2 ? place.Array(memory.diff_bias, shape.channels) : nullptr;
  const int status = Backward(plan, src, dst, weight, mean, variance, diff_dst, diff_src, diff_weight, diff_bias);

  const std::string text = Text(problem, target, NN_BACKWARD, threads, turn);
  const Gradients& truths = truth.gradients;
  Distance finite;  // NaNs must be where they are expected
  double error = 0, norm = 0;
  for (size_t i = 0; i < shape.Elements(); ++i, finite.Next()) {
    finite.Add(diff_src[i], truths.src[i], INFINITY);
    if (!isfinite(static_cast<float>(truths.src[i]))) continue;
    error += (diff_src[i] - truths.src[i]) * (diff_src[i] - truths.src[i]);
    norm += truths.src[i] * truths.src[i];
  }
  // With few values in a unit mean and variance cancel nearly all of a gradient: it is compared with what was there.
  const double of = shape.Values() < 16 && !problem.given ? truths.direct : sqrt(norm);
  const double relative = Ratio(error, of);
  Note(relative, "backward %s", kind.c_str());
  Check(status == NN_OK && relative <= tolerances.gradient && finite.Largest() == 0,
        "%s: diff_src: relative error %g%s", text.c_str(), relative, finite.Largest() == 0 ? "" : ", not finite");
  // A normalized value near 0 is a difference of larger ones.
  Distance parameters;
  for (size_t c = 0; c < shape.channels; ++c, parameters.Next()) {
    if (diff_weight != nullptr) {
      parameters.Add(diff_weight[c], truths.weight[c], truths.weight_scale[c] + 0.1 * truths.bias_scale[c] + 1e-30);
    }
    if (diff_bias != nullptr) parameters.Add(diff_bias[c], truths.bias[c], truths.bias_scale[c] + 1e-30);
  }
  Note(parameters.Largest(), "parameter gradients %s", kind.c_str());
  Check(parameters.Largest() <= tolerances.gradient, "%s: diff_weight or diff_bias: error %g of channel %zu",
        text.c_str(), parameters.Largest(), parameters.At());
  Check(memory.IsIntact(), "%s: memory was changed that is not its own", text.c_str());
}

void CheckProblem(const Problem& problem, const std::vector<int>& threads, const Tolerances& tolerances,
                  const std::string& kind) {
  static size_t turn = 0;
  const Truth truth(problem);
  for (int target = 0; target < nn_targets(); ++target) {
    for (int count : threads) {
      CheckForward(problem, truth, target, count, turn, tolerances, kind);
      CheckBackward(problem, truth, target, count, turn, tolerances, kind);
      ++turn;
    }
  }
}

}  // namespace nntest
