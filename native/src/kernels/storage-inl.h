// How elements lie in memory: load and store of each storage type as vectors of floats. Parameters are floats too.
#ifndef NATIVENORM_STORAGE_INL_H_
#define NATIVENORM_STORAGE_INL_H_

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

// AVX2 and AVX-512 have masked loads and stores. Elsewhere (SSE4, NEON) Highway's touch the whole vector, which may end
// on a page that is not there: so some lanes are loaded by way of the stack, and stored by halves. AVX2's masked store
// takes AMD's processors 12 cycles: batch normalization of 16x256x14x14 took 7 % longer, of 8x61x17x13 13 %.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
constexpr bool kHasMaskedLoad = true;
#else
constexpr bool kHasMaskedLoad = false;
#endif
constexpr bool kHasMaskedStore = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3;

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
template <size_t kCount, class V, class Element>
HWY_INLINE void StoreByHalves(V values, size_t count, Element* to) {
  if constexpr (kCount > 1) {
    constexpr hn::FixedTag<Element, kCount / 2> half;
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

// Types of 16 bits: each says how its bits become floats, and floats its bits.
using Words = hn::Vec<hn::RebindToUnsigned<FloatTag>>;
constexpr hn::RebindToUnsigned<FloatTag> kWords;
constexpr hn::Rebind<uint16_t, FloatTag> kHalfWords;
using HalfWords = hn::Vec<decltype(kHalfWords)>;

// The lower halves.
HWY_INLINE HalfWords LowerHalves(Words words) {
  return hn::DemoteTo(kHalfWords, hn::BitCast(hn::RebindToSigned<FloatTag>(), words));
}

// bfloat16 is the upper half of a float.
HWY_INLINE Floats Widen(bf16, HalfWords bits) {
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(hn::PromoteTo(kWords, bits)));
}

// To the nearest, ties to even. A NaN is cut off: what arithmetic makes is quiet, and so is that.
HWY_INLINE HalfWords Narrow(bf16, Floats values) {
  const Words all = hn::BitCast(kWords, values), upper = hn::ShiftRight<16>(all);
  const Words half = hn::Add(hn::Set(kWords, 0x7FFF), hn::And(upper, hn::Set(kWords, 1)));
  const Words rounded = hn::ShiftRight<16>(hn::Add(all, half));
  return LowerHalves(hn::IfThenElse(hn::RebindMask(kWords, hn::IsNaN(values)), upper, rounded));
}

// IEEE 754's binary16. SSE4 has no instructions for it, and Highway's functions there do not round to the nearest.
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2
HWY_INLINE Floats Widen(f16, HalfWords bits) {
  const Words all = hn::PromoteTo(kWords, bits);
  const Words sign = hn::ShiftLeft<16>(hn::And(all, hn::Set(kWords, 0x8000)));
  const Words size = hn::ShiftLeft<13>(hn::And(all, hn::Set(kWords, 0x7FFF))), infinity = hn::Set(kWords, 0x7C00 << 13);
  // Multiplied, subnormal numbers become normal ones.
  const Words scaled = hn::BitCast(kWords, hn::Mul(hn::BitCast(kFloats, size), hn::Set(kFloats, 0x1p112f)));
  const Words not_finite = hn::Or(size, hn::Set(kWords, 0x7F800000));
  return hn::BitCast(kFloats, hn::Or(sign, hn::IfThenElse(hn::Eq(hn::Max(size, infinity), size), not_finite, scaled)));
}

HWY_INLINE HalfWords Narrow(f16, Floats values) {
  const Floats size = hn::Abs(values), half = hn::Set(kFloats, 0.5f);
  const Words sign = hn::ShiftRight<16>(hn::AndNot(hn::BitCast(kWords, size), hn::BitCast(kWords, values)));
  // From 2^16 on all are infinity.
  const Words all = hn::BitCast(kWords, hn::Min(size, hn::Set(kFloats, 65536.0f)));
  const Words odd = hn::And(hn::ShiftRight<13>(all), hn::Set(kWords, 1));
  const Words less_bias = hn::Add(all, hn::Set(kWords, 0xFFF - ((127u - 15) << 23)));
  const Words normal = hn::ShiftRight<13>(hn::Add(less_bias, odd));
  // 0.5's last bit is 2^-24, the smallest number.
  const Words subnormal = hn::Sub(hn::BitCast(kWords, hn::Add(size, half)), hn::BitCast(kWords, half));
  const auto is_subnormal = hn::RebindMask(kWords, hn::Lt(size, hn::Set(kFloats, 0x1p-14f)));
  const Words number = hn::IfThenElse(is_subnormal, subnormal, normal);
  const auto is_nan = hn::RebindMask(kWords, hn::IsNaN(values));
  return LowerHalves(hn::Or(sign, hn::IfThenElse(is_nan, hn::Set(kWords, 0x7E00), number)));
}
#else
constexpr hn::Rebind<hwy::float16_t, FloatTag> kHalfFloats;
HWY_INLINE Floats Widen(f16, HalfWords bits) { return hn::PromoteTo(kFloats, hn::BitCast(kHalfFloats, bits)); }
HWY_INLINE HalfWords Narrow(f16, Floats values) { return hn::BitCast(kHalfWords, hn::DemoteTo(kHalfFloats, values)); }
#endif

template <class T>
HWY_INLINE float ToFloat(T value) {
  return value;
}

template <class T>
HWY_INLINE Floats Load(AllLanes, const T* from) {
  return Widen(T(), hn::LoadU(kHalfWords, &from->bits));
}

// Not inlined, like the store of some lanes: once a run, and a quarter of the code of all kernels.
template <class T>
HWY_NOINLINE Floats LoadFirst(const T* from, size_t count) {
  HWY_ALIGN uint16_t bits[kLanes] = {};
  for (size_t i = 0; i < count; ++i) bits[i] = from[i].bits;
  return Widen(T(), hn::Load(kHalfWords, bits));
}

template <class T>
HWY_INLINE Floats Load(FirstLanes lanes, const T* from) {
  if constexpr (kHasMaskedStore) {  // of 16 bits, too
    return Widen(T(), hn::MaskedLoad(hn::FirstN(kHalfWords, lanes.count), kHalfWords, &from->bits));
  } else {
    return LoadFirst(from, lanes.count);
  }
}

template <class T>
HWY_INLINE void Store(AllLanes, Floats values, T* to) {
  hn::StoreU(Narrow(T(), values), kHalfWords, &to->bits);
}

template <class T>
HWY_NOINLINE void StoreFirst(Floats values, size_t count, T* to) {
  StoreByHalves<kLanes>(Narrow(T(), values), count, &to->bits);
}

template <class T>
HWY_INLINE void Store(FirstLanes lanes, Floats values, T* to) {
  if constexpr (kHasMaskedStore) {
    hn::BlendedStore(Narrow(T(), values), hn::FirstN(kHalfWords, lanes.count), kHalfWords, &to->bits);
  } else {
    StoreFirst(values, lanes.count, to);
  }
}

// There are no non-temporal stores of fewer than 16 bytes: four elements of SSE4 and NEON are 8.
template <class T>
HWY_INLINE void Stream(AllLanes lanes, Floats values, T* to) {
  if constexpr (kLanes * sizeof(T) >= 16) {
    hn::Stream(Narrow(T(), values), kHalfWords, &to->bits);
  } else {
    Store(lanes, values, to);
  }
}
template <class T>
HWY_INLINE void Stream(FirstLanes lanes, Floats values, T* to) {
  Store(lanes, values, to);
}

// dy where the output is positive or NaN, else 0; all of dy without an activation.
template <class Set, class Lanes, class T>
HWY_INLINE Floats Cut(Set set, Lanes lanes, const T* dy, const T* y, size_t i) {
  const Floats gradient = Load(lanes, dy + i);
  if (Has<kRelu>(set)) {
    return hn::IfThenZeroElse(hn::Le(Load(lanes, y + i), hn::Zero(kFloats)), gradient);
  }
  return gradient;
}

// to[i] = value(lanes, i, k) for n elements, with non-temporal stores or not; k is the vector's index in the sweep.
template <bool kStream, size_t kVectors = kUnroll, class T, class Value>
HWY_INLINE void Write(T* to, size_t n, const Value& value) {
  if constexpr (kStream) {
    AlignedSweep<kVectors>(to, n,
                           [&](auto lanes, size_t i, auto k) NN_INLINED { Stream(lanes, value(lanes, i, k), to + i); });
    hwy::FlushStream();
  } else {
    Sweep<kVectors>(n, [&](auto lanes, size_t i, auto k) NN_INLINED { Store(lanes, value(lanes, i, k), to + i); });
  }
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_STORAGE_INL_H_
