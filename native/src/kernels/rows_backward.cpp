#include "kernels/body-inl.h"
#include "kernels/row_gradient-inl.h"

namespace nn {
namespace NN_TARGET {

template <class T>
void AddRowsBackward(KernelTable& table) {
#define NN_VARIANT(storage, kernel, options)
#define NN_ROWS_BACKWARD NN_ADD
#include "kernels/variants.def"
}

template void AddRowsBackward<NN_STORAGE>(KernelTable&);

}  // namespace NN_TARGET
}  // namespace nn
