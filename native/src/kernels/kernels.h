// The kernels: functions over runs of elements of one storage type on one instruction set. They know nothing of
// threads, layouts or layers; the drivers (channels_first, channels_last, rows) do.
#ifndef NATIVENORM_KERNELS_H_
#define NATIVENORM_KERNELS_H_

#include <stddef.h>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace nn {

// The mean of n values and the sum of their squared distances from it.
struct Moments {
  double mean;
  double m2;
};

// sum(x - pivot) and sum((x - pivot)^2).
struct PivotSums {
  double sum;
  double squares;

  void operator+=(const PivotSums& more) {
    sum += more.sum;
    squares += more.squares;
  }
};

// y = (x - center) * scale + shift. The center is the mean rounded to float; the rounding's error is in the shift. So
// a large mean costs no digits: x - center is exact where x is near it.
struct Affine {
  float center;
  float scale;
  float shift;
};

// sum(dy), sum(dy * (x - center)), and sum(x - center), which tells how far the center is from the mean.
struct GradientSums {
  double dy;
  double product;
  double residual;

  void operator+=(const GradientSums& more) {
    dy += more.dy;
    product += more.product;
    residual += more.residual;
  }
};

// dx = dy_factor * (dy - dy_center) + x_factor * (x - center) + constant. In a constant unit, where x is its mean
// everywhere, dy_center is the part of dy that is subtracted, rounded to float, and x_factor 0; elsewhere dy_center is
// 0.
struct Gradient {
  float center;
  float dy_factor;
  float x_factor;
  float constant;
  float dy_center;
};

// Each column's parameters, in arrays with room for PaddedColumns.
struct ColumnAffine {
  const float* center;
  const float* scale;
  const float* shift;
};

// `dy_center` may be null: all of them are 0.
struct ColumnGradient {
  const float* center;
  const float* dy_factor;
  const float* x_factor;
  const float* constant;
  const float* dy_center;
};

// The last two, sum(dy) in doubles and sum(|x - center|), are for columns that may be constant, or else null.
struct ColumnGradientSums {
  double* dy;
  double* product;
  double* residual;
  double* exact_dy;
  double* spread;

  // From a column on.
  ColumnGradientSums From(size_t j) const {
    const bool constants = exact_dy != nullptr;
    return {dy + j, product + j, residual + j, constants ? exact_dy + j : nullptr, constants ? spread + j : nullptr};
  }
};

// The rows that row_normalize takes: each is a unit, with a weight and a bias for each element. Those of row r begin at
// (r % period) * length. Weight, bias, mean and variance may be null. Variance and eps are kLeastVariance or more.
struct RowsToNormalize {
  bool centered;  // false for RMS
  size_t length;
  size_t x_stride;  // elements from row to row
  size_t y_stride;
  size_t period;
  size_t first_row;
  size_t rows;
  double eps;
  const float* weight;
  float weight_offset;  // what the weight is added to; -0 changes nothing
  const float* bias;
  float* mean;
  float* variance;
  bool relu;
  bool prefetch;  // the next row, and the lines that will be written; `stream` prefetches the next row too
  bool stream;
};

// The rows that row_gradient takes. It adds to weight_gradient and bias_gradient, which are both null without
// kParameterSums; of RMS the bias's may be null with it.
struct RowsToDifferentiate {
  bool centered;
  size_t length;
  size_t period;
  size_t first_row;
  size_t rows;
  double eps;
  const float* weight;
  const float* mean;
  const float* variance;
  float* weight_gradient;
  float* bias_gradient;
  bool stream;
  bool* finite;  // set to false if the weight's gradient is not finite after a row that went alone
  // The gradients of weight and bias begin with this row, the only one, which is not constant: what is there counts for
  // nothing.
  bool begins;
};

// Arrays over columns are padded, so that kernels read and write whole vectors of them.
constexpr size_t kColumnPadding = 16;
constexpr size_t PaddedColumns(size_t columns) {
  return (columns + kColumnPadding - 1) / kColumnPadding * kColumnPadding;
}

