#include "kernels/exact.h"

#include <math.h>

namespace nn {
namespace {

// body(offset, channel in the unit, whether it counts) for all elements.
template <class Body>
void ForAll(const Unit& unit, const Body& body) {
  for (size_t i = 0; i < unit.outer; ++i) {
    for (size_t j = 0; j < unit.inner; ++j) {
      body(i * unit.outer_stride + j * unit.inner_stride, i * unit.outer_channels + j * unit.inner_channels,
           unit.Counts(i, j));
    }
  }
}

template <class Rows>
Unit RowOf(const Rows& rows, size_t row) {
  return {1, rows.length, 0, 1, row % rows.period * rows.length, 0, 1};
}

// dy where the output is positive or NaN, else 0; all of dy without an activation.
template <class T>
double Cut(const T* dy, const T* y, size_t i) {
  return y != nullptr && y[i] <= 0 ? 0 : static_cast<double>(dy[i]);
}

// Where the variance is infinite only what is infinite itself is not 0.
double XFactor(double inverse, double product) { return inverse == 0 ? 0 : inverse * inverse * product; }

double WeightOf(const Unit& unit, const float* weight, size_t channel) {
  return weight == nullptr ? 1 : weight[unit.first_channel + channel];
}

}  // namespace

double InverseDeviation(double variance, double eps, bool given) {
  if (variance > kLargestFloat) return 0;
  const double inverse = 1 / sqrt(variance + eps);
  return !given && variance == 0 && inverse > kLargestFloat ? 0 : inverse;
}

template <class T>
Moments ExactMoments(const Unit& unit, const T* x, bool centered) {
  double mean = 0, m2 = 0;
  if (centered) {
    ForAll(unit, [&](size_t at, size_t, bool counts) { mean += counts ? static_cast<double>(x[at]) : 0; });
    mean /= unit.Values();
  }
  ForAll(unit, [&](size_t at, size_t, bool counts) {
    const double distance = counts ? static_cast<double>(x[at]) - mean : 0;
    m2 += distance * distance;
  });
  return {mean, m2};
}

namespace {

template <class T, class WeightAt>
void ForwardWith(const WeightAt& weight_at, const Unit& unit, const T* x, T* y, const float* bias, bool relu,
                 double mean, double inverse) {
  ForAll(unit, [&](size_t at, size_t channel, bool) {
    const double distance = static_cast<double>(x[at]) - mean;
    // In a constant unit it is 0, whatever the deviation.
    const double normalized = distance == 0 ? 0 : distance * inverse;
    const double shift = bias == nullptr ? 0 : bias[unit.first_channel + channel];
    const double value = normalized * weight_at(channel) + shift;
    y[at] = static_cast<T>(relu && value <= 0 ? 0.0 : value);
  });
}

}  // namespace

template <class T>
void ExactForward(const Unit& unit, const T* x, T* y, const float* weight, const float* bias, bool relu, double mean,
                  double inverse) {
  ForwardWith([&](size_t channel) { return WeightOf(unit, weight, channel); }, unit, x, y, bias, relu, mean, inverse);
}

template <class T>
GradientSums ExactSums(const Unit& unit, const T* x, const T* dy, const T* y, const float* weight, double mean,
                       double inverse, ParameterSums sums) {
  GradientSums total = {0, 0, 0};
  ForAll(unit, [&](size_t at, size_t channel, bool counts) {
    const double gradient = Cut(dy, y, at);
    if (!counts && gradient == 0) return;
    const double distance = static_cast<double>(x[at]) - mean;
    const double g = gradient * WeightOf(unit, weight, channel);
    total.dy += g;
    total.product += g * distance;
    if (sums.weight == nullptr) return;
    if (distance != 0) sums.weight[channel * sums.step] += gradient * distance * inverse;
    sums.bias[channel * sums.step] += gradient;
  });
  return total;
}

namespace {

// dx = inverse * (g - dy_mean - (x - mean) * x_factor), and inverse * g of what does not count.
template <class T>
void ExactGradient(const Unit& unit, const T* x, const T* dy, const T* y, T* dx, const float* weight, double mean,
                   double inverse, double dy_mean, double x_factor) {
  ForAll(unit, [&](size_t at, size_t channel, bool counts) {
    const double g = Cut(dy, y, at) * WeightOf(unit, weight, channel);
    const double rest = counts ? g - dy_mean - (static_cast<double>(x[at]) - mean) * x_factor : g;
    dx[at] = static_cast<T>(rest == 0 ? 0 : rest * inverse);
  });
}

}  // namespace

template <class T>
void ExactGradientOf(const Unit& unit, const T* x, const T* dy, const T* y, T* dx, const float* weight,
                     Moments statistics, double eps, GradientSums sums, double n) {
  const double inverse = InverseDeviation(statistics.m2, eps, false), w = WeightOf(unit, weight, 0);
  ExactGradient(unit, x, dy, y, dx, weight, statistics.mean, inverse, w * sums.dy / n,
                XFactor(inverse, w * sums.product / n));
}

template <class T>
void ExactBackward(const Unit& unit, const T* x, const T* dy, const T* y, T* dx, const float* weight,
                   const Moments* given, bool centered, double eps, ParameterSums sums) {
  const double n = unit.Values();
  if (n == 0) {  // nothing counts: the output is the bias
    ForAll(unit, [&](size_t at, size_t channel, bool) {
      if (sums.bias != nullptr) sums.bias[channel * sums.step] += Cut(dy, y, at);
      if (dx != nullptr) dx[at] = static_cast<T>(0.0);
    });
    return;
  }
  const Moments found = given != nullptr ? *given : ExactMoments(unit, x, centered);
  const double variance = given != nullptr ? found.m2 : found.m2 / n;
  const double inverse = InverseDeviation(variance, eps, given != nullptr);
  const GradientSums total = ExactSums(unit, x, dy, y, weight, found.mean, inverse, sums);
  if (dx == nullptr) return;
  const double dy_mean = given != nullptr || !centered ? 0 : total.dy / n;
  const double x_factor = given != nullptr ? 0 : XFactor(inverse, total.product / n);
  ExactGradient(unit, x, dy, y, dx, weight, found.mean, inverse, dy_mean, x_factor);
}

template <class T>
void ExactRowForward(const T* x, T* y, const RowsToNormalize& rows, size_t row) {
  const Unit unit = RowOf(rows, row);
  const Moments found = ExactMoments(unit, x, rows.centered);
  const double variance = found.m2 / unit.Values();
  if (rows.mean != nullptr) rows.mean[row] = static_cast<float>(found.mean);
  if (rows.variance != nullptr) rows.variance[row] = static_cast<float>(variance);
  const auto weight_at = [&](size_t channel) -> double {
    return rows.weight == nullptr ? 1 : rows.weight[unit.first_channel + channel] + rows.weight_offset;
  };
  ForwardWith(weight_at, unit, x, y, rows.bias, rows.relu, found.mean, InverseDeviation(variance, rows.eps, false));
}

template <class T>
void ExactRowBackward(const T* x, const T* dy, const T* y, T* dx, const RowsToDifferentiate& rows, size_t row,
                      ParameterSums sums) {
  const Unit unit = RowOf(rows, row);
  if (sums.weight != nullptr) {
    sums.weight += unit.first_channel;
    sums.bias += unit.first_channel;
  }
  ExactBackward(unit, x, dy, y, dx, rows.weight, nullptr, rows.centered, rows.eps, sums);
}

#define NN_EACH_STORAGE(T)                                                                                       \
  template Moments ExactMoments(const Unit&, const T*, bool);                                                    \
  template void ExactForward(const Unit&, const T*, T*, const float*, const float*, bool, double, double);       \
  template GradientSums ExactSums(const Unit&, const T*, const T*, const T*, const float*, double, double,       \
                                  ParameterSums);                                                                \
  template void ExactGradientOf(const Unit&, const T*, const T*, const T*, T*, const float*, Moments, double,    \
                                GradientSums, double);                                                           \
  template void ExactBackward(const Unit&, const T*, const T*, const T*, T*, const float*, const Moments*, bool, \
                              double, ParameterSums);                                                            \
  template void ExactRowForward(const T*, T*, const RowsToNormalize&, size_t);                                   \
  template void ExactRowBackward(const T*, const T*, const T*, T*, const RowsToDifferentiate&, size_t, ParameterSums);
NN_STORAGES
#undef NN_EACH_STORAGE

}  // namespace nn
