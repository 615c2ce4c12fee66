// What kernels are made of: loops over elements as vectors of floats, for any storage type. Included only by
// kernels.cpp, which is compiled once for each instruction set.
#ifndef NATIVENORM_SIMD_INL_H_
#define NATIVENORM_SIMD_INL_H_

#include <stdint.h>

#include <utility>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

// For every lambda in a kernel. Inlined later than its callers it would keep its captures in memory, which GCC 12 reads
// again after each store: LayerNorm of 128x768 took 2.4 times as long (AVX2, 49 us instead of 20), channels-last group
// normalization 1.5 times.
#ifndef NN_INLINED
#define NN_INLINED __attribute__((always_inline))
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

// AVX2 and AVX-512 have masked loads and stores. Elsewhere (SSE4, NEON) Highway's touch the whole vector, which may end
// on a page that is not there: so some lanes are loaded by way of the stack, and stored by halves. AVX2's masked store
// takes AMD's processors 12 cycles: batch normalization of 16x256x14x14 took 7 % longer, of 8x61x17x13 13 %.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
constexpr bool kHasMaskedLoad = true;
#else
constexpr bool kHasMaskedLoad = false;
#endif
constexpr bool kHasMaskedStore = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3;

HWY_INLINE float ToFloat(float value) { return value; }

HWY_INLINE Floats Load(AllLanes, const float* from) { return hn::LoadU(kFloats, from); }

HWY_INLINE Floats Load(FirstLanes lanes, const float* from) {
  if constexpr (kHasMaskedLoad) {
    return hn::MaskedLoad(hn::FirstN(kFloats, lanes.count), kFloats, from);
  }
  HWY_ALIGN float values[kLanes] = {};
  for (size_t i = 0; i < lanes.count; ++i) values[i] = from[i];
  return hn::Load(kFloats, values);
}

HWY_INLINE void Store(AllLanes, Floats values, float* to) { hn::StoreU(values, kFloats, to); }

// The first `count` of fewer than kCount values.
template <size_t kCount, class V>
HWY_INLINE void StoreByHalves(V values, size_t count, float* to) {
  if constexpr (kCount > 1) {
    constexpr hn::FixedTag<float, kCount / 2> half;
    auto tail = hn::LowerHalf(half, values);
    if ((count & kCount / 2) != 0) {
      hn::StoreU(tail, half, to);
      to += kCount / 2;
      tail = hn::UpperHalf(half, values);
    }
    StoreByHalves<kCount / 2>(tail, count, to);
  }
}

HWY_INLINE void Store(FirstLanes lanes, Floats values, float* to) {
  if constexpr (kHasMaskedStore) {
    hn::BlendedStore(values, hn::FirstN(kFloats, lanes.count), kFloats, to);
  } else {
    StoreByHalves<kLanes>(values, lanes.count, to);
  }
}

// A non-temporal store of whole vectors; `to` is aligned to one. Other threads see it after hwy::FlushStream.
HWY_INLINE void Stream(AllLanes, Floats values, float* to) { hn::Stream(values, kFloats, to); }
HWY_INLINE void Stream(FirstLanes lanes, Floats values, float* to) { Store(lanes, values, to); }

// The values of these lanes, and 0 in the others.
HWY_INLINE Floats Keep(AllLanes, Floats values) { return values; }
HWY_INLINE Floats Keep(FirstLanes lanes, Floats values) {
  return hn::IfThenElseZero(hn::FirstN(kFloats, lanes.count), values);
}

// max(v, 0) that keeps NaN, and is 0 for -0.
HWY_INLINE Floats Relu(Floats v) { return hn::IfThenZeroElse(hn::Le(v, hn::Zero(kFloats)), v); }

// A number the compiler knows: which of several accumulators a body is to use.
template <size_t kValue>
struct Index {
  static constexpr size_t value = kValue;
};

template <class Body, size_t... kIndices>
HWY_INLINE void RepeatOver(const Body& body, std::index_sequence<kIndices...>) {
  (body(Index<kIndices>()), ...);
}

// body(Index<0>) ... body(Index<kCount - 1>), unrolled.
template <size_t kCount, class Body>
HWY_INLINE void Repeat(const Body& body) {
  RepeatOver(body, std::make_index_sequence<kCount>());
}

// Loops are unrolled to so many vectors with an accumulator each: an addition takes 3 to 4 cycles and two start in each
// cycle, so one accumulator would be 2 to 3 times slower.
constexpr size_t kUnroll = 4;

// body(lanes, offset, index of the accumulator) over n elements.
template <class Body>
HWY_INLINE void Sweep(size_t n, const Body& body) {
  size_t i = 0;
  for (; i + kUnroll * kLanes <= n; i += kUnroll * kLanes) {
    Repeat<kUnroll>([&](auto k) NN_INLINED { body(AllLanes(), i + k.value * kLanes, k); });
  }
  for (; i + kLanes <= n; i += kLanes) body(AllLanes(), i, Index<0>());
  if (i < n) body(FirstLanes{n - i}, i, Index<1>());
}

// The same, with `to` aligned at all whole vectors.
template <class T, class Body>
HWY_INLINE void AlignedSweep(const T* to, size_t n, const Body& body) {
  const size_t misaligned = reinterpret_cast<uintptr_t>(to) / sizeof(T) % kLanes;
  const size_t head = misaligned == 0 ? 0 : HWY_MIN(n, kLanes - misaligned);
  if (head > 0) body(FirstLanes{head}, 0, Index<0>());
  Sweep(n - head, [&](auto lanes, size_t i, auto k) NN_INLINED { body(lanes, head + i, k); });
}

// Prefetches the line of a sweep's k-th vector, once for each line; where there is no memory it does nothing. A row is
// read to be measured, and again while it is written with non-temporal stores: meanwhile the next one is prefetched
// (AVX2: LayerNorm of 16384x768 5070 us -> 4380, its gradients 7120 -> 6250, instance normalization of 4x64x128x128
// 1210 -> 1000).
template <size_t kIndex, class T>
HWY_INLINE void Prefetch(Index<kIndex>, const T* from) {
  constexpr size_t kVectors = HWY_MAX(1, 64 / (kLanes * sizeof(T)));
  if constexpr (kIndex % kVectors == 0) hwy::Prefetch(from);
}

// to[i] = value(lanes, i, k) for n elements, with non-temporal stores or not; k is the vector's index in the sweep.
template <bool kStream, class T, class Value>
HWY_INLINE void Write(T* to, size_t n, const Value& value) {
  if constexpr (kStream) {
    AlignedSweep(to, n, [&](auto lanes, size_t i, auto k) NN_INLINED { Stream(lanes, value(lanes, i, k), to + i); });
    hwy::FlushStream();
  } else {
    Sweep(n, [&](auto lanes, size_t i, auto k) NN_INLINED { Store(lanes, value(lanes, i, k), to + i); });
  }
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
