// How a family's object puts its bodies into the table.
#ifndef NATIVENORM_BODY_INL_H_
#define NATIVENORM_BODY_INL_H_

#include <type_traits>

#include "kernels/kernels.h"
#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

// A body for all options that it looks at.
template <auto kBody, class Set, class Result, class... Typed>
HWY_NOINLINE Result RunShared(unsigned options, Typed... typed) {
  return kBody(Set{options}, typed...);
}

// A body as the table has it: where that says void, the kernel says what the elements are.
template <auto kBody, unsigned kOptions, class Body, class Entry>
struct Untyped;
template <auto kBody, unsigned kOptions, unsigned kCompiled, unsigned kLooked, class Result, class... Typed,
          class... Given>
struct Untyped<kBody, kOptions, Result (*)(OptionSet<kCompiled, kLooked>, Typed...), Result (*)(Given...)> {
  static Result Call(Given... given) {
    using Set = OptionSet<kCompiled, kLooked>;
    if constexpr (kLooked == 0) return kBody(Set{0}, static_cast<Typed>(given)...);
    unsigned options = kOptions & kLooked;
    __asm__("" : "+r"(options));  // or compilers would make a body for each value
    return RunShared<kBody, Set, Result, Typed...>(options, static_cast<Typed>(given)...);
  }
};

// Most sets of options are bodies of their own. Without branches in the loops, but with an instruction more, 16 bits
// look at what parameters there are, and F32 with an activation behind rows, which is rare. To compile, 16 bits take
// 0.7 (AVX2) to 1 (AVX-512) of F32's time; F32 took 1.1 of it with bodies for those.
template <unsigned kOptions, class T>
constexpr unsigned kLookedAt = sizeof(T) == 2 || Has(kOptions, kRelu) ? kWeight | kBias : kPlain;
template <unsigned kOptions, class T>
using SetOf = OptionSet<kOptions & ~kLookedAt<kOptions, T>, kLookedAt<kOptions, T>>;

}  // namespace NN_TARGET
}  // namespace nn

// A line of variants.def, in a template over the storage type T.
#define NN_ADD(storage, kernel, options)                                                         \
  if constexpr (std::is_same_v<T, storage>) {                                                    \
    using Set = SetOf<(options), T>;                                                             \
    table.kernel[options] = &Untyped<&kernel<Set, T>, (options), decltype(&kernel<Set, T>),      \
                                     std::remove_extent_t<decltype(KernelTable::kernel)>>::Call; \
  }

#endif  // NATIVENORM_BODY_INL_H_
