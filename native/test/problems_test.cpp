// Whole problems through the C functions: all operations, directions and layouts, and values that are hard to sum up
// (extremes_test.cpp has those at the ends of what floats can be).
#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "guarded_memory.h"
#include "problem_cases.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 77001;

void TestSmall() {
  const struct {
    size_t batch, channels, spatial, groups;
  } kShapes[] = {{1, 1, 1, 1},   {1, 1, 2, 1},    {2, 1, 1, 1},   {1, 5, 1, 5},    {3, 7, 1, 1},   {3, 7, 1, 7},
                 {5, 1, 13, 1},  {1, 11, 17, 11}, {2, 6, 7, 3},   {2, 6, 1, 3},    {3, 17, 31, 1}, {1, 16, 16, 4},
                 {4, 32, 33, 2}, {2, 48, 9, 16},  {2, 19, 67, 1}, {2, 70, 5, 10},  {33, 3, 65, 3}, {1, 257, 1, 1},
                 {7, 64, 1, 8},  {3, 130, 1, 2},  {70, 37, 1, 1}, {1, 2, 1027, 1}, {130, 20, 1, 4}};
  uint64_t seed = kSeed;
  for (const auto& s : kShapes) {
    ForOperations([&](int operation, int layout) {
      if (IsRows(operation) && s.spatial != 1) return;
      for (int flags = 0; flags < 8; ++flags) {
        const Shape shape = {operation, layout, s.batch, s.channels, s.spatial, s.groups, kEps, (flags & 1) != 0};
        Problem problem(shape, ++seed, 0.5);
        problem.weighted = flags & 2;
        problem.biased = flags & 4;
        CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "small"));
        if (operation != NN_BATCH) continue;
        problem.given = true;
        CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "small given"));
      }
    });
  }
}

// Large enough for threads (32,768 elements each), with units for each of them, few, or one.
void TestThreads() {
  const struct {
    size_t batch, channels, spatial, groups;
  } kShapes[] = {{1, 1, 140000, 1},   {1, 3, 50000, 1},  {1, 3, 50000, 3},  {2, 6, 20000, 2},  {5, 3, 10000, 3},
                 {2, 64, 1100, 32},   {8, 16, 1030, 4},  {1, 20, 7001, 10}, {2, 96, 700, 32},  {3, 2, 25000, 2},
                 {64, 2080, 1, 1},    {64, 2080, 1, 16}, {3, 50001, 1, 3},  {1, 140000, 1, 1}, {70000, 2, 1, 2},
                 {1, 128, 1031, 128}, {2, 64, 5500, 64}, {1, 48, 23000, 16}};
  uint64_t seed = kSeed + 10000;
  size_t turn = 0;
  for (const auto& s : kShapes) {
    ForOperations([&](int operation, int layout) {
      if (IsRows(operation) && s.spatial != 1) return;
      if (s.channels > 10000 && !IsRows(operation) && turn++ % 2 == 0) return;
      const Shape shape = {operation, layout, s.batch, s.channels, s.spatial, s.groups, kEps, ++turn % 2 == 0};
      Problem problem(shape, ++seed, 0.5);
      problem.weighted = turn % 3 != 0;
      problem.biased = turn % 5 != 0;
      const bool large = shape.Elements() > 500000;
      CheckProblem(problem, large ? std::vector<int>{3} : std::vector<int>{2, 3, 4}, Tolerances(),
                   Kind(shape, "large"));
      if (operation != NN_BATCH || large) return;
      problem.given = true;
      CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "large given"));
    });
  }
}

// Sums over many rows of numbers whose roundings all go the same way.
void TestLongSums() {
  uint64_t seed = kSeed + 15000;
  ForOperations([&](int operation, int layout) {
    const size_t channels = IsRows(operation) ? 3 : 6, spatial = IsRows(operation) ? 1 : 2;
    const Shape shape = {operation, layout, 40000 / spatial, channels, spatial, 1, kEps, false};
    Problem problem(shape, ++seed);
    problem.values += ", dy 0.1 and 0.3";
    for (float& dy : problem.dy) dy = dy > 0 ? 0.1f : 0.3f;
    CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "long"));
  });
}

