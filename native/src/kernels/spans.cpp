#include "kernels/body-inl.h"
#include "kernels/pack-inl.h"
#include "kernels/spans-inl.h"
#include "kernels/transpose-inl.h"

namespace nn {
namespace NN_TARGET {

template <class T>
void AddSpans(KernelTable& table) {
#define NN_VARIANT(storage, kernel, options)
#define NN_SPANS NN_ADD
#include "kernels/variants.def"
}

template void AddSpans<NN_STORAGE>(KernelTable&);

}  // namespace NN_TARGET
}  // namespace nn
