#include "calls.h"

namespace nntest {
namespace {

nn_operands Nothing() {
  nn_operands operands = {};
  operands.size = sizeof operands;
  return operands;
}

// What a task reads only is not const in the struct, where another one writes it.
template <class T>
T* Unconst(const T* pointer) {
  return const_cast<T*>(pointer);
}

}  // namespace

nn_problem ProblemOf(const Shape& shape, int task, bool given, int threads) {
  nn_problem problem = {};
  problem.size = sizeof problem;
  problem.operation = shape.operation;
  problem.statistics = given ? NN_GIVEN : NN_COMPUTED;
  problem.eps = shape.eps;
  problem.batch = static_cast<int64_t>(shape.batch);
  problem.channels = static_cast<int64_t>(shape.channels);
  problem.spatial = static_cast<int64_t>(shape.spatial);
  problem.groups = static_cast<int64_t>(shape.groups);
  problem.layout = shape.layout;
  problem.threads = threads;
  problem.affine = NN_WEIGHT + NN_BIAS;
  problem.activation = shape.relu ? NN_RELU : NN_NONE;
  problem.task = task;
  return problem;
}

Plan Prepare(const Shape& shape, int task, bool given, int threads) {
  const nn_problem problem = ProblemOf(shape, task, given, threads);
  return Plan(nn_prepare(&problem, nullptr, 0));
}

nn_operands ForwardOperands(const float* src, float* dst, const float* weight, const float* bias, void* mean,
                            void* variance) {
  nn_operands operands = Nothing();
  operands.src = src;
  operands.dst = dst;
  operands.weight = weight;
  operands.bias = bias;
  operands.mean = mean;
  operands.variance = variance;
  return operands;
}

nn_operands MeasureOperands(const float* src, double* mean, double* m2) {
  return ForwardOperands(src, nullptr, nullptr, nullptr, mean, m2);
}

int Forward(const Plan& plan, const float* src, float* dst, const float* weight, const float* bias, float* mean,
            float* variance) {
  const nn_operands operands = ForwardOperands(src, dst, weight, bias, mean, variance);
  return nn_execute(plan.get(), &operands);
}

int Backward(const Plan& plan, const float* src, const float* dst, const float* weight, const float* mean,
             const float* variance, const float* diff_dst, float* diff_src, float* diff_weight, float* diff_bias) {
  nn_operands operands = ForwardOperands(src, Unconst(dst), weight, nullptr, Unconst(mean), Unconst(variance));
  operands.diff_dst = diff_dst;
  operands.diff_src = diff_src;
  operands.diff_weight = diff_weight;
  operands.diff_bias = diff_bias;
  return nn_execute(plan.get(), &operands);
}

int Measure(const Plan& plan, const float* src, double* mean, double* m2) {
  const nn_operands operands = MeasureOperands(src, mean, m2);
  return nn_execute(plan.get(), &operands);
}

int Apply(const Plan& plan, const float* src, float* dst, const float* weight, const float* bias, const double* mean,
          const double* variance) {
  const nn_operands operands = ForwardOperands(src, dst, weight, bias, Unconst(mean), Unconst(variance));
  return nn_execute(plan.get(), &operands);
}

int SumGradients(const Plan& plan, const float* src, const float* dst, const float* diff_dst, const double* mean,
                 double* sum_dy, double* sum_dy_centered) {
  nn_operands operands = ForwardOperands(src, Unconst(dst), nullptr, nullptr, Unconst(mean), nullptr);
  operands.diff_dst = diff_dst;
  operands.sum_dy = sum_dy;
  operands.sum_dy_centered = sum_dy_centered;
  return nn_execute(plan.get(), &operands);
}

int ApplyGradients(const Plan& plan, const float* src, const float* dst, const float* weight, const double* mean,
                   const double* variance, const float* diff_dst, const double* sum_dy, const double* sum_dy_centered,
                   double count, float* diff_src) {
  nn_operands operands = ForwardOperands(src, Unconst(dst), weight, nullptr, Unconst(mean), Unconst(variance));
  operands.diff_dst = diff_dst;
  operands.diff_src = diff_src;
  operands.sum_dy = Unconst(sum_dy);
  operands.sum_dy_centered = Unconst(sum_dy_centered);
  operands.count = count;
  return nn_execute(plan.get(), &operands);
}

}  // namespace nntest
