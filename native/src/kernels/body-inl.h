// How a family's object puts its bodies into the table.
#ifndef NATIVENORM_BODY_INL_H_
#define NATIVENORM_BODY_INL_H_

#include <type_traits>

#include "kernels/kernels.h"

namespace nn {
namespace NN_TARGET {

// A body as the table has it: where that says void, the kernel says what the elements are.
template <auto kBody, class Body, class Entry>
struct Untyped;
template <auto kBody, class Result, class... Typed, class... Given>
struct Untyped<kBody, Result (*)(Typed...), Result (*)(Given...)> {
  static Result Call(Given... given) { return kBody(static_cast<Typed>(given)...); }
};

}  // namespace NN_TARGET
}  // namespace nn

// A line of variants.def, in a template over the storage type T.
#define NN_ADD(storage, kernel, options)                                                         \
  if constexpr (std::is_same_v<T, storage>) {                                                    \
    table.kernel[options] = &Untyped<&kernel<(options), T>, decltype(&kernel<(options), T>),     \
                                     std::remove_extent_t<decltype(KernelTable::kernel)>>::Call; \
  }

#endif  // NATIVENORM_BODY_INL_H_
