// What should come out: plain loops in doubles, element by element from the definitions in nativenorm.h.
#ifndef NATIVENORM_ORACLE_H_
#define NATIVENORM_ORACLE_H_

#include <stddef.h>

#include <string>
#include <vector>

namespace nntest {

// As nn_prepare takes it.
struct Shape {
  int operation;
  int layout;
  size_t batch;
  size_t channels;
  size_t spatial;
  size_t groups;
  double eps;
  bool relu;

  size_t Elements() const { return batch * channels * spatial; }
  size_t Units() const;
  size_t Values() const { return Elements() / Units(); }  // of a unit
  // An element's unit, and where it lies.
  size_t Unit(size_t n, size_t c) const;
  size_t Offset(size_t n, size_t c, size_t s) const;

  std::string Name() const;
};

// Of each unit.
struct Statistics {
  std::vector<double> mean;
  std::vector<double> variance;
};
Statistics Measure(const Shape& shape, const float* x);

// A variance beyond the largest float is infinite.
std::vector<double> Normalize(const Shape& shape, const float* x, const Statistics& statistics, const float* weight,
                              const float* bias);

struct Gradients {
  std::vector<double> src;
  std::vector<double> weight;
  std::vector<double> bias;
  // Sums of absolute values: what rounding errors are proportional to.
  std::vector<double> weight_scale;
  std::vector<double> bias_scale;
  // The norm of dy * weight / sqrt(variance + eps), of which the gradient is what mean and variance leave; without NaN.
  double direct = 0;
};
// `y` is null without an activation.
Gradients Differentiate(const Shape& shape, const float* x, const float* y, const float* dy,
                        const Statistics& statistics, const float* weight, bool given);

}  // namespace nntest

#endif  // NATIVENORM_ORACLE_H_
