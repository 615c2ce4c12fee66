// Batch normalization in phases: two workers with a part of the batch each come to what one has with all of it.
#include <math.h>

#include <string>
#include <vector>

#include "check.h"
#include "run.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 55001;

// A worker's samples. They lie together in both layouts.
struct Worker {
  Shape shape;
  size_t first;  // element
  Plan measure, apply, sum_gradients, apply_gradients;

  Worker(const Shape& whole, size_t first_sample, size_t samples, int threads)
      : shape(whole), first(first_sample * whole.channels * whole.spatial) {
    shape.batch = samples;
    measure = Prepare(shape, NN_MEASURE, false, threads);
    apply = Prepare(shape, NN_APPLY, false, threads);
    sum_gradients = Prepare(shape, NN_SUM_GRADIENTS, false, threads);
    apply_gradients = Prepare(shape, NN_APPLY_GRADIENTS, false, threads);
  }

  double Values() const { return static_cast<double>(shape.batch * shape.spatial); }
};

void TestParts(const Problem& problem, const Truth& truth, size_t first_samples, int target, int threads,
               const std::string& kind) {
  const Shape& shape = problem.shape;
  const std::string text = std::string(nn_target_name(target)) + " " + problem.Text() + " first " +
                           std::to_string(first_samples) + " threads " + std::to_string(threads);
  nn_use_target(target);
  const Worker workers[] = {{shape, 0, first_samples, threads},
                            {shape, first_samples, shape.batch - first_samples, threads}};
  const size_t channels = shape.channels;

  std::vector<double> mean(channels), variance(channels);
  std::vector<double> means[2], m2s[2];
  int status = NN_OK;
  for (int w = 0; w < 2; ++w) {
    means[w].resize(channels);
    m2s[w].resize(channels);
    status |= Measure(workers[w].measure, problem.x.data() + workers[w].first, means[w].data(), m2s[w].data());
  }
  const double a = workers[0].Values(), b = workers[1].Values(), count = a + b;
  Distance statistics;
  for (size_t c = 0; c < channels; ++c, statistics.Next()) {
    const double distance = means[1][c] - means[0][c];
    mean[c] = means[0][c] + distance * b / count;
    variance[c] = (m2s[0][c] + m2s[1][c] + distance * distance * a * b / count) / count;
    statistics.Add(mean[c], truth.statistics.mean[c], 4 * sqrt(truth.statistics.variance[c]) + 1e-30);
    statistics.Add(variance[c], truth.statistics.variance[c], 2 * truth.statistics.variance[c] + 1e-30);
  }
  Note(statistics.Largest(), "phases statistics %s", kind.c_str());
  Check(status == NN_OK && statistics.Largest() <= 1e-6, "%s: moments: error %g of channel %zu", text.c_str(),
        statistics.Largest(), statistics.At());

  std::vector<float> y(shape.Elements());
  for (const Worker& worker : workers) {
    status |= Apply(worker.apply, problem.x.data() + worker.first, y.data() + worker.first, problem.Weight(),
                    problem.Bias(), mean.data(), variance.data());
  }
  Distance output;
  for (size_t i = 0; i < y.size(); ++i, output.Next()) output.Add(y[i], truth.y[i], 1 + fabs(truth.y[i]));
  Note(output.Largest(), "phases forward %s", kind.c_str());
  Check(status == NN_OK && output.Largest() <= 3e-6, "%s: y: error %g at %zu", text.c_str(), output.Largest(),
        output.At());

  const float* dst = shape.relu ? truth.output.data() : nullptr;
  std::vector<double> sum(channels), centered(channels);
  for (const Worker& worker : workers) {
    std::vector<double> part(channels), part_centered(channels);
    status |= SumGradients(worker.sum_gradients, problem.x.data() + worker.first,
                           dst == nullptr ? nullptr : dst + worker.first, problem.dy.data() + worker.first, mean.data(),
                           part.data(), part_centered.data());
    for (size_t c = 0; c < channels; ++c) {
      sum[c] += part[c];
      centered[c] += part_centered[c];
    }
  }
  Distance parameters;
  for (size_t c = 0; c < channels; ++c, parameters.Next()) {
    const double inverse = 1 / sqrt(variance[c] + shape.eps);
    parameters.Add(centered[c] * inverse, truth.gradients.weight[c], truth.gradients.weight_scale[c] + 1e-30);
    parameters.Add(sum[c], truth.gradients.bias[c], truth.gradients.bias_scale[c] + 1e-30);
  }
  Note(parameters.Largest(), "phases parameter gradients %s", kind.c_str());
  Check(status == NN_OK && parameters.Largest() <= 1e-6, "%s: sums: error %g of channel %zu", text.c_str(),
        parameters.Largest(), parameters.At());

  std::vector<float> dx(shape.Elements());
  for (const Worker& worker : workers) {
    status |=
        ApplyGradients(worker.apply_gradients, problem.x.data() + worker.first,
                       dst == nullptr ? nullptr : dst + worker.first, problem.Weight(), mean.data(), variance.data(),
                       problem.dy.data() + worker.first, sum.data(), centered.data(), count, dx.data() + worker.first);
  }
  double error = 0;
  for (size_t i = 0; i < dx.size(); ++i) error += pow(dx[i] - truth.gradients.src[i], 2);
  error = sqrt(error) / (truth.gradients.direct + 1e-30);
  Note(error, "phases backward %s", kind.c_str());
  Check(status == NN_OK && error <= 1e-6, "%s: dx: relative error %g", text.c_str(), error);
}