// What a kernel is compiled with or without. Each set that exists is a body of its own (variants.def).
enum Options : unsigned {
  kPlain = 0,
  kRelu = 1,      // y is max(y, 0), which cuts dy
  kStream = 2,    // writes with non-temporal stores
  kCentered = 4,  // around a mean; rows without are those of RMS
  kWeight = 8,
  kBias = 16,
  kParameterSums = 32,  // the gradients of weight and bias
};
constexpr unsigned OptionIf(bool has, Options option) { return has ? option : kPlain; }
constexpr bool Has(unsigned options, Options option) { return (options & option) != 0; }

// All kernels, as (the options there are, result, name, parameters). Runs of `length` elements begin `stride` apart; of
// an array with a `step`, run r takes element r * step: with 0 all share one. y is read with kRelu only; dx may be dy
// and y may be x. What lies `ahead` elements after what is read is prefetched; by normalize with kStream. `prefetch`
// prefetches the next rows. After non-temporal stores the driver has to call EndStream (plan.h).
#define NN_KERNELS(KERNEL) NN_ELEMENT_KERNELS(KERNEL) NN_CONVERSION_KERNELS(KERNEL) NN_PARAMETER_KERNELS(KERNEL)
#define NN_ELEMENT_KERNELS(KERNEL)                                                                                    \
  /* The sums of a piece (order.h); a pivot of 0 is not subtracted. */                                                \
  KERNEL(kPlain, PivotSums, pivot_sums, (const void* x, size_t runs, size_t length, size_t stride, float pivot))      \
  KERNEL(kRelu | kStream, void, normalize,                                                                            \
         (const void* x, void* y, size_t runs, size_t length, size_t stride, const Affine* affines, size_t step,      \
          size_t ahead))                                                                                              \
  KERNEL(kRelu, void, gradient_sums,                                                                                  \
         (const void* x, const void* dy, const void* y, size_t runs, size_t length, size_t stride, float center,      \
          GradientSums* sums, size_t step, size_t ahead))                                                             \
  /* The same for units that may be constant, with sum(dy) in doubles. Where x is not the center everywhere, the      \
     product is NaN. */                                                                                               \
  KERNEL(kRelu, void, constant_sums,                                                                                  \
         (const void* x, const void* dy, const void* y, size_t runs, size_t length, size_t stride, float center,      \
          GradientSums* sums, size_t step, size_t ahead))                                                             \
  KERNEL(kRelu | kStream, void, gradient,                                                                             \
         (const void* x, const void* dy, const void* y, void* dx, size_t runs, size_t length, size_t stride,          \
          const Gradient* gradients, size_t step))                                                                    \
  /* A run whose bytes in the mask are 0 where dx is dy_factor * dy, whatever x is. */                                \
  KERNEL(kRelu, void, masked_gradient,                                                                                \
         (const void* x, const void* dy, const void* y, const unsigned char* mask, void* dx, size_t length,           \
          const Gradient& gradient))                                                                                  \
  /* The same for each column of a matrix with `stride` elements from row to row. `pivot` may be null: all are 0. */  \
  KERNEL(kPlain, void, column_sums,                                                                                   \
         (const void* x, size_t rows, size_t columns, size_t stride, const float* pivot, bool prefetch, double* sums, \
          double* squares))                                                                                           \
  KERNEL(kRelu | kStream, void, column_normalize,                                                                     \
         (const void* x, void* y, size_t rows, size_t columns, size_t stride, const ColumnAffine& affine))            \
  KERNEL(kRelu, void, column_gradient_sums,                                                                           \
         (const void* x, const void* dy, const void* y, size_t rows, size_t columns, size_t stride,                   \
          const float* center, bool prefetch, const ColumnGradientSums& sums))                                        \
  KERNEL(kRelu | kStream, void, column_gradient,                                                                      \
         (const void* x, const void* dy, const void* y, void* dx, size_t rows, size_t columns, size_t stride,         \
          const ColumnGradient& gradient))                                                                            \
  KERNEL(kRelu | kCentered | kWeight | kBias, void, row_normalize,                                                    \
         (const void* x, void* y, const RowsToNormalize& rows))                                                       \
  /* How many rows it did: all, or those before one that is outside (exact.h). */                                     \
  KERNEL(kRelu | kCentered | kWeight | kParameterSums, size_t, row_gradient,                                          \
         (const void* x, const void* dy, const void* y, void* dx, const RowsToDifferentiate& rows))                   \
  /* y = a * x + b */                                                                                                 \
  KERNEL(kPlain, void, plain_pass, (const void* x, void* y, size_t length, float a, float b))

