#include "kernels/plain_loops.h"

#include <math.h>

namespace nn {
namespace {

template <class T>
const T* As(const void* elements) {
  return static_cast<const T*>(elements);
}
template <class T>
T* As(void* elements) {
  return static_cast<T*>(elements);
}

template <class T>
float Cut(const T* dy, const T* y, size_t i) {
  return y != nullptr && y[i] <= 0 ? 0.0f : float{dy[i]};  // with an int beside it a bf16 would become one
}

// These are loops that compilers vectorize.

template <class T>
void TailSums(const void* elements, size_t begin, size_t end, const float* pivot, double* sums, double* squares) {
  const T* x = As<T>(elements);
  for (size_t i = begin; i < end; ++i) {
    const float distance = pivot == nullptr ? x[i] : x[i] - pivot[i];
    sums[i] += distance;
    squares[i] += distance * distance;
  }
}

template <class T>
void TailGradientSums(const void* src, const void* diff_dst, const void* dst, size_t begin, size_t end,
                      const float* center, const ColumnGradientSums& sums) {
  const T* x = As<T>(src);
  const T* dy = As<T>(diff_dst);
  const T* y = As<T>(dst);
  for (size_t i = begin; i < end; ++i) {
    const float distance = x[i] - center[i];
    const float gradient = Cut(dy, y, i);
    sums.dy[i] += gradient;
    sums.product[i] += gradient * distance;
    sums.residual[i] += distance;
  }
  for (size_t i = begin; sums.exact_dy != nullptr && i < end; ++i) {
    sums.exact_dy[i] += Cut(dy, y, i);
    sums.spread[i] += fabsf(x[i] - center[i]);
  }
}

template <class T>
bool LeavesRange(const void* diff_dst, const void* dst, size_t length, double variance, double eps) {
  const T* dy = As<T>(diff_dst);
  const T* y = As<T>(dst);
  const float factor = static_cast<float>(1 / sqrt(variance + eps));
  bool leaves = false;
  for (size_t i = 0; variance != 0 && i < length; ++i) leaves |= !isfinite(Cut(dy, y, i) * factor);
  return leaves;
}

template <class T>
constexpr PlainLoops LoopsOf() {
  PlainLoops loops = {};
  loops.exact_moments = [](const Unit& unit, const void* x, bool centered) {
    return ExactMoments(unit, As<T>(x), centered);
  };
  loops.exact_row_forward = [](const void* x, void* y, const RowsToNormalize& rows, size_t row) {
    ExactRowForward(As<T>(x), As<T>(y), rows, row);
  };
  loops.exact_forward = [](const Unit& unit, const void* x, void* y, const float* weight, const float* bias, bool relu,
                           double mean, double inverse) {
    ExactForward(unit, As<T>(x), As<T>(y), weight, bias, relu, mean, inverse);
  };
  loops.exact_sums = [](const Unit& unit, const void* x, const void* dy, const void* y, const float* weight,
                        double mean, double inverse, ParameterSums sums) {
    return ExactSums(unit, As<T>(x), As<T>(dy), As<T>(y), weight, mean, inverse, sums);
  };
  loops.exact_gradient_of = [](const Unit& unit, const void* x, const void* dy, const void* y, void* dx,
                               const float* weight, Moments statistics, double eps, GradientSums sums, double n) {
    ExactGradientOf(unit, As<T>(x), As<T>(dy), As<T>(y), As<T>(dx), weight, statistics, eps, sums, n);
  };
  loops.exact_backward = [](const Unit& unit, const void* x, const void* dy, const void* y, void* dx,
                            const float* weight, const Moments* given, bool centered, double eps, ParameterSums sums) {
    ExactBackward(unit, As<T>(x), As<T>(dy), As<T>(y), As<T>(dx), weight, given, centered, eps, sums);
  };
  loops.exact_row_backward = [](const void* x, const void* dy, const void* y, void* dx, const RowsToDifferentiate& rows,
                                size_t row, ParameterSums sums) {
    ExactRowBackward(As<T>(x), As<T>(dy), As<T>(y), As<T>(dx), rows, row, sums);
  };
  loops.tail_sums = TailSums<T>;
  loops.tail_gradient_sums = TailGradientSums<T>;
  loops.leaves_range = LeavesRange<T>;
  return loops;
}

}  // namespace

const PlainLoops& PlainLoopsOf(int type) {
  // Numbered as in nativenorm.h.
#define NN_EACH_STORAGE(T) LoopsOf<T>(),
  static constexpr PlainLoops kLoops[] = {NN_STORAGES};
#undef NN_EACH_STORAGE
  return kLoops[type];
}

}  // namespace nn
