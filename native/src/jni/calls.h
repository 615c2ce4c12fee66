// The C functions with arguments where they have structs, as JavaCPP can call them: memory as addresses. Reading one
// out of a Pointer from native code costs two JNI calls each, 0.1 us for ten of them.
#ifndef NATIVENORM_JNI_CALLS_H_
#define NATIVENORM_JNI_CALLS_H_

#include <stdint.h>

#include "nativenorm.h"

namespace nn {

inline nn_plan* Prepare(int32_t operation, int32_t statistics, double eps, int32_t layout, int64_t batch,
                        int64_t channels, int64_t spatial, int64_t groups, int32_t src_type, int32_t dst_type,
                        int32_t parameters_type, int32_t affine, int32_t activation, int32_t task, int32_t threads,
                        signed char* reason, int32_t room) {
  const nn_problem problem = {sizeof problem,  operation, statistics, eps,     batch,    channels,
                              spatial,         groups,    layout,     threads, src_type, dst_type,
                              parameters_type, affine,    activation, task};
  return nn_prepare(&problem, reinterpret_cast<char*>(reason), static_cast<size_t>(room));
}

inline int32_t Execute(const nn_plan* plan, const void* src, void* dst, const void* weight, const void* bias,
                       void* mean, void* variance, const void* diff_dst, void* diff_src, void* diff_weight,
                       void* diff_bias, double* sum_dy, double* sum_dy_centered, double count) {
  const nn_operands operands = {sizeof operands, src,      dst,      weight,      bias,      mean,
                                variance,        diff_dst, diff_src, diff_weight, diff_bias, sum_dy,
                                sum_dy_centered, count};
  return nn_execute(plan, &operands);
}

// Without gradients.
inline int32_t Execute(const nn_plan* plan, const void* src, void* dst, const void* weight, const void* bias,
                       void* mean, void* variance) {
  return Execute(plan, src, dst, weight, bias, mean, variance, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
}

}  // namespace nn

#endif  // NATIVENORM_JNI_CALLS_H_
