// All that the C functions write for a problem, for comparing runs of it bit by bit.
#ifndef NATIVENORM_RESULTS_H_
#define NATIVENORM_RESULTS_H_

#include <array>
#include <string>
#include <vector>

#include "nativenorm.h"
#include "run.h"

namespace nntest {

struct Results {
  int status = NN_OK;
  std::vector<float> y, mean, variance, diff_src, diff_weight, diff_bias;
  // Of the phases: batch normalization only.
  std::vector<float> phases_y, phases_diff_src;
  std::vector<double> phases_mean, phases_m2, sum_dy, sum_dy_centered;

  // Room for a problem's results.
  explicit Results(const Shape& shape);
  bool operator==(const Results& other) const;
};

// A problem's plans: for training and backward, and of batch normalization for the phases.
class Runs {
 public:
  // With a mask, which counts some positions of each sample, there are no phases.
  Runs(const Shape& shape, int threads, const unsigned char* mask = nullptr);

  // Calls the C functions, and nothing else: forward, backward and the phases, in this order. After one that failed no
  // more are called.
  void Into(const Problem& problem, Results& results) const;
  Results Of(const Problem& problem) const;

  bool ArePrepared() const;
  int Threads() const { return nn_threads(plans_[NN_TRAIN].get()); }

 private:
  const unsigned char* mask_;
  int last_;                                        // task
  std::array<Plan, NN_APPLY_GRADIENTS + 1> plans_;  // by their task, from training on
};

// Problems for three threads and more that take every branch of every driver: many units, few, one.
std::vector<Shape> LargeShapes();

}  // namespace nntest

#endif  // NATIVENORM_RESULTS_H_
