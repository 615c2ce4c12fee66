// Problems of 16-bit storage types, also beside F32: forward, backward and the phases give what F32 gives for the same
// numbers, where what a type would store is rounded to it before it is read again.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "platform/system.h"
#include "problem_cases.h"
#include "results.h"
#include "storage.h"

namespace nntest {
namespace {

constexpr uint64_t kSeed = 160001;

template <class T>
void RoundAll(std::vector<float>& values) {
  for (float& value : values) value = T(value);
}

// Also units that floats do not compute, and gradients near the ends of their range.
template <class Src, class Dst>
Problem HardProblem(const Shape& shape, size_t turn) {
  Problem problem(shape, kSeed + turn, turn % 3 == 0 ? 100 : 1);
  const float scales[] = {1, 1e-30f, 1e37f, 0, 1e-40f, 1, INFINITY}, of_dy[] = {1, 1e-36f, 1, 1e36f};
  for (size_t n = 0; n < shape.batch; ++n) {
    for (size_t c = 0; c < shape.channels; ++c) {
      const size_t unit = shape.Unit(n, c);
      for (size_t s = 0; turn % 2 == 1 && s < shape.spatial; ++s) {
        problem.x[shape.Offset(n, c, s)] *= scales[unit % std::size(scales)];
        problem.dy[shape.Offset(n, c, s)] *= of_dy[unit % std::size(of_dy)];
      }
    }
  }
  problem.weighted = turn % 4 != 3;
  problem.biased = turn % 4 != 2;
  problem.given = shape.operation == NN_BATCH && turn % 3 == 1;
  RoundAll<Src>(problem.x);
  RoundAll<Dst>(problem.dy);
  return problem;
}

// All NaNs are one: which of two a sum has depends on the order of operands that a compiler chose.
template <class Number>
void Unite(std::vector<Number>& values) {
  for (Number& value : values) value = std::isnan(value) ? static_cast<Number>(NAN) : value;
}

// The tensors of one problem as two types store them, and the calls of its tasks; results are rounded to another two.
template <class Src, class Dst, class RoundedSrc = Src, class RoundedDst = Dst>
class Calls {
 public:
  Calls(const Problem& problem, int threads)
      : problem_(problem),
        threads_(threads),
        x_(problem.x.begin(), problem.x.end()),
        dy_(problem.dy.begin(), problem.dy.end()),
        results_(problem.shape) {}

  Results All() {
    const bool is_batch = problem_.shape.operation == NN_BATCH;
    Results& r = results_;
    nn_operands operands = Operands();
    operands.mean = problem_.shape.operation == NN_RMS ? nullptr : r.mean.data();
    operands.variance = r.variance.data();
    if (problem_.given) Give();
    Run(problem_.given ? NN_INFER : NN_TRAIN, operands, &r.y);
    operands.diff_weight = r.diff_weight.data();
    operands.diff_bias = r.diff_bias.data();
    Run(NN_BACKWARD, operands, &r.diff_src);
    if (is_batch && !problem_.given) Phases();
    for (auto* values :
         {&r.y, &r.mean, &r.variance, &r.diff_src, &r.diff_weight, &r.diff_bias, &r.phases_y, &r.phases_diff_src}) {
      Unite(*values);
    }
    for (auto* values : {&r.phases_mean, &r.phases_m2, &r.sum_dy, &r.sum_dy_centered}) Unite(*values);
    return std::move(r);
  }

  // Inference in x's place.
  std::vector<float> InPlace() {
    nn_operands operands = Operands();
    operands.dst = x_.data();
    if (problem_.given) {
      Give();
      operands.mean = results_.mean.data();
      operands.variance = results_.variance.data();
    }
    Run(NN_INFER, operands, nullptr);
    std::vector<float> y(x_.begin(), x_.end());
    Unite(y);
    return y;
  }

 private:
  // Given statistics: any that are numbers.
  void Give() {
    const Problem& p = problem_;
    std::copy_n(p.bias.begin(), results_.mean.size(), results_.mean.begin());
    std::transform(p.weight.begin(), p.weight.end(), results_.variance.begin(), [](float w) { return w * w; });
  }

  nn_operands Operands() {
    dx_.resize(x_.size());
    y_.resize(x_.size());
    nn_operands operands = {};
    operands.size = sizeof operands;
    operands.src = x_.data();
    operands.dst = y_.data();
    operands.weight = problem_.Weight();
    operands.bias = problem_.Bias();
    operands.diff_dst = dy_.data();
    operands.diff_src = dx_.data();
    return operands;
  }