void TestMeans() {
  uint64_t seed = kSeed + 20000;
  ForOperations([&](int operation, int layout) {
    for (const Shape& shape : ShapesOf(operation, layout)) {
      for (double mean : {0.0, 10.0, 1e2, 1e3, 1e4, 1e6}) {
        char what[40];
        snprintf(what, sizeof what, "mean %g", mean);
        CheckProblem(Problem(shape, ++seed, mean, 1), {1, 3}, Tolerances(), Kind(shape, what));
      }
    }
  });
}

// Units of one value become the bias, exactly.
void TestConstant() {
  uint64_t seed = kSeed + 30000;
  ForOperations([&](int operation, int layout) {
    if (operation == NN_RMS) return;
    for (const Shape& shape : ShapesOf(operation, layout)) {
      for (float value : {0.0f, 0.1f, -1e-30f, 12345.678f, 1e6f, -3e38f}) {
        Problem problem(shape, ++seed);
        std::fill(problem.x.begin(), problem.x.end(), value);
        for (int target = 0; target < nn_targets(); ++target) {
          for (int threads : {1, 3}) {
            nn_use_target(target);
            const Plan plan = Prepare(shape, NN_TRAIN, false, threads);
            std::vector<float> y(shape.Elements()), mean(shape.Units()), variance(shape.Units());
            Forward(plan, problem.x.data(), y.data(), problem.Weight(), problem.Bias(), mean.data(), variance.data());
            size_t wrong = 0;
            for (size_t n = 0; n < shape.batch; ++n) {
              for (size_t c = 0; c < shape.channels; ++c) {
                for (size_t s = 0; s < shape.spatial; ++s) wrong += y[shape.Offset(n, c, s)] != problem.bias[c];
                const size_t unit = shape.Unit(n, c);
                wrong += mean[unit] != value || variance[unit] != 0;
              }
            }
            Check(wrong == 0, "%s %s threads %d constant %g: %zu values are not the bias", nn_target_name(target),
                  problem.Text().c_str(), threads, value, wrong);
          }
        }
      }
    }
  });
}

// Makes all x of some units one value.
void SetConstant(Problem& problem, size_t every) {
  const Shape& shape = problem.shape;
  problem.values += every == 1 ? ", constant" : ", some constant";
  for (size_t n = 0; n < shape.batch; ++n) {
    for (size_t c = 0; c < shape.channels; ++c) {
      const size_t unit = shape.Unit(n, c);
      if (unit % every != 0) continue;
      const float value = shape.operation == NN_RMS ? 0 : 0.1f + 1000 * static_cast<float>(unit % 5);
      for (size_t s = 0; s < shape.spatial; ++s) problem.x[shape.Offset(n, c, s)] = value;
    }
  }
}

// The gradient of such units is dy without its mean.
void TestConstantGradients() {
  uint64_t seed = kSeed + 35000;
  ForOperations([&](int operation, int layout) {
    std::vector<Shape> shapes = ShapesOf(operation, layout);
    if (operation == NN_GROUP) shapes.push_back({operation, layout, 9, 12, 1, 4, kEps, false});
    if (!IsRows(operation))
      shapes.push_back({operation, layout, 40, 24, 65, operation == NN_GROUP ? 24u : 1u, kEps, false});
    for (Shape shape : shapes) {
      for (size_t every : {1, 2, 3}) {
        for (double eps : {1e-5, 1e-24, 0.0}) {
          for (float dy_mean : {0.0f, 1e3f}) {
            if (dy_mean != 0 && every > 1) continue;  // others keep fewer digits of such dy
            shape.eps = eps;
            shape.relu = ++seed % 2 == 0;
            Problem problem(shape, seed);
            problem.weighted = seed % 3 != 0;
            for (float& dy : problem.dy) dy += dy_mean;
            SetConstant(problem, every);
            CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "constant gradients"));
          }
        }
      }
    }
  });
}

