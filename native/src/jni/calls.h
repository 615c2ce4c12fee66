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
                        double unit_offset, int64_t rows_together, int64_t src_stride, int64_t dst_stride,
                        int64_t diff_dst_stride, int64_t diff_src_stride, int64_t masked, const char* threads_of,
                        signed char* reason, int32_t room) {
  const nn_problem problem = {
      sizeof problem, operation,     statistics, eps,        batch,           channels,        spatial,    groups,
      layout,         threads,       src_type,   dst_type,   parameters_type, affine,          activation, task,
      unit_offset,    rows_together, src_stride, dst_stride, diff_dst_stride, diff_src_stride, masked,     threads_of};
  return nn_prepare(&problem, reinterpret_cast<char*>(reason), static_cast<size_t>(room));
}

inline int32_t Execute(const nn_plan* plan, const void* src, void* dst, const void* weight, const void* bias,
                       void* mean, void* variance, const void* diff_dst, void* diff_src, void* diff_weight,
                       void* diff_bias, double* sum_dy, double* sum_dy_centered, double count, int64_t accumulate,
                       const void* mask, int64_t first_unit = 0, int64_t units = 0) {
  const nn_operands operands = {
      sizeof operands, src,      dst,        weight,      bias,       mean,
      variance,        diff_dst, diff_src,   diff_weight, diff_bias,  sum_dy,
      sum_dy_centered, count,    first_unit, units,       accumulate, static_cast<const unsigned char*>(mask)};
  return nn_execute(plan, &operands);
}

// Inference from and to a place in arrays, of some rows, or of all if these are 0.
inline int32_t Infer(const nn_plan* plan, const float* src, int32_t src_from, float* dst, int32_t dst_from,
                     const void* weight, const void* bias, void* mean, void* variance, int64_t first_row,
                     int64_t rows) {
  nn_operands operands = {};
  operands.size = sizeof operands;
  operands.src = src + src_from;
  operands.dst = dst + dst_from;
  operands.weight = weight;
  operands.bias = bias;
  operands.mean = mean;
  operands.variance = variance;
  operands.first_unit = first_row;
  operands.units = rows;
  return nn_execute(plan, &operands);
}

// The same in one array, which for the JVM is one to hold instead of two: 20 ns of a call.
inline int32_t Infer(const nn_plan* plan, float* array, int32_t src_from, int32_t dst_from, const void* weight,
                     const void* bias, void* mean, void* variance, int64_t first_row, int64_t rows) {
  return Infer(plan, array, src_from, array, dst_from, weight, bias, mean, variance, first_row, rows);
}

// The same with parameters in arrays; a bias that is null has no place.
inline int32_t Infer(const nn_plan* plan, const float* src, int32_t src_from, float* dst, int32_t dst_from,
                     const float* weight, int32_t weight_from, const float* bias, int32_t bias_from, int64_t first_row,
                     int64_t rows) {
  return Infer(plan, src, src_from, dst, dst_from, weight + weight_from, bias == nullptr ? bias : bias + bias_from,
               nullptr, nullptr, first_row, rows);
}

// A part of an array to its place in memory, and back.
inline int32_t CopyIn(const float* from, void* to, int64_t first, int64_t count, int32_t threads) {
  return nn_convert(from + first, NN_F32, static_cast<float*>(to) + first, NN_F32, count, threads);
}
inline int32_t CopyOut(const void* from, float* to, int64_t first, int64_t count, int32_t threads) {
  return nn_convert(static_cast<const float*>(from) + first, NN_F32, to + first, NN_F32, count, threads);
}

// Training with some operands on heap arrays, which are null for the others; input, output and their gradients from a
// place in them on. Of some units, or of all if these are 0.
inline int32_t ExecuteOnArrays(const nn_plan* plan, const float* src_array, const void* src, float* dst_array,
                               void* dst, const void* weight, const void* bias, void* mean, void* variance,
                               const float* diff_dst_array, const void* diff_dst, float* diff_src_array, void* diff_src,
                               float* diff_weight_array, void* diff_weight, float* diff_bias_array, void* diff_bias,
                               int64_t arrays_from, int64_t accumulate, const void* mask, int64_t first_unit,
                               int64_t units) {
  const auto choose = [](auto* array, int64_t from, auto* memory) -> decltype(memory) {
    return array != nullptr ? array + from : memory;
  };
  return Execute(plan, choose(src_array, arrays_from, src), choose(dst_array, arrays_from, dst), weight, bias, mean,
                 variance, choose(diff_dst_array, arrays_from, diff_dst), choose(diff_src_array, arrays_from, diff_src),
                 choose(diff_weight_array, 0, diff_weight), choose(diff_bias_array, 0, diff_bias), nullptr, nullptr, 0,
                 accumulate, mask, first_unit, units);
}

}  // namespace nn

#endif  // NATIVENORM_JNI_CALLS_H_
