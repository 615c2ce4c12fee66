// Masked problems on every instruction set: the statistics of what counts, the same bits whatever lies in the padding
// where dy is 0 and however many threads work, and on all that promise one answer; the gradients where it is not.
#include <math.h>
#include <string.h>

#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "problem_cases.h"

namespace nntest {
namespace {

constexpr int kThreads = 3;

struct Masked {
  Shape shape;
  int mask;  // which kind of

  size_t Positions() const { return shape.batch * shape.spatial; }
  size_t Elements() const { return Positions() * shape.channels; }
  size_t Units() const { return shape.operation == NN_BATCH ? shape.channels : shape.batch * shape.groups; }

  bool Counts(size_t sample, size_t position) const {
    switch (mask) {
      case 0:
        return position < (sample + 1) * shape.spatial / (shape.batch + 1) + 2;
      case 1:
        return (sample * 7 + position * position) % 5 < 2;
      case 2:
        return sample % 2 == 1;  // of some samples nothing
      case 3:
        return sample + position > 0;  // all but one
      default:
        return false;
    }
  }

  std::vector<unsigned char> Bytes() const {
    std::vector<unsigned char> bytes(Positions());
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = Counts(i / shape.spatial, i % shape.spatial) ? static_cast<unsigned char>(1 + i % 255) : 0;
    }
    return bytes;
  }

  // body(element, sample * spatial + position, unit, channel) for all elements.
  template <class Body>
  void ForAll(const Body& body) const {
    for (size_t n = 0; n < shape.batch; ++n) {
      for (size_t c = 0; c < shape.channels; ++c) {
        for (size_t s = 0; s < shape.spatial; ++s) {
          const bool first = shape.layout == NN_CHANNELS_FIRST;
          const size_t in_sample = first ? c * shape.spatial + s : s * shape.channels + c;
          const size_t unit = shape.operation == NN_BATCH ? c : n * shape.groups + c / (shape.channels / shape.groups);
          body(n * shape.channels * shape.spatial + in_sample, n * shape.spatial + s, unit, c);
        }
      }
    }
  }

