// Whole problems of values at the ends of what floats can be, and beyond.
#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "problem_cases.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 77001;

// What is not finite makes its unit NaN (or what the definition says) and leaves the others alone.
void TestNotFinite() {
  uint64_t seed = kSeed + 50000;
  ForOperations([&](int operation, int layout) {
    for (Shape shape : ShapesOf(operation, layout)) {
      for (float value : {NAN, INFINITY, -INFINITY}) {
        for (size_t where : {size_t{0}, shape.Elements() / 2}) {
          shape.relu = ++seed % 2 == 0;
          Problem problem(shape, seed);
          problem.values = "one " + std::to_string(value);
          problem.x[where] = value;
          CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "not finite"));
          if (operation != NN_BATCH || !isnan(value)) continue;
          // Given statistics: the value alone.
          const Truth truth(Problem(shape, seed));
          for (int target = 0; target < nn_targets(); ++target) {
            nn_use_target(target);
            const Plan plan = Prepare(shape, NN_INFER, true, 1);
            std::vector<float> y(shape.Elements()), mean = truth.mean, variance = truth.variance;
            Forward(plan, problem.x.data(), y.data(), nullptr, nullptr, mean.data(), variance.data());
            const auto nans = std::count_if(y.begin(), y.end(), [](float v) { return isnan(v); });
            Check(nans == 1 && isnan(y[where]), "%s %s given: %zd values are NaN", nn_target_name(target),
                  problem.Text().c_str(), static_cast<ptrdiff_t>(nans));
          }
        }
      }
    }
  });
}

// From values whose squares are 0 as floats to values whose squares are infinite, and whose variances are.
void TestScales() {
  uint64_t seed = kSeed + 60000;
  ForOperations([&](int operation, int layout) {
    for (Shape shape : ShapesOf(operation, layout)) {
      for (double scale : {1e-30, 1e-20, 1e-12, 1e8, 1e15, 4e18, 1e19, 1e25, 1e37, 6e37}) {
        for (double eps : {1e-5, 1e-12, 0.0}) {
          if (eps == 0 && scale > 1) continue;
          shape.eps = eps;
          Problem problem(shape, ++seed, 0, scale);
          if (scale > 5e37) {  // up to 3.4e38, both signs, and all of them finite
            for (float& x : problem.x) x = std::clamp(x * 3, -3.4e38f, 3.4e38f);
          }
          char what[40];
          snprintf(what, sizeof what, "scale %g", scale);
          CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, what));
        }
      }
    }
  });
}

// A weight that is NaN makes its channel NaN, and its unit's gradient, also beside units that are outside (exact.h).
void TestNaNWeights() {
  uint64_t seed = kSeed + 90000;
  ForOperations([&](int operation, int layout) {
    for (const Shape& shape : ShapesOf(operation, layout)) {
      for (size_t channel : {size_t{0}, shape.channels / 2, shape.channels - 1}) {
        Problem problem(shape, ++seed);
        problem.values += ", 1e38 in every other unit, weight " + std::to_string(channel) + " NaN";
        problem.weighted = true;
        problem.weight[channel] = NAN;
        for (size_t n = 0; n < shape.batch; ++n) {
          for (size_t c = 0; c < shape.channels; ++c) {
            if (shape.Unit(n, c) % 2 == 0) continue;
            for (size_t s = 0; s < shape.spatial; ++s) problem.x[shape.Offset(n, c, s)] = 1e38f;
          }
        }
        CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "NaN weight"));
      }
    }
  });
}

// Gradients whose sums overflow floats, in half of the lanes upwards, in half downwards; in every other unit alone too.
void TestHugeGradients() {
  uint64_t seed = kSeed + 70000;
  ForOperations([&](int operation, int layout) {
    for (const Shape& shape : ShapesOf(operation, layout)) {
      for (bool all : {true, false}) {
        Problem problem(shape, ++seed);
        problem.values += all ? ", dy 1e38" : ", some dy 1e38";
        problem.weighted = seed % 2 == 0;
        for (size_t n = 0; n < shape.batch; ++n) {
          for (size_t c = 0; c < shape.channels; ++c) {
            if (!all && shape.Unit(n, c) % 2 == 1) continue;
            for (size_t s = 0; s < shape.spatial; ++s) {
              problem.dy[shape.Offset(n, c, s)] = (n + c + s) % 2 == 0 ? 1e38f : -1e38f;
            }
          }
        }
        CheckProblem(problem, {1, 3}, Tolerances(), Kind(shape, "huge gradients"));
      }
    }
  });
}

// Given means and values that are too far apart for floats.
void TestFar() {
  uint64_t seed = kSeed + 80000;
  for (int layout : {NN_CHANNELS_FIRST, NN_CHANNELS_LAST}) {
    for (const Shape& shape : ShapesOf(NN_BATCH, layout)) {
      for (float variance : {1e38f, 3e38f}) {
        Problem problem(shape, ++seed);
        problem.given = true;
        problem.values = "far from the mean";
        Truth truth(problem);
        for (size_t n = 0; n < shape.batch; ++n) {
          for (size_t c = 0; c < shape.channels; c += 2) {
            truth.mean[c] = c % 4 == 0 ? -3e38f : 3e38f;
            truth.variance[c] = variance;
            for (size_t s = 0; s < shape.spatial; ++s) problem.x[shape.Offset(n, c, s)] = s % 3 == 0 ? 3e38f : -1e38f;
          }
        }
        const Statistics statistics = {{truth.mean.begin(), truth.mean.end()},
                                       {truth.variance.begin(), truth.variance.end()}};
        truth = Truth(problem, statistics);
        size_t turn = 0;
        for (int target = 0; target < nn_targets(); ++target) {
          for (int threads : {1, 3}) {
            CheckForward(problem, truth, target, threads, turn, Tolerances(), Kind(shape, "far"));
            CheckBackward(problem, truth, target, threads, turn++, Tolerances(), Kind(shape, "far"));
          }
        }
      }
    }
  }
}

}  // namespace

void groups::extremes() {
  nn_set_workers(3);
  TestNotFinite();
  TestScales();
  TestNaNWeights();
  TestHugeGradients();
  TestFar();
  nn_set_workers(0);
}

}  // namespace nntest
