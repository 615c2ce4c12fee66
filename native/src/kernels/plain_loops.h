// The loops that are not kernels, over elements of one storage type: what is outside of floats (exact.h), and the rare
// rest that no instruction set makes faster.
#ifndef NATIVENORM_PLAIN_LOOPS_H_
#define NATIVENORM_PLAIN_LOOPS_H_

#include "kernels/exact.h"
#include "kernels/kernels.h"

namespace nn {

struct PlainLoops {
  // Those of exact.h.
  Moments (*exact_moments)(const Unit& unit, const void* x, bool centered);
  void (*exact_forward)(const Unit& unit, const void* x, void* y, const float* weight, const float* bias, bool relu,
                        double mean, double inverse);
  GradientSums (*exact_sums)(const Unit& unit, const void* x, const void* dy, const void* y, const float* weight,
                             double mean, double inverse, ParameterSums sums);
  void (*exact_gradient_of)(const Unit& unit, const void* x, const void* dy, const void* y, void* dx,
                            const float* weight, Moments statistics, double eps, GradientSums sums, double n);
  void (*exact_backward)(const Unit& unit, const void* x, const void* dy, const void* y, void* dx, const float* weight,
                         const Moments* given, bool centered, double eps, ParameterSums sums);
  void (*exact_row_forward)(const void* x, void* y, const RowsToNormalize& rows, size_t row);
  void (*exact_row_backward)(const void* x, const void* dy, const void* y, void* dx, const RowsToDifferentiate& rows,
                             size_t row, ParameterSums sums);

  // Adds a row that is cut short, from one column to another, to what the kernels column_sums and column_gradient_sums
  // have summed up.
  void (*tail_sums)(const void* x, size_t begin, size_t end, const float* pivot, double* sums, double* squares);
  void (*tail_gradient_sums)(const void* x, const void* dy, const void* y, size_t begin, size_t end,
                             const float* center, const ColumnGradientSums& sums);

  // Whether some dy / sqrt(variance + eps), which the gradient of the weight shows, is too large for a float: a small
  // weight may bring it back.
  bool (*leaves_range)(const void* dy, const void* y, size_t length, double variance, double eps);
};

// Those of a type of nativenorm.h that there are kernels for.
const PlainLoops& PlainLoopsOf(int type);

}  // namespace nn

#endif  // NATIVENORM_PLAIN_LOOPS_H_
