// Matrices the other way round: channels first to last and back.
#ifndef NATIVENORM_TRANSPOSITION_H_
#define NATIVENORM_TRANSPOSITION_H_

#include "kernels/kernels.h"
#include "threads/workers.h"

namespace nn {

// As nn_transpose, of extents that are 1 or more.
void Transpose(const KernelTable& kernels, const void* src, void* dst, size_t element_bytes, size_t samples,
               size_t rows, size_t columns, Team team);

}  // namespace nn

#endif  // NATIVENORM_TRANSPOSITION_H_
