// How a family's object puts its bodies into the table.
#ifndef NATIVENORM_BODY_INL_H_
#define NATIVENORM_BODY_INL_H_

#include <type_traits>

#include "kernels/kernels.h"
#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

// A body as the table has it: where that says void, the kernel says what the elements are.
template <auto kBody, unsigned kOptions, class Body, class Entry>
struct Untyped;
template <auto kBody, unsigned kOptions, unsigned kCompiled, unsigned kLooked, class Result, class... Typed,
          class... Given>
struct Untyped<kBody, kOptions, Result (*)(OptionSet<kCompiled, kLooked>, Typed...), Result (*)(Given...)> {
  static Result Call(Given... given) {
    unsigned options = kOptions & kLooked;
    if constexpr (kLooked != 0) {
      __asm__("" : "+r"(options));  // or compilers would make a body for each value
      return Shared(options, static_cast<Typed>(given)...);
    } else {
      return kBody({options}, static_cast<Typed>(given)...);
    }
  }

 private:
  HWY_NOINLINE static Result Shared(unsigned options, Typed... typed) { return kBody({options}, typed...); }
};

// F32 has a body for each set of options. Of 16 bits many are looked at, in loops that wait for memory: for AVX2 a type
// takes 22 seconds to compile, with bodies of their own 34 (F32: 34).
constexpr unsigned kLookedAt = kRelu | kConstants | kWeight | kBias;
template <unsigned kOptions, class T>
using SetOf = std::conditional_t<sizeof(T) == 2, OptionSet<kOptions & ~kLookedAt, kLookedAt>, OptionSet<kOptions, 0>>;

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