// Every third channel is constant.
void SetConstant(Problem& problem) {
  const Shape& shape = problem.shape;
  problem.values += ", some constant";
  for (size_t n = 0; n < shape.batch; ++n) {
    for (size_t c = 0; c < shape.channels; c += 3) {
      for (size_t s = 0; s < shape.spatial; ++s) {
        problem.x[shape.Offset(n, c, s)] = 0.1f + 1000 * static_cast<float>(c);
      }
    }
  }
}

// Such a channel has no gradient, not even a sum's rounding over sqrt(eps), where dy is constant too.
void TestNoGradient(const Problem& problem, int target, int threads) {
  const Shape& shape = problem.shape;
  nn_use_target(target);
  const Worker worker(shape, 0, shape.batch, threads);
  const size_t channels = shape.channels;
  const std::vector<float> dy(shape.Elements(), 0.1f);
  std::vector<float> dx(shape.Elements());
  std::vector<double> mean(channels), variance(channels), sum(channels), centered(channels);
  Measure(worker.measure, problem.x.data(), mean.data(), variance.data());
  for (double& v : variance) v /= worker.Values();
  SumGradients(worker.sum_gradients, problem.x.data(), nullptr, dy.data(), mean.data(), sum.data(), centered.data());
  ApplyGradients(worker.apply_gradients, problem.x.data(), nullptr, problem.Weight(), mean.data(), variance.data(),
                 dy.data(), sum.data(), centered.data(), worker.Values(), dx.data());
  size_t wrong = 0;
  for (size_t n = 0; n < shape.batch; ++n) {
    for (size_t c = 0; c < channels; c += 3) {
      wrong += centered[c] != 0;
      for (size_t s = 0; s < shape.spatial; ++s) wrong += dx[shape.Offset(n, c, s)] != 0;
    }
  }
  Check(wrong == 0, "%s %s threads %d: %zu gradients are not 0", nn_target_name(target), problem.Text().c_str(),
        threads, wrong);
}

}  // namespace

void groups::phases() {
  const struct {
    size_t batch, channels, spatial;
  } kShapes[] = {{6, 5, 70}, {2, 3, 35000}, {5, 16, 1}, {7, 33, 1}, {3, 1, 1}, {2, 64, 1100}, {4, 2, 40001}};
  nn_set_workers(3);
  uint64_t seed = kSeed;
  for (const auto& s : kShapes) {
    for (int layout : {NN_CHANNELS_FIRST, NN_CHANNELS_LAST}) {
      for (double mean : {0.0, 1e4, 1e6}) {
        const Shape shape = {NN_BATCH, layout, s.batch, s.channels, s.spatial, 1, 1e-5, ++seed % 2 == 0};
        Problem problem(shape, seed, mean);
        problem.weighted = seed % 3 != 0;
        problem.biased = seed % 5 != 0;
        const Truth truth(problem);
        for (int target = 0; target < nn_targets(); ++target) {
          for (int threads : {1, 3}) {
            char kind[60];
            snprintf(kind, sizeof kind, "%s mean %g", layout == NN_CHANNELS_FIRST ? "channels-first" : "channels-last",
                     mean);
            TestParts(problem, truth, s.batch / 2, target, threads, kind);
            if (s.batch > 3) TestParts(problem, truth, s.batch - 1, target, threads, kind);
          }
        }
      }
      const Shape shape = {NN_BATCH, layout, s.batch, s.channels, s.spatial, 1, 1e-5, ++seed % 2 == 0};
      Shape plain = shape;
      plain.relu = false;
      Problem problem(shape, seed), other(plain, seed);
      SetConstant(problem);
      SetConstant(other);
      const Truth truth(problem);
      for (int target = 0; target < nn_targets(); ++target) {
        for (int threads : {1, 3}) {
          TestParts(problem, truth, s.batch / 2, target, threads, "some constant");
          TestNoGradient(other, target, threads);
        }
      }
    }
  }
  nn_set_workers(0);
}

}  // namespace nntest
