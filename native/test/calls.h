// The C functions with arguments where they have structs.
#ifndef NATIVENORM_CALLS_H_
#define NATIVENORM_CALLS_H_

#include <memory>
#include <string>

#include "nativenorm.h"
#include "oracle.h"

namespace nntest {

struct ReleasePlan {
  void operator()(nn_plan* plan) const { nn_release(plan); }
};
using Plan = std::unique_ptr<nn_plan, ReleasePlan>;

// What came of preparing a problem: a plan or a reason.
struct Prepared {
  Plan plan;
  std::string reason;

  explicit Prepared(const nn_problem* problem) {
    char text[200] = "left as it was";
    plan.reset(nn_prepare(problem, text, sizeof text));
    reason = text;
  }
  explicit Prepared(const nn_problem& problem) : Prepared(&problem) {}
};

// With weight and bias, which may be null all the same.
nn_problem ProblemOf(const Shape& shape, int task, bool given, int threads);
Plan Prepare(const Shape& shape, int task, bool given, int threads);

nn_operands ForwardOperands(const float* src, float* dst, const float* weight, const float* bias, void* mean,
                            void* variance);
nn_operands MeasureOperands(const float* src, double* mean, double* m2);

int Forward(const Plan& plan, const float* src, float* dst, const float* weight, const float* bias, float* mean,
            float* variance);
int Backward(const Plan& plan, const float* src, const float* dst, const float* weight, const float* mean,
             const float* variance, const float* diff_dst, float* diff_src, float* diff_weight, float* diff_bias);

int Measure(const Plan& plan, const float* src, double* mean, double* m2);
int Apply(const Plan& plan, const float* src, float* dst, const float* weight, const float* bias, const double* mean,
          const double* variance);
int SumGradients(const Plan& plan, const float* src, const float* dst, const float* diff_dst, const double* mean,
                 double* sum_dy, double* sum_dy_centered);
int ApplyGradients(const Plan& plan, const float* src, const float* dst, const float* weight, const double* mean,
                   const double* variance, const float* diff_dst, const double* sum_dy, const double* sum_dy_centered,
                   double count, float* diff_src);

}  // namespace nntest

#endif  // NATIVENORM_CALLS_H_
