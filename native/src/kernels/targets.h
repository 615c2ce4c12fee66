// The instruction sets there are kernels for.
#ifndef NATIVENORM_TARGETS_H_
#define NATIVENORM_TARGETS_H_

#include "kernels/kernels.h"

namespace nn {

// Those that this CPU runs, worst first.
int TargetCount();
const Target& TargetAt(int index);

}  // namespace nn

#endif  // NATIVENORM_TARGETS_H_
