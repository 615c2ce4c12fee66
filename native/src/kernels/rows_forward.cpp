#include "kernels/body-inl.h"
#include "kernels/row_normalize-inl.h"

namespace nn {
namespace NN_TARGET {

template <class T>
void AddRowsForward(KernelTable& table) {
#define NN_VARIANT(storage, kernel, options)
#define NN_ROWS_FORWARD NN_ADD
#include "kernels/variants.def"
}

template void AddRowsForward<NN_STORAGE>(KernelTable&);

}  // namespace NN_TARGET
}  // namespace nn
