// What kernels are made of: loops over elements as vectors of floats, whatever they are stored as (storage-inl.h).
#ifndef NATIVENORM_SIMD_INL_H_
#define NATIVENORM_SIMD_INL_H_

#include <stdint.h>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/kernels.h"

// For every lambda in a kernel. Inlined later than its callers it would keep its captures in memory, which GCC 12 reads
// again after each store: LayerNorm of 128x768 took 2.4 times as long (AVX2, 49 us instead of 20), channels-last group
// normalization 1.5 times.
#ifndef NN_INLINED
#define NN_INLINED __attribute__((always_inline))
#endif

// Before a loop whose count the compiler knows: unrolled, so that arrays of vectors are registers. Templates and
// lambdas over each index took a quarter longer to compile.
#ifdef __clang__
#define NN_UNROLLED _Pragma("unroll")
#else
#define NN_UNROLLED _Pragma("GCC unroll 16")
#endif

namespace nn {
namespace NN_TARGET {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using DoubleTag = hn::Repartition<double, FloatTag>;
using Floats = hn::Vec<FloatTag>;
using Doubles = hn::Vec<DoubleTag>;

constexpr FloatTag kFloats;
constexpr DoubleTag kDoubles;
constexpr size_t kLanes = HWY_LANES(float);
// 32 vectors instead of 16.
constexpr bool kManyRegisters = HWY_ARCH_ARM || HWY_TARGET <= HWY_AVX3;

// Cache-set conflict: whether element j of all rows that begin `stride` elements apart falls into one set of the
// first-level cache, whose ways have 4096 bytes.
template <class T>
constexpr bool SetsConflict(size_t stride) {
  return stride * sizeof(T) % 4096 == 0;
}

// Which lanes of a vector there is memory for. Beyond them nothing is read or written, and what is loaded is 0.
struct AllLanes {};
struct FirstLanes {
  size_t count;
};
// All lanes of several vectors, one behind the other.
template <size_t kCount>
struct Vectors {};
// Of two vectors the elements with even offsets, and those with odd ones.
struct EvenLanes {};
struct OddLanes {};

// The values of these lanes, and 0 in the others.
HWY_INLINE Floats Keep(AllLanes, Floats values) { return values; }
HWY_INLINE Floats Keep(FirstLanes lanes, Floats values) {
  return hn::IfThenElseZero(hn::FirstN(kFloats, lanes.count), values);
}

// max(v, 0) that keeps NaN, and is 0 for -0.
HWY_INLINE Floats Relu(Floats v) { return hn::IfThenZeroElse(hn::Le(v, hn::Zero(kFloats)), v); }

// A number the compiler knows.
template <size_t kValue>
struct Index {
  static constexpr size_t value = kValue;
};

// Loops are unrolled to so many vectors with an accumulator each: an addition takes 3 to 4 cycles and two start in each
// cycle, so one accumulator would be 2 to 3 times slower.
constexpr size_t kUnroll = 4;

// body(lanes, offset, index of the accumulator) over n elements; two or four vectors at once where there are several,
// and after four all that are left two at once.
template <size_t kVectors = kUnroll, size_t kAtOnce = 1, class Body>
HWY_INLINE void Sweep(size_t n, const Body& body) {
  size_t i = 0;
  if constexpr (kVectors > 1 && kAtOnce > 1) {
    for (; i + kVectors * kLanes <= n; i += kVectors * kLanes) {
      NN_UNROLLED
      for (size_t k = 0; k < kVectors; k += kAtOnce) body(Vectors<kAtOnce>(), i + k * kLanes, k);
    }
    if constexpr (kAtOnce > 2) {
      if (i + 2 * kLanes <= n) {
        body(Vectors<2>(), i, size_t{0});
        i += 2 * kLanes;
      }
    }
  } else if constexpr (kVectors > 1) {
    for (; i + kVectors * kLanes <= n; i += kVectors * kLanes) {
      NN_UNROLLED
      for (size_t k = 0; k < kVectors; ++k) body(AllLanes(), i + k * kLanes, k);
    }
  }
  for (; i + kLanes <= n; i += kLanes) body(AllLanes(), i, size_t{0});
  if (i < n) body(FirstLanes{n - i}, i, size_t{1});
}

// The same, with `to` aligned at all whole vectors.
template <size_t kVectors = kUnroll, size_t kAtOnce = 1, class T, class Body>
HWY_INLINE void AlignedSweep(const T* to, size_t n, const Body& body) {
  const size_t misaligned = reinterpret_cast<uintptr_t>(to) / sizeof(T) % kLanes;
  const size_t head = misaligned == 0 ? 0 : HWY_MIN(n, kLanes - misaligned);
  if (head > 0) body(FirstLanes{head}, size_t{0}, size_t{0});
  Sweep<kVectors, kAtOnce>(n - head, [&](auto lanes, size_t i, size_t k) NN_INLINED { body(lanes, head + i, k); });
}

// Prefetches the line of a sweep's k-th vector, once for each line; where there is no memory it does nothing. A row is
// read to be measured, and again while it is written with non-temporal stores: meanwhile the next one is prefetched
// (AVX2: LayerNorm of 16384x768 5070 us -> 4380, its gradients 7120 -> 6250, instance normalization of 4x64x128x128
// 1210 -> 1000).
template <class T>
HWY_INLINE void Prefetch(size_t k, const T* from) {
  constexpr size_t kVectors = HWY_MAX(1, 64 / (kLanes * sizeof(T)));
  if (k % kVectors == 0) hwy::Prefetch(from);
}

// How far ahead of a row the next one is prefetched; 0 for the last.
template <class Rows>
size_t Ahead(const Rows& rows, size_t row) {
  return row + 1 < rows.rows ? rows.length : 0;
}

// The options of a body: those that it is compiled with, and those that it looks at as it runs, kLooked.
template <unsigned kCompiled, unsigned kLooked>
struct OptionSet {
  unsigned looked;
};

// Known to the compiler, unless it is looked at.
template <Options kOption, unsigned kCompiled, unsigned kLooked>
HWY_INLINE constexpr bool Has(OptionSet<kCompiled, kLooked> set) {
  return (kLooked & kOption) != 0 ? (set.looked & kOption) != 0 : (kCompiled & kOption) != 0;
}

// An option that is not looked at.
template <Options kOption, class Set>
constexpr bool kHas = false;
template <Options kOption, unsigned kCompiled, unsigned kLooked>
constexpr bool kHas<kOption, OptionSet<kCompiled, kLooked>> = (kCompiled & kOption) != 0;

// Whether a body looks at an option.
template <Options kOption, class Set>
constexpr bool kLooksAt = false;
template <Options kOption, unsigned kCompiled, unsigned kLooked>
constexpr bool kLooksAt<kOption, OptionSet<kCompiled, kLooked>> = (kLooked & kOption) != 0;

// What is left of a set: one body for all that differ elsewhere.
template <unsigned kKept, unsigned kCompiled, unsigned kLooked>
HWY_INLINE OptionSet<kCompiled & kKept, kLooked & kKept> Only(OptionSet<kCompiled, kLooked> set) {
  return {set.looked};
}

// The same options, of which these are looked at: one body for rare cases.
template <unsigned kAt, unsigned kCompiled, unsigned kLooked>
HWY_INLINE OptionSet<kCompiled & ~kAt, kLooked | kAt> LookAt(OptionSet<kCompiled, kLooked> set) {
  return {set.looked | (kCompiled & kAt)};
}

// Calls body with true or false as a type, so that a choice is made outside of the loops.
template <class Body>
HWY_INLINE void Choose(bool choice, const Body& body) {
  if (choice) {
    body(Index<true>());
  } else {
    body(Index<false>());
  }
}

HWY_INLINE Doubles LowerDoubles(Floats v) { return hn::PromoteTo(kDoubles, hn::LowerHalf(hn::Half<FloatTag>(), v)); }
HWY_INLINE Doubles UpperDoubles(Floats v) { return hn::PromoteTo(kDoubles, hn::UpperHalf(hn::Half<FloatTag>(), v)); }

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_SIMD_INL_H_
