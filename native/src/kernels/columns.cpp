#include "kernels/body-inl.h"
#include "kernels/column_sums-inl.h"
#include "kernels/columns-inl.h"

namespace nn {
namespace NN_TARGET {

template <class T>
void AddColumns(KernelTable& table) {
#define NN_VARIANT(storage, kernel, options)
#define NN_COLUMNS NN_ADD
#include "kernels/variants.def"
}

template void AddColumns<NN_STORAGE>(KernelTable&);

}  // namespace NN_TARGET
}  // namespace nn