  // `to` gets y, or the gradient, which this task wrote.
  void Run(int task, const nn_operands& operands, std::vector<float>* to) {
    nn_problem problem = ProblemOf(problem_.shape, task, problem_.given && task < NN_MEASURE, threads_);
    problem.src_type = TypeOf(Src());
    problem.dst_type = TypeOf(Dst());
    const Plan plan(nn_prepare(&problem, nullptr, 0));
    if (plan == nullptr || nn_execute(plan.get(), &operands) != NN_OK) results_.status = NN_WRONG_OPERANDS;
    if (to == nullptr) return;
    if (task == NN_BACKWARD || task == NN_APPLY_GRADIENTS) {
      Store<RoundedSrc>(dx_, to);
    } else {
      Store<RoundedDst>(y_, to);
    }
  }

  template <class T, class Element>
  static void Store(std::vector<Element>& written, std::vector<float>* to) {
    for (Element& element : written) element = Element(float{T(float{element})});
    to->assign(written.begin(), written.end());
  }

  void Phases() {
    Results& r = results_;
    nn_operands operands = Operands();
    operands.mean = r.phases_mean.data();
    operands.variance = r.phases_m2.data();
    Run(NN_MEASURE, operands, nullptr);
    Run(NN_APPLY, operands, &r.phases_y);
    operands.sum_dy = r.sum_dy.data();
    operands.sum_dy_centered = r.sum_dy_centered.data();
    operands.count = static_cast<double>(problem_.shape.Values());
    Run(NN_SUM_GRADIENTS, operands, nullptr);
    Run(NN_APPLY_GRADIENTS, operands, &r.phases_diff_src);
  }

  const Problem& problem_;
  int threads_;
  std::vector<Src> x_, dx_;
  std::vector<Dst> y_, dy_;
  Results results_;
};

template <class Src, class Dst>
void TestProblem(const Shape& shape, int target, int threads, size_t turn) {
  const Problem problem = HardProblem<Src, Dst>(shape, turn);
  const std::string text = std::string(nn_target_name(target)) + " types " + std::to_string(TypeOf(Src())) + " " +
                           std::to_string(TypeOf(Dst())) + " " + problem.Text() + " threads " +
                           std::to_string(threads) + " turn " + std::to_string(turn);
  const Results expected = Calls<float, float, Src, Dst>(problem, threads).All();
  const Results found = Calls<Src, Dst>(problem, threads).All();
  Check(expected.status == NN_OK && found == expected, "%s: differs", text.c_str());
  if (TypeOf(Src()) != TypeOf(Dst())) return;
  const std::vector<float> in_place = Calls<Src, Dst>(problem, threads).InPlace();
  Check(std::equal(in_place.begin(), in_place.end(), expected.y.begin(), IsSame), "%s: in place", text.c_str());
}

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes = LargeShapes();
  ForOperations([&](int operation, int layout) {
    for (const Shape& shape : ShapesOf(operation, layout)) shapes.push_back(shape);
  });
  for (size_t length : {1, 2, 5, 33, 64, 255})
    shapes.push_back({NN_LAYER, NN_CHANNELS_FIRST, 21, length, 1, 1, kEps, false});
  return shapes;
}

}  // namespace

void groups::storage() {
  nn_set_workers(2);
  for (size_t bytes : {size_t{0}, size_t{1}}) {  // within the last-level cache, and beyond
    nn::SetLastLevelCacheBytes(bytes);
    for (int target = 0; target < nn_targets(); ++target) {
      nn_use_target(target);
      ForStorages([&](auto number) {
        size_t turn = 0;
        for (Shape shape : Shapes()) {
          for (double eps : {kEps, 0.0, 1e-30}) {
            shape.eps = eps;
            shape.relu = turn % 2 == 0;
            using T = decltype(number);
            const int threads = turn % 5 < 3 ? 1 : 3;
            TestProblem<T, T>(shape, target, threads, turn);
            if (turn % 3 == 0) TestProblem<nn::f32, T>(shape, target, threads, turn);
            if (turn % 3 == 1) TestProblem<T, nn::f32>(shape, target, threads, turn);
            ++turn;
          }
        }
      });
    }
  }
  nn::SetLastLevelCacheBytes(0);
  nn_set_workers(0);
}

}  // namespace nntest
