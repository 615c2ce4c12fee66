// Which kernels a plan may call.
#ifndef NATIVENORM_VARIANTS_H_
#define NATIVENORM_VARIANTS_H_

#include "plan/plan.h"

namespace nn {

// The first kernel of which the plan's table lacks a body that its driver may call, or null: such a problem is refused.
const char* MissingKernel(const Plan& p);

}  // namespace nn

#endif  // NATIVENORM_VARIANTS_H_
