// A unit in plain loops of doubles, two passes over what kernels sum up in one: for the few units that are outside of
// what floats can do, "outside" for short, whose numbers leave the range of floats or have nothing but rounding errors
// left. Each is found by a look at numbers that its kernel computes anyway.
#ifndef NATIVENORM_EXACT_H_
#define NATIVENORM_EXACT_H_

#include <stddef.h>

#include "kernels/kernels.h"

namespace nn {

constexpr double kLargestFloat = 3.4028234663852886e38;
constexpr double kLeastFloat = 1.1754943508222875e-38;  // the least normal number

// Below it, variance + eps is a few of the smallest floats or 0, and the cube of 1 / sqrt(variance + eps), which
// gradients have, is too large for a float.
constexpr double kLeastVariance = 1e-20;
constexpr double kMostInverse = 1e10;
// Products and sums of numbers below it do not leave the range of floats, whatever the order.
constexpr double kMostFactor = 1e30;

// Where the elements of a unit lie: (i, j) at i * outer_stride + j * inner_stride, with the weight and bias of channel
// first_channel + i * outer_channels + j * inner_channels. With a mask it counts in the statistics if its byte at i *
// outer_mask + j * inner_mask is not 0.
struct Unit {
  size_t outer;
  size_t inner;
  size_t outer_stride;
  size_t inner_stride;
  size_t first_channel;
  size_t outer_channels;
  size_t inner_channels;
  const unsigned char* mask = nullptr;
  size_t outer_mask = 0;
  size_t inner_mask = 0;

  bool Counts(size_t i, size_t j) const { return mask == nullptr || mask[i * outer_mask + j * inner_mask] != 0; }

  // How many count.
  double Values() const {
    if (mask == nullptr) return static_cast<double>(outer) * static_cast<double>(inner);
    double values = 0;
    for (size_t i = 0; i < outer; ++i) {
      for (size_t j = 0; j < inner; ++j) values += Counts(i, j) ? 1 : 0;
    }
    return values;
  }
};

// 1 / sqrt(variance + eps). It is 0, so that all of the unit is, for a variance beyond the largest float, and for a
// variance of 0 where no float is large enough (eps is 0 or next to it), unless the variance is given.
double InverseDeviation(double variance, double eps, bool given);

// That of a constant unit.
inline double InverseOfConstant(double eps) {
  const double inverse = 1 / __builtin_sqrt(eps);
  return inverse > kLargestFloat ? 0 : inverse;
}

// Whether y = (x - center) * scale + shift, of a unit with this 1 / sqrt(variance + eps), can leave the range of floats
// though y does not.
inline bool IsOutside(double inverse, double center, double scale, double shift) {
  return (inverse > kMostInverse) | (__builtin_fabs(center) > kMostFactor) | (__builtin_fabs(scale) > kMostFactor) |
         (__builtin_fabs(shift) > kMostFactor);
}

// True of nearly every gradient, and known before its factors are computed. Here IsOutside and IsConstant are false:
// x_factor is 1e-27 / n at least.
inline bool IsPlain(double variance_and_eps, double dy, double product) {
  const double size = __builtin_fabs(product);
  return (size >= 1e-15) & (size + __builtin_fabs(dy) <= 1e15) & (variance_and_eps >= 1e-10) &
         (variance_and_eps <= 1e8);
}

// The same for a gradient, from its sums over n values (weighted where weights differ in the unit) around the mean.
// dx is inverse * (g - sum(g) / n - ...): if a part of it is too large and dx is not, so is a sum. NaN in x makes no
// difference.
inline bool IsOutside(double inverse, double dy, double product, double n, double dy_factor, double x_factor) {
  const double size = inverse * (__builtin_fabs(dy) + inverse * __builtin_fabs(product));
  const bool large = !(size <= kMostFactor) & (inverse == inverse);
  const bool small = (__builtin_fabs(x_factor) < kLeastFloat) | (__builtin_fabs(product) < n * kLeastFloat);
  return (inverse > kMostInverse) | (__builtin_fabs(dy_factor) > kMostFactor) | large | (small & (x_factor != 0));
}

// Whether float products or sums may have left the range of floats.
inline bool SumsAreOutside(GradientSums sums, double n) {
  const double product = __builtin_fabs(sums.product);
  return !(__builtin_fabs(sums.dy) <= kMostFactor) | !(product <= kMostFactor) |
         ((product < n * kLeastFloat) & (sums.dy != 0));
}

// The gradient of a constant unit is inverse * (g - sum(g) / n), 0 for a g that is constant too: in floats it would be
// the sum's rounding error over sqrt(eps). A unit with variance 0 need not be constant: squares of distances below
// 1e-23 are 0 as floats.
inline bool IsConstant(double variance, double dy) { return (variance == 0) & (dy != 0); }

// The gradient of a constant unit: inverse * (weight * dy - g_mean) = dy_factor * (dy - dy_center) + constant. No
// digits are lost where dy is near its mean. Where g_mean / weight is too large, the weight times dy counts for
// nothing.
inline Gradient GradientOfConstant(float center, double inverse, double weight, double g_mean) {
  const double dy_mean = g_mean / weight;
  const float dy_center = __builtin_fabs(dy_mean) <= kMostFactor ? static_cast<float>(dy_mean) : 0;
  return {center, static_cast<float>(inverse * weight), 0, static_cast<float>(inverse * (weight * dy_center - g_mean)),
          dy_center};
}

// Whether such a gradient is outside.
inline bool IsConstantOutside(double inverse, double g_mean) {
  return !(inverse * __builtin_fabs(g_mean) <= kMostFactor);
}

// The mean, or 0 if not centered, and the sum of squared distances from it.
template <class T>
Moments ExactMoments(const Unit& unit, const T* x, bool centered);

// y = (x - mean) * inverse * weight + bias
template <class T>
void ExactForward(const Unit& unit, const T* x, T* y, const float* weight, const float* bias, bool relu, double mean,
                  double inverse);

// The gradients of weight and bias of each of the unit's channels, `step` apart; weight may be null.
struct ParameterSums {
  double* weight;
  double* bias;
  size_t step;
};

// sum(g) and sum(g * (x - mean)), with g = dy * weight and no residual. Adds sum(dy * (x - mean) * inverse) and sum(dy)
// of each channel to `sums`. What does not count is in all of them where its dy is not 0: x may be anything there.
template <class T>
GradientSums ExactSums(const Unit& unit, const T* x, const T* dy, const T* y, const float* weight, double mean,
                       double inverse, ParameterSums sums);

// A channel's gradient from its mean and variance (as m2) and sums that are not weighted, of n values here and
// elsewhere.
template <class T>
void ExactGradientOf(const Unit& unit, const T* x, const T* dy, const T* y, T* dx, const float* weight,
                     Moments statistics, double eps, GradientSums sums, double n);

// All of a unit's gradient. Its statistics are the given ones, or else measured again: rounded to floats they may have
// lost what counts.
template <class T>
void ExactBackward(const Unit& unit, const T* x, const T* dy, const T* y, T* dx, const float* weight,
                   const Moments* given, bool centered, double eps, ParameterSums sums);

// A row by itself, number `row`.
template <class T>
void ExactRowForward(const T* x, T* y, const RowsToNormalize& rows, size_t row);
// Adds to `sums` from the row's own parameters on.
template <class T>
void ExactRowBackward(const T* x, const T* dy, const T* y, T* dx, const RowsToDifferentiate& rows, size_t row,
                      ParameterSums sums);

}  // namespace nn

#endif  // NATIVENORM_EXACT_H_
