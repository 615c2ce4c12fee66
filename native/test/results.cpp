#include "results.h"

#include <string.h>

#include <algorithm>

namespace nntest {
namespace {

template <class T>
bool Same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace

Results::Results(const Shape& shape)
    : y(shape.Elements()),
      mean(shape.Units()),
      variance(shape.Units()),
      diff_src(shape.Elements()),
      diff_weight(shape.channels),
      diff_bias(shape.channels) {
  if (shape.operation != NN_BATCH) return;
  phases_y.resize(shape.Elements());
  phases_diff_src.resize(shape.Elements());
  for (std::vector<double>* sums : {&phases_mean, &phases_m2, &sum_dy, &sum_dy_centered}) sums->resize(shape.channels);
}

bool Results::operator==(const Results& other) const {
  return status == other.status && Same(y, other.y) && Same(mean, other.mean) && Same(variance, other.variance) &&
         Same(diff_src, other.diff_src) && Same(diff_weight, other.diff_weight) && Same(diff_bias, other.diff_bias) &&
         Same(phases_y, other.phases_y) && Same(phases_diff_src, other.phases_diff_src) &&
         Same(phases_mean, other.phases_mean) && Same(phases_m2, other.phases_m2) && Same(sum_dy, other.sum_dy) &&
         Same(sum_dy_centered, other.sum_dy_centered);
}

Runs::Runs(const Shape& shape, int threads, const unsigned char* mask)
    : mask_(mask), last_(shape.operation == NN_BATCH && mask == nullptr ? NN_APPLY_GRADIENTS : NN_BACKWARD) {
  for (int task = NN_TRAIN; task <= last_; ++task) {
    nn_problem problem = ProblemOf(shape, task, false, threads);
    problem.masked = mask == nullptr ? 0 : 1;
    plans_[task].reset(nn_prepare(&problem, nullptr, 0));
  }
}

void Runs::Into(const Problem& p, Results& r) const {
  const float* x = p.x.data();
  const float* dy = p.dy.data();
  nn_operands o = ForwardOperands(x, r.y.data(), p.Weight(), p.Bias(), r.mean.data(), r.variance.data());
  o.mask = mask_;
  o.diff_dst = dy;
  o.diff_src = r.diff_src.data();
  o.diff_weight = r.diff_weight.data();
  o.diff_bias = r.diff_bias.data();
  for (int task : {NN_TRAIN, NN_BACKWARD}) {
    r.status = nn_execute(plans_[task].get(), &o);
    if (r.status != NN_OK) return;
  }
  if (last_ == NN_BACKWARD) return;
  double* mean = r.phases_mean.data();
  double* m2 = r.phases_m2.data();
  r.status = Measure(plans_[NN_MEASURE], x, mean, m2);
  if (r.status != NN_OK) return;
  r.status = Apply(plans_[NN_APPLY], x, r.phases_y.data(), p.Weight(), p.Bias(), mean, m2);
  if (r.status != NN_OK) return;
  r.status =
      SumGradients(plans_[NN_SUM_GRADIENTS], x, r.phases_y.data(), dy, mean, r.sum_dy.data(), r.sum_dy_centered.data());
  if (r.status != NN_OK) return;
  r.status = ApplyGradients(plans_[NN_APPLY_GRADIENTS], x, r.phases_y.data(), p.Weight(), mean, m2, dy, r.sum_dy.data(),
                            r.sum_dy_centered.data(), static_cast<double>(p.shape.Values()), r.phases_diff_src.data());
}

bool Runs::ArePrepared() const {
  return std::all_of(plans_.begin() + NN_TRAIN, plans_.begin() + last_ + 1,
                     [](const Plan& plan) { return plan != nullptr; });
}

Results Runs::Of(const Problem& p) const {
  Results results(p.shape);
  Into(p, results);
  return results;
}

std::vector<Shape> LargeShapes() {
  constexpr double kEps = 1e-5;
  return {{NN_BATCH, NN_CHANNELS_FIRST, 1, 3, 34000, 1, kEps, true},
          {NN_BATCH, NN_CHANNELS_FIRST, 4, 16, 1601, 1, kEps, false},
          {NN_BATCH, NN_CHANNELS_LAST, 2, 5, 10007, 1, kEps, true},
          {NN_BATCH, NN_CHANNELS_LAST, 2, 128, 401, 1, kEps, false},
          {NN_GROUP, NN_CHANNELS_FIRST, 1, 4, 25001, 2, kEps, false},
          {NN_GROUP, NN_CHANNELS_FIRST, 8, 8, 1601, 8, kEps, true},
          {NN_GROUP, NN_CHANNELS_LAST, 1, 6, 17001, 2, kEps, false},
          {NN_GROUP, NN_CHANNELS_LAST, 9, 32, 401, 8, kEps, true},
          {NN_GROUP, NN_CHANNELS_FIRST, 300, 340, 1, 10, kEps, true},
          {NN_LAYER, NN_CHANNELS_FIRST, 131, 770, 1, 1, kEps, false},
          {NN_LAYER, NN_CHANNELS_FIRST, 2, 51001, 1, 1, kEps, true},
          {NN_RMS, NN_CHANNELS_FIRST, 131, 770, 1, 1, kEps, true}};
}

}  // namespace nntest
