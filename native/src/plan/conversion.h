// Elements of one storage type as another, and problems whose input and output are of two types: they are computed in
// F32, of which one of the two is, with the other's tensors converted before and after.
#ifndef NATIVENORM_CONVERSION_H_
#define NATIVENORM_CONVERSION_H_

#include "nativenorm.h"
#include "plan/plan.h"

namespace nn {

// Converts n elements by a team: to the nearest, ties to even. Of one type all bits stay.
void Convert(const KernelTable& src_type, const void* src, const KernelTable& dst_type, void* dst, size_t n, Team team);

// Runs a task of a plan that converts.
int RunConverted(const Plan& plan, const nn_operands& operands, int (*task)(const Plan&, const nn_operands&));

}  // namespace nn

#endif  // NATIVENORM_CONVERSION_H_