// Elements of 16 bits as floats, and floats as such elements.
#define NN_CONVERSION_KERNELS(KERNEL)                                    \
  KERNEL(kStream, void, widen, (const void* x, size_t count, float* to)) \
  KERNEL(kStream, void, narrow, (const float* from, size_t count, void* y))

// Those that know no elements are the same whatever these are stored as.
#define NN_PARAMETER_KERNELS(KERNEL)                                                                                  \
  /* Turns columns' sums around 0 into means and m2 (order.h), in their place; false if some are distrusted. */       \
  KERNEL(kPlain, bool, column_moments, (size_t columns, double share, double* sums, double* squares))                 \
  /* The parameters of columns that are units of their own; `sums.product` becomes the weight's gradient. True if     \
     there are columns that are outside (exact.h): their scale or dy_factor is NaN. */                                \
  KERNEL(kPlain, bool, column_affines,                                                                                \
         (const double* mean, const double* variance, size_t columns, double eps, const float* weight,                \
          const float* bias, float* center, float* scale, float* shift))                                              \
  /* running = (1 - share) * running + factor * m, with the mean m of the samples of a batch. */                      \
  KERNEL(kPlain, void, update_running,                                                                                \
         (float* running, const float* batch, size_t samples, size_t columns, double share, double factor))           \
  KERNEL(kPlain, bool, column_gradients,                                                                              \
         (const ColumnGradientSums& sums, const double* mean, const double* variance, size_t columns, double eps,     \
          const float* weight, double n, bool given, float* center, float* dy_factor, float* x_factor,                \
          float* constant, float* dy_center))                                                                         \
  /* to += from, of doubles or floats; doubles as floats; whether floats are finite. */                               \
  KERNEL(kPlain, void, add_doubles, (const double* from, size_t count, double* to))                                   \
  KERNEL(kPlain, void, add_floats, (const float* from, size_t count, double* to))                                     \
  KERNEL(kPlain, void, round_doubles, (const double* from, size_t count, float* to))                                  \
  KERNEL(kPlain, bool, all_finite, (const float* values, size_t count))                                               \
  /* Copies those elements, of 2 or 4 bytes, whose byte in the mask is not 0, and returns how many. `to` has room for \
     one more than these and for a vector, 64 bytes. */                                                               \
  KERNEL(kPlain, size_t, pack,                                                                                        \
         (const void* from, const unsigned char* mask, size_t length, size_t element_bytes, void* to))                \
  /* to[j * to_stride + i] = from[i * from_stride + j], of 2, 4 or 8 bytes. With kStream each row of `to` is whole    \
     cache lines. */                                                                                                  \
  KERNEL(kStream, void, transpose,                                                                                    \
         (const void* from, size_t from_stride, void* to, size_t to_stride, size_t rows, size_t columns,              \
          size_t element_bytes))

// The bodies of one storage type on one instruction set, by their options; null where there is none.
struct KernelTable {
  size_t element_bytes;
#define NN_FIELD(options, result, name, parameters) result(*name[(options) + 1]) parameters;
  NN_KERNELS(NN_FIELD)
#undef NN_FIELD
};

// What elements may be stored as, numbered as in nativenorm.h. Parameters are floats. NN_STORAGES is a line
// NN_EACH_STORAGE(f32) NN_EACH_STORAGE(bf16) ... of what was compiled.
using f32 = float;
#define NN_EACH_STORAGE(T) +1
constexpr int kStorageTypes = 0 NN_STORAGES;
#undef NN_EACH_STORAGE

// What one instruction set has, for each of these types.
struct Target {
  const char* name = nullptr;
  KernelTable tables[kStorageTypes] = {};
};

}  // namespace nn

#endif  // NATIVENORM_KERNELS_H_
