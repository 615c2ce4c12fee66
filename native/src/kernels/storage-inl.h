// How elements lie in memory: load and store of each storage type as vectors of floats. Parameters are floats too.
#ifndef NATIVENORM_STORAGE_INL_H_
#define NATIVENORM_STORAGE_INL_H_

#include <type_traits>

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

// A non-temporal store of whole vectors; `to` is aligned to one. Other threads see it after EndStream (plan.h).
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

// bfloat16 is the upper half of a float. It is rounded to the nearest, ties to even; a NaN is cut off: what arithmetic
// makes is quiet, and so is that. x86 puts words where they belong by a table: conversions of integers and shifts would
// take two or three instructions of which processors start only two in each cycle.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
HWY_INLINE Floats Widen(bf16, HalfWords bits) {
  constexpr __mmask32 kUpperWords = 0xAAAAAAAA;
  const __m512i to = _mm512_set_epi32(0xF0000, 0xE0000, 0xD0000, 0xC0000, 0xB0000, 0xA0000, 0x90000, 0x80000, 0x70000,
                                      0x60000, 0x50000, 0x40000, 0x30000, 0x20000, 0x10000, 0);
  return Floats{_mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(kUpperWords, to, _mm512_castsi256_si512(bits.raw)))};
}

HWY_INLINE HalfWords Narrow(bf16, Floats values) {
  const __m512i all = _mm512_castps_si512(values.raw);
  const __mmask16 number = _mm512_cmp_ps_mask(values.raw, values.raw, _CMP_ORD_Q);
  const __mmask16 odd = _mm512_mask_test_epi32_mask(number, all, _mm512_set1_epi32(0x10000));
  const __m512i half = _mm512_mask_add_epi32(all, number, all, _mm512_set1_epi32(0x7FFF));
  const __m512i rounded = _mm512_mask_add_epi32(half, odd, half, _mm512_set1_epi32(1));
  const __m512i upper = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0x1F001D, 0x1B0019, 0x170015, 0x130011, 0xF000D,
                                         0xB0009, 0x70005, 0x30001);
  return HalfWords{_mm512_castsi512_si256(_mm512_permutexvar_epi16(upper, rounded))};
}
#else
#if HWY_ARCH_X86
using Bytes = hn::Vec<hn::Repartition<uint8_t, FloatTag>>;
constexpr hn::Repartition<uint8_t, FloatTag> kBytes;

HWY_INLINE Floats Widen(bf16, HalfWords bits) {
  alignas(32) static constexpr uint8_t kApart[32] = {128, 128, 0,   1,   128, 128, 2,   3,   128, 128, 4,
                                                     5,   128, 128, 6,   7,   128, 128, 8,   9,   128, 128,
                                                     10,  11,  128, 128, 12,  13,  128, 128, 14,  15};
#if HWY_TARGET == HWY_AVX2
  const Bytes both{_mm256_broadcastsi128_si256(bits.raw)};
#else
  const Bytes both{bits.raw};
#endif
  return hn::BitCast(kFloats, hn::TableLookupBytesOr0(both, hn::Load(kBytes, kApart)));
}

HWY_INLINE HalfWords UpperHalves(Words words) {
  alignas(32) static constexpr uint8_t kTogether[32] = {2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15,
                                                        2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15};
  const Bytes halves = hn::TableLookupBytes(hn::BitCast(kBytes, words), hn::Load(kBytes, kTogether));
#if HWY_TARGET == HWY_AVX2
  return HalfWords{_mm256_castsi256_si128(_mm256_permute4x64_epi64(halves.raw, 8))};
#else
  return HalfWords{halves.raw};
#endif
}
#else
HWY_INLINE Floats Widen(bf16, HalfWords bits) {
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(hn::PromoteTo(kWords, bits)));
}

HWY_INLINE HalfWords UpperHalves(Words words) { return LowerHalves(hn::ShiftRight<16>(words)); }
#endif

HWY_INLINE HalfWords Narrow(bf16, Floats values) {
  const Words all = hn::BitCast(kWords, values);
  const auto is_even = hn::Eq(hn::And(all, hn::Set(kWords, 0x10000)), hn::Zero(kWords));
  const Words half = hn::Add(hn::Set(kWords, 0x8000), hn::VecFromMask(kWords, is_even));
  return UpperHalves(hn::Add(all, hn::IfThenZeroElse(hn::RebindMask(kWords, hn::IsNaN(values)), half)));
}
#endif

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

// Whether each row begins where a whole vector can be written with a non-temporal store.
template <class T>
bool StreamsAligned(const T* to, size_t stride) {
  return reinterpret_cast<uintptr_t>(to) % (kLanes * sizeof(T)) == 0 && stride % kLanes == 0;
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

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_STORAGE_INL_H_
