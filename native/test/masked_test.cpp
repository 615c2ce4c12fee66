// Masked problems on every instruction set: the statistics of what counts, the same bits whatever lies in the padding
// and however many threads work, and on all that promise one answer.
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

  // body(element, sample * spatial + position, unit) for all elements.
  template <class Body>
  void ForAll(const Body& body) const {
    for (size_t n = 0; n < shape.batch; ++n) {
      for (size_t c = 0; c < shape.channels; ++c) {
        for (size_t s = 0; s < shape.spatial; ++s) {
          const bool first = shape.layout == NN_CHANNELS_FIRST;
          const size_t in_sample = first ? c * shape.spatial + s : s * shape.channels + c;
          const size_t unit = shape.operation == NN_BATCH ? c : n * shape.groups + c / (shape.channels / shape.groups);
          body(n * shape.channels * shape.spatial + in_sample, n * shape.spatial + s, unit);
        }
      }
    }
  }

  std::string Text() const { return shape.Name() + " mask " + std::to_string(mask); }
};

struct Results {
  std::vector<float> y, mean, variance, dx, weight, bias;
};

Results Run(const Masked& m, const std::vector<float>& x, const std::vector<float>& dy, int threads) {
  const Shape& shape = m.shape;
  const std::vector<unsigned char> mask = m.Bytes();
  const std::vector<float> weight = Random(5).Normals(shape.channels, 1, 0.5);
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
    o.diff_dst = dy.data();
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
  m.ForAll([&](size_t i, size_t at, size_t) { same &= mask[at] == 0 || memcmp(&a.y[i], &b.y[i], sizeof(float)) == 0; });
  return same;
}

void TestStatistics(const Masked& m, const std::vector<float>& x, const Results& r, const std::string& text) {
  const std::vector<unsigned char> mask = m.Bytes();
  std::vector<double> n(m.Units()), sum(m.Units()), squares(m.Units());
  m.ForAll([&](size_t i, size_t at, size_t unit) {
    n[unit] += mask[at] != 0;
    sum[unit] += mask[at] != 0 ? x[i] : 0.0;
  });
  m.ForAll([&](size_t i, size_t at, size_t unit) {
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

void Test(const Masked& m) {
  std::vector<float> x = Random(7).Normals(m.Elements(), 0.3, 1), dy = Random(8).Normals(m.Elements(), 0.1, 1);
  const std::vector<unsigned char> mask = m.Bytes();
  m.ForAll([&](size_t i, size_t at, size_t) { dy[i] = mask[at] == 0 ? 0 : dy[i]; });
  std::vector<float> nans = x;
  m.ForAll([&](size_t i, size_t at, size_t) { nans[i] = mask[at] == 0 ? (i % 2 == 0 ? NAN : -INFINITY) : nans[i]; });
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

}  // namespace

void groups::masked() {
  nn_set_workers(kThreads);
  for (int operation : {NN_BATCH, NN_GROUP}) {
    const size_t groups = operation == NN_GROUP ? 3 : 1;
    for (int layout : {NN_CHANNELS_FIRST, NN_CHANNELS_LAST}) {
      for (int mask = 0; mask < 4; ++mask) {
        for (bool relu : {false, true}) {
          Test({{operation, layout, 3, 6, 20, groups, kEps, relu}, mask});
          Test({{operation, layout, 12, 12, 700, groups, kEps, relu}, mask});
          Test({{operation, layout, 2, 3, 40000, groups, kEps, relu}, mask});
          Test({{operation, layout, 9, 48, 1, groups, kEps, relu}, mask});
        }
      }
    }
  }
  nn_set_workers(0);
}

}  // namespace nntest