// And 0, not a sum's rounding over sqrt(eps), where dy is constant too.
void TestNoGradients() {
  uint64_t seed = kSeed + 37000;
  ForOperations([&](int operation, int layout) {
    if (operation == NN_RMS) return;
    for (const Shape& shape : ShapesOf(operation, layout)) {
      for (float dy : {0.1f, -3e5f, 1e-20f}) {
        Problem problem(shape, ++seed);
        problem.weighted = operation == NN_BATCH && seed % 2 == 0;
        std::fill(problem.dy.begin(), problem.dy.end(), dy);
        SetConstant(problem, 1);
        const Truth truth(problem);
        std::vector<float> dx(shape.Elements()), weight(shape.channels), bias(shape.channels);
        for (int target = 0; target < nn_targets(); ++target) {
          for (int threads : {1, 3}) {
            nn_use_target(target);
            const Plan plan = Prepare(shape, NN_BACKWARD, false, threads);
            Backward(plan, problem.x.data(), nullptr, problem.Weight(), truth.mean.data(), truth.variance.data(),
                     problem.dy.data(), dx.data(), weight.data(), bias.data());
            const auto wrong = std::count_if(dx.begin(), dx.end(), [](float v) { return v != 0; }) +
                               std::count_if(weight.begin(), weight.end(), [](float v) { return v != 0; });
            Check(wrong == 0, "%s %s threads %d dy %g: %zd gradients are not 0", nn_target_name(target),
                  problem.Text().c_str(), threads, dy, static_cast<ptrdiff_t>(wrong));
          }
        }
      }
    }
  });
}

void TestOutliers() {
  uint64_t seed = kSeed + 40000;
  ForOperations([&](int operation, int layout) {
    for (const Shape& shape : ShapesOf(operation, layout)) {
      for (float outlier : {30.0f, 1e6f, -1e15f, 1e30f}) {
        Problem problem(shape, ++seed);
        problem.values = "first " + std::to_string(outlier);
        std::vector<bool> seen(shape.Units());
        for (size_t n = 0; n < shape.batch; ++n) {
          for (size_t c = 0; c < shape.channels; ++c) {
            if (!seen[shape.Unit(n, c)]) problem.x[shape.Offset(n, c, 0)] = outlier;
            seen[shape.Unit(n, c)] = true;
          }
        }
        CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "outlier first"));
      }
    }
  });
}

void TestStream() {
  GuardedMemory x_memory(size_t{1} << 20), y_memory(size_t{1} << 20);
  Random random(kSeed);
  for (int64_t n : {int64_t{0}, int64_t{-1}, INT64_MIN}) nn_stream(nullptr, nullptr, n, 2, 0.5f, 3);
  for (size_t n : {1, 15, 16, 17, 100, 1000, 200000}) {
    for (int threads : {1, 3}) {
      float* x = x_memory.Place<float>(n, Side::kEnd, 0);
      float* y = y_memory.Place<float>(n, Side::kEnd, 0);
      random.Fill(x, n, 0, 1);
      nn_stream(x, y, static_cast<int64_t>(n), 2, 0.5f, threads);
      Distance distance;
      for (size_t i = 0; i < n; ++i, distance.Next()) distance.Add(y[i], 2.0 * x[i] + 0.5, 1 + fabs(x[i]));
      Check(distance.Largest() <= 1e-6 && y_memory.IsIntact(), "nn_stream %zu threads %d: error %g at %zu", n, threads,
            distance.Largest(), distance.At());
    }
  }
}

}  // namespace

void groups::problems() {
  nn_set_workers(3);  // more than there may be processors: some share a processor
  TestStream();
  TestSmall();
  TestThreads();
  TestLongSums();
  TestMeans();
  TestConstant();
  TestConstantGradients();
  TestNoGradients();
  TestOutliers();
  nn_set_workers(0);
}

}  // namespace nntest
