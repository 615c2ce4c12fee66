#include "oracle.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "nativenorm.h"

namespace nntest {
namespace {

// Of each unit. 0 for a variance beyond the largest float, and for none where no float is large enough.
std::vector<double> Inverses(const Shape& shape, const Statistics& statistics) {
  std::vector<double> inverses;
  for (double variance : statistics.variance) {
    const double inverse = 1 / sqrt(variance + shape.eps);
    inverses.push_back(variance > FLT_MAX || (variance == 0 && inverse > FLT_MAX) ? 0 : inverse);
  }
  return inverses;
}

// body(unit, channel, offset) for every element.
template <class Body>
void ForAll(const Shape& shape, const Body& body) {
  for (size_t n = 0; n < shape.batch; ++n) {
    for (size_t c = 0; c < shape.channels; ++c) {
      const size_t unit = shape.Unit(n, c);
      for (size_t s = 0; s < shape.spatial; ++s) body(unit, c, shape.Offset(n, c, s));
    }
  }
}

}  // namespace

size_t Shape::Units() const {
  switch (operation) {
    case NN_BATCH:
      return channels;
    case NN_GROUP:
      return batch * groups;
    default:
      return batch;
  }
}

size_t Shape::Unit(size_t n, size_t c) const {
  switch (operation) {
    case NN_BATCH:
      return c;
    case NN_GROUP:
      return n * groups + c / (channels / groups);
    default:
      return n;
  }
}

size_t Shape::Offset(size_t n, size_t c, size_t s) const {
  return layout == NN_CHANNELS_FIRST ? (n * channels + c) * spatial + s : (n * spatial + s) * channels + c;
}

std::string Shape::Name() const {
  static const char* const kOperations[] = {"batch", "layer", "rms", "group"};
  char name[200];
  snprintf(name, sizeof name, "%s %s %zux%zux%zu groups %zu eps %g%s", kOperations[operation],
           layout == NN_CHANNELS_FIRST ? "channels-first" : "channels-last", batch, channels, spatial, groups, eps,
           relu ? " relu" : "");
  return name;
}

Statistics Measure(const Shape& shape, const float* x) {
  const double n = static_cast<double>(shape.Values());
  Statistics found = {std::vector<double>(shape.Units()), std::vector<double>(shape.Units())};
  if (shape.operation != NN_RMS) {
    ForAll(shape, [&](size_t unit, size_t, size_t i) { found.mean[unit] += x[i]; });
    for (double& mean : found.mean) mean /= n;  // of what is constant it is exact
  }
  ForAll(shape, [&](size_t unit, size_t, size_t i) {
    const double distance = x[i] - found.mean[unit];
    found.variance[unit] += distance * distance / n;
  });
  return found;
}

std::vector<double> Normalize(const Shape& shape, const float* x, const Statistics& statistics, const float* weight,
                              const float* bias) {
  const std::vector<double> inverses = Inverses(shape, statistics);
  std::vector<double> y(shape.Elements());
  ForAll(shape, [&](size_t unit, size_t c, size_t i) {
    const double xhat = (x[i] - statistics.mean[unit]) * inverses[unit];
    const double value = xhat * (weight == nullptr ? 1 : weight[c]) + (bias == nullptr ? 0 : bias[c]);
    y[i] = shape.relu && value < 0 ? 0 : value;
  });
  return y;
}

Gradients Differentiate(const Shape& shape, const float* x, const float* y, const float* dy,
                        const Statistics& statistics, const float* weight, bool given) {
  Gradients found;
  found.src.resize(shape.Elements());
  for (auto* sums : {&found.weight, &found.bias, &found.weight_scale, &found.bias_scale}) sums->resize(shape.channels);
  std::vector<double> sum(shape.Units()), product(shape.Units());
  const auto cut = [&](size_t i) { return y != nullptr && y[i] <= 0 ? 0.0 : static_cast<double>(dy[i]); };
  const std::vector<double> inverses = Inverses(shape, statistics);
  const auto xhat = [&](size_t unit, size_t i) { return (x[i] - statistics.mean[unit]) * inverses[unit]; };
  ForAll(shape, [&](size_t unit, size_t c, size_t i) {
    const double g = cut(i), distance = xhat(unit, i), w = weight == nullptr ? 1 : weight[c];
    found.weight[c] += g * distance;
    found.weight_scale[c] += fabs(g * distance);
    found.bias[c] += g;
    found.bias_scale[c] += fabs(g);
    sum[unit] += g * w;
    product[unit] += g * w * distance;
  });
  const double n = static_cast<double>(shape.Values());
  double square = 0;
  ForAll(shape, [&](size_t unit, size_t c, size_t i) {
    const double inverse = inverses[unit];
    const double g = cut(i) * (weight == nullptr ? 1 : weight[c]);
    double rest = 0;
    if (!given) {
      // Where the variance is infinite all is 0 but what is itself infinite.
      rest = xhat(unit, i) * (inverse == 0 ? 0 : product[unit] / n);
      if (shape.operation != NN_RMS) rest += sum[unit] / n;
    }
    found.src[i] = (g - rest) * inverse;
    if (isfinite(g * inverse)) square += g * inverse * (g * inverse);
  });
  found.direct = sqrt(square);
  return found;
}

}  // namespace nntest