  std::string Text() const { return shape.Name() + " mask " + std::to_string(mask); }
};

struct Results {
  std::vector<float> y, mean, variance, dx, weight, bias;
};

std::vector<float> WeightOf(const Masked& m) { return Random(5).Normals(m.shape.channels, 1, 0.5); }

Results Run(const Masked& m, const std::vector<float>& x, const std::vector<float>& dy, int threads,
            bool in_place = false, bool other_variance = false) {
  const Shape& shape = m.shape;
  const std::vector<unsigned char> mask = m.Bytes();
  const std::vector<float> weight = WeightOf(m);
  const std::vector<float> bias = Random(6).Normals(shape.channels, 0, 1);
  Results r = {std::vector<float>(m.Elements()),   std::vector<float>(m.Units()),
               std::vector<float>(m.Units()),      std::vector<float>(m.Elements()),
               std::vector<float>(shape.channels), std::vector<float>(shape.channels)};
  for (int task : {NN_TRAIN, NN_BACKWARD}) {
    nn_problem problem = ProblemOf(shape, task, false, threads);
    problem.masked = 1;
    const Prepared prepared(problem);
    if (!Check(prepared.plan != nullptr, "%s: %s", m.Text().c_str(), prepared.reason.c_str())) return r;
    nn_operands o = ForwardOperands(x.data(), r.y.data(), weight.data(), bias.data(), r.mean.data(), r.variance.data());
    Check(nn_execute(prepared.plan.get(), &o) == NN_WRONG_OPERANDS, "%s without a mask", m.Text().c_str());
    o.mask = mask.data();
    if (in_place) r.dx = dy;
    // Of what nothing counts of, any statistics do.
    for (float& variance : r.variance) variance = other_variance && variance == 0 ? 1 : variance;
    o.diff_dst = in_place ? r.dx.data() : dy.data();
    o.diff_src = r.dx.data();
    o.diff_weight = r.weight.data();
    o.diff_bias = r.bias.data();
    Check(nn_execute(prepared.plan.get(), &o) == NN_OK, "%s: does not run", m.Text().c_str());
  }
  return r;
}

bool Same(const std::vector<float>& a, const std::vector<float>& b) {
  return memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool SameBut(const Masked& m, const Results& a, const Results& b) {
  const std::vector<unsigned char> mask = m.Bytes();
  bool same = Same(a.mean, b.mean) && Same(a.variance, b.variance) && Same(a.dx, b.dx) && Same(a.weight, b.weight) &&
              Same(a.bias, b.bias);
  m.ForAll([&](size_t i, size_t at, size_t, size_t) {
    same &= mask[at] == 0 || memcmp(&a.y[i], &b.y[i], sizeof(float)) == 0;
  });
  return same;
}

void TestStatistics(const Masked& m, const std::vector<float>& x, const Results& r, const std::string& text) {
  const std::vector<unsigned char> mask = m.Bytes();
  std::vector<double> n(m.Units()), sum(m.Units()), squares(m.Units());
  m.ForAll([&](size_t i, size_t at, size_t unit, size_t) {
    n[unit] += mask[at] != 0;
    sum[unit] += mask[at] != 0 ? x[i] : 0.0;
  });
  m.ForAll([&](size_t i, size_t at, size_t unit, size_t) {
    const double distance = mask[at] != 0 ? x[i] - sum[unit] / n[unit] : 0;
    squares[unit] += distance * distance;
  });
  double largest = 0;
  for (size_t unit = 0; unit < m.Units(); ++unit) {
    const double mean = n[unit] == 0 ? 0 : sum[unit] / n[unit], variance = n[unit] == 0 ? 0 : squares[unit] / n[unit];
    largest = fmax(largest, fabs(r.mean[unit] - mean) / (1 + fabs(mean)));
    largest = fmax(largest, fabs(r.variance[unit] - variance) / (1 + variance));
  }
  Check(largest <= 1e-6, "%s: statistics are %g off", text.c_str(), largest);
}

// dx and the parameters' gradients by their definition, each within its tolerance of what its terms add up to.
void TestGradients(const Masked& m, const std::vector<float>& x, const std::vector<float>& dy, const Results& r,
                   const std::string& text) {
  struct Sums {
    double n = 0, mean = 0, squares = 0, g = 0, product = 0, g_size = 0, product_size = 0;
  };
  const std::vector<unsigned char> mask = m.Bytes();
  const std::vector<float> weight = WeightOf(m);
  std::vector<Sums> units(m.Units());
  std::vector<double> parameters(m.shape.channels * 2), sizes(m.shape.channels * 2);
  const auto cut = [&](size_t i) { return m.shape.relu && r.y[i] <= 0 ? 0.0 : dy[i]; };
  const auto normalized = [&](size_t i, size_t unit) {
    const Sums& u = units[unit];
    return u.n == 0 ? 0 : (x[i] - u.mean) / sqrt(u.squares / u.n + m.shape.eps);
  };
  m.ForAll([&](size_t i, size_t at, size_t unit, size_t) {
    units[unit].n += mask[at] != 0;
    units[unit].mean += mask[at] != 0 ? x[i] : 0.0;
  });
  for (Sums& u : units) u.mean = u.n == 0 ? 0 : u.mean / u.n;
  m.ForAll([&](size_t i, size_t at, size_t unit, size_t) {
    if (mask[at] != 0) units[unit].squares += (x[i] - units[unit].mean) * (x[i] - units[unit].mean);
  });
  m.ForAll([&](size_t i, size_t, size_t unit, size_t c) {
    Sums& u = units[unit];
    const double seen = cut(i), g = seen * weight[c], xhat = normalized(i, unit);
    u.g += g;
    u.g_size += fabs(g);
    u.product += g * xhat;
    u.product_size += fabs(g * xhat);
    parameters[2 * c] += seen * xhat;
    sizes[2 * c] += fabs(seen * xhat);
    parameters[2 * c + 1] += seen;
    sizes[2 * c + 1] += fabs(seen);
  });
  Distance dx, sums;
  m.ForAll([&](size_t i, size_t at, size_t unit, size_t c) {
    const Sums& u = units[unit];
    const double inverse = u.n == 0 ? 0 : 1 / sqrt(u.squares / u.n + m.shape.eps), g = cut(i) * weight[c];
    const double xhat = normalized(i, unit), share = mask[at] == 0 ? 0 : inverse / u.n;
    dx.Add(r.dx[i], inverse * g - share * (u.g + xhat * u.product),
           1e-3 + inverse * fabs(g) + share * (u.g_size + (0.1 + fabs(xhat)) * u.product_size));
    dx.Next();
  });
  for (size_t c = 0; c < m.shape.channels; ++c, sums.Next()) {
    sums.Add(r.weight[c], parameters[2 * c], 1e-3 + sizes[2 * c]);
    sums.Add(r.bias[c], parameters[2 * c + 1], 1e-3 + sizes[2 * c + 1]);
  }
  Check(dx.Largest() <= 2e-6 && sums.Largest() <= 2e-6, "%s: dx is %g off, dweight or dbias %g", text.c_str(),
        dx.Largest(), sums.Largest());
}

// With a dy that is not 0 in the padding.
void TestAll(const Masked& m) {
  const std::vector<float> x = Random(9).Normals(m.Elements(), 0.3, 1), dy = Random(10).Normals(m.Elements(), 0.1, 1);
  Results first;
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    const std::string name = nn_target_name(target), text = name + " " + m.Text() + " all";
    const Results found = Run(m, x, dy, 1);
    TestGradients(m, x, dy, found, text);
    const Results in_place = Run(m, x, dy, 1, true), together = Run(m, x, dy, kThreads);
    Results other = Run(m, x, dy, kThreads, false, true);
    other.variance = found.variance;
    Check(SameBut(m, found, other), "%s: a variance of nothing makes a difference", text.c_str());
    Check(SameBut(m, found, in_place), "%s: it makes a difference whether it is in place", text.c_str());
    Check(SameBut(m, found, together), "%s: threads make a difference", text.c_str());
    if (name == "sse4") continue;
    if (first.y.empty()) first = found;
    Check(SameBut(m, found, first), "%s: other bits", text.c_str());
  }
}

void Test(const Masked& m) {
  std::vector<float> x = Random(7).Normals(m.Elements(), 0.3, 1), dy = Random(8).Normals(m.Elements(), 0.1, 1);
  const std::vector<unsigned char> mask = m.Bytes();
  m.ForAll([&](size_t i, size_t at, size_t, size_t) { dy[i] = mask[at] == 0 ? 0 : dy[i]; });
  std::vector<float> nans = x;
  m.ForAll(
      [&](size_t i, size_t at, size_t, size_t) { nans[i] = mask[at] == 0 ? (i % 2 == 0 ? NAN : -INFINITY) : nans[i]; });
  Results first;
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    const std::string name = nn_target_name(target), text = name + " " + m.Text();
    const Results found = Run(m, x, dy, 1);
    TestStatistics(m, x, found, text);
    Check(SameBut(m, found, Run(m, nans, dy, 1)), "%s: padding that is no number makes a difference", text.c_str());
    const Results together = Run(m, x, dy, kThreads);
    Check(SameBut(m, found, together) && Same(found.y, together.y), "%s: threads make a difference", text.c_str());
    if (name == "sse4") continue;
    if (first.y.empty()) first = found;
    Check(SameBut(m, found, first) && Same(found.y, first.y), "%s: other bits", text.c_str());
  }
}

void TestBoth(const Masked& m) {
  Test(m);
  TestAll(m);
}

}  // namespace

void groups::masked() {
  nn_set_workers(kThreads);
  for (int operation : {NN_BATCH, NN_GROUP}) {
    const size_t groups = operation == NN_GROUP ? 3 : 1;
    for (int layout : {NN_CHANNELS_FIRST, NN_CHANNELS_LAST}) {
      for (int mask = 0; mask < 5; ++mask) {
        for (bool relu : {false, true}) {
          TestBoth({{operation, layout, 3, 6, 20, groups, kEps, relu}, mask});
          TestBoth({{operation, layout, 12, 12, 700, groups, kEps, relu}, mask});
          TestBoth({{operation, layout, 2, 3, 40000, groups, kEps, relu}, mask});
          TestBoth({{operation, layout, 9, 48, 1, groups, kEps, relu}, mask});
        }
      }
    }
  }
  nn_set_workers(0);
}

}  // namespace nntest
