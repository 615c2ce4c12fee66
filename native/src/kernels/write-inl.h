// Writing numbers as elements, with the types of 16 bits by two vectors where that takes fewer instructions.
#ifndef NATIVENORM_WRITE_INL_H_
#define NATIVENORM_WRITE_INL_H_

#include <type_traits>

#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"

namespace nn {
namespace NN_TARGET {

// Where two vectors are rounded together with fewer instructions: as vectors of words, of the upper halves of all
// floats and of the lower ones. A lower half above 0x8000, or at it beside an odd upper half, adds 1 to the upper one;
// saturated and by the larger of both, a NaN whose upper half is all ones stays one.
template <class T>
constexpr bool kStoresByTwo = HWY_ARCH_X86&& HWY_TARGET <= HWY_AVX2&& std::is_same_v<T, bf16>;
// Where pairs of vectors, one of even elements and one of odd ones, take fewer still: a shift and a mask make them of
// one load, and a shift and a blend one store.
template <class T>
constexpr bool kHasPairs = HWY_ARCH_X86&& HWY_TARGET == HWY_AVX2&& std::is_same_v<T, bf16>;

constexpr hn::Repartition<uint16_t, FloatTag> kAllHalfWords;
using AllHalfWords = hn::Vec<decltype(kAllHalfWords)>;

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#if HWY_TARGET <= HWY_AVX3
// 6 instructions instead of 10: LayerNorm of 128x768 takes 0.9 of the time.
HWY_INLINE AllHalfWords Narrow(bf16, Floats first, Floats second) {
  alignas(64) static constexpr uint16_t kOdd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                    33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  const __m512i one = _mm512_set1_epi16(1), odd = _mm512_load_si512(kOdd), even = _mm512_sub_epi16(odd, one);
  const __m512i a = _mm512_castps_si512(first.raw), b = _mm512_castps_si512(second.raw);
  const __m512i upper = _mm512_permutex2var_epi16(a, odd, b), lower = _mm512_permutex2var_epi16(a, even, b);
  const __m512i sum = _mm512_ternarylogic_epi32(lower, upper, one, 0xF8);  // lower | (upper & one)
  const __mmask32 up = _mm512_cmpgt_epu16_mask(sum, _mm512_set1_epi16(-0x8000));
  return AllHalfWords{_mm512_max_epu16(_mm512_mask_adds_epi16(upper, up, upper, one), upper)};
}
#else
HWY_INLINE Floats Load(EvenLanes, const bf16* from) {
  const Words both = hn::BitCast(kWords, hn::LoadU(kAllHalfWords, &from->bits));
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(both));
}

HWY_INLINE Floats Load(OddLanes, const bf16* from) {
  const Words both = hn::BitCast(kWords, hn::LoadU(kAllHalfWords, &from->bits));
  return hn::BitCast(kFloats, hn::And(both, hn::Set(kWords, 0xFFFF0000)));
}

// Floats that go with such elements lie in the order of these vectors: in each pair the even ones first.
HWY_INLINE Floats Load(EvenLanes, const float* from) { return hn::LoadU(kFloats, from); }
HWY_INLINE Floats Load(OddLanes, const float* from) { return hn::LoadU(kFloats, from + kLanes); }
HWY_INLINE void Store(EvenLanes, Floats values, float* to) { hn::StoreU(values, kFloats, to); }
HWY_INLINE void Store(OddLanes, Floats values, float* to) { hn::StoreU(values, kFloats, to + kLanes); }

// With half of the last bit added the lower half of a tie is 0: then the upper half's last bit is cleared. A NaN whose
// upper half is all ones must not be among them: see SetStored. To normalize a span takes 3.5 cycles for 16 elements in
// place of 5.5, a row with weight and bias 4.3 in place of 6.7 (Zen 5).
template <size_t kPairs>
HWY_INLINE void NarrowPairs(bf16, const Floats* values, AllHalfWords (&pairs)[kPairs]) {
  Words sums[2 * kPairs];
  NN_UNROLLED
  for (size_t k = 0; k < 2 * kPairs; ++k) sums[k] = hn::Add(hn::BitCast(kWords, values[k]), hn::Set(kWords, 0x8000));
  const auto join = [&](Words even, Words odd) NN_INLINED {
    return hn::OddEven(hn::BitCast(kAllHalfWords, odd), hn::BitCast(kAllHalfWords, even));
  };
  const auto settle = [&]() NN_INLINED {
    NN_UNROLLED
    for (size_t k = 0; k < kPairs; ++k) {
      const AllHalfWords lower = join(sums[2 * k], hn::ShiftLeft<16>(sums[2 * k + 1]));
      pairs[k] = hn::And(pairs[k], hn::SaturatedAdd(lower, hn::Set(kAllHalfWords, 0xFFFE)));
    }
  };
  NN_UNROLLED
  for (size_t k = 0; k < kPairs; ++k) pairs[k] = join(hn::ShiftRight<16>(sums[2 * k]), sums[2 * k + 1]);
  if constexpr (kPairs == 1) {
    settle();
  } else {
    // Ties are rare: one in 65536 of any numbers. Looked after each time, a span takes 4.0 cycles; where half of all
    // four vectors have one, or all, 4.8.
    AllHalfWords least = hn::BitCast(kAllHalfWords, sums[0]);
    NN_UNROLLED
    for (size_t k = 1; k < 2 * kPairs; ++k) least = hn::Min(least, hn::BitCast(kAllHalfWords, sums[k]));
    const auto zero = hn::BitCast(kBytes, hn::VecFromMask(kAllHalfWords, hn::Eq(least, hn::Zero(kAllHalfWords))));
    if (HWY_UNLIKELY((_mm256_movemask_epi8(zero.raw) & 0x33333333) != 0)) settle();
  }
}

// In place of 16 instructions, 12. A lower half of 0 beside an even upper half stays 0; of others 1 is taken away
// there, and the highest bit says whether to add 1.
HWY_INLINE AllHalfWords Narrow(bf16, Floats first, Floats second) {
  const __m256i apart = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9, 12, 13,
                                         2, 3, 6, 7, 10, 11, 14, 15);
  const __m256i a = _mm256_shuffle_epi8(_mm256_castps_si256(first.raw), apart);
  const __m256i b = _mm256_shuffle_epi8(_mm256_castps_si256(second.raw), apart);
  const __m256i lower = _mm256_unpacklo_epi64(a, b), upper = _mm256_unpackhi_epi64(a, b);
  const __m256i even = _mm256_andnot_si256(upper, _mm256_set1_epi16(1));
  const __m256i up = _mm256_srai_epi16(_mm256_subs_epu16(lower, even), 15);
  const __m256i rounded = _mm256_max_epu16(_mm256_subs_epi16(upper, up), upper);
  return AllHalfWords{_mm256_permute4x64_epi64(rounded, 0xD8)};
}
#endif
#endif

template <class T>
HWY_INLINE void Store(AllHalfWords both, T* to) {
  hn::StoreU(both, kAllHalfWords, &to->bits);
}

// `to` is aligned to the half of it.
template <class T>
HWY_INLINE void Stream(AllHalfWords both, T* to) {
  hn::Stream(hn::LowerHalf(kHalfWords, both), kHalfWords, &to->bits);
  hn::Stream(hn::UpperHalf(kHalfWords, both), kHalfWords, &to->bits + kLanes);
}

// What is converted to T may be a signaling NaN. Cut off, its bits may be those of infinity. BF16 has the upper half of
// them, which rounding two vectors together would change.
template <class T>
HWY_INLINE Floats Quiet(Floats v) {
  const Floats quiet = hn::BitCast(kFloats, hn::Set(kWords, 0x400000));
  const Floats upper = hn::BitCast(kFloats, hn::Set(kWords, 0xFFFF0000));
  const Floats nan = std::is_same_v<T, bf16> ? hn::And(v, upper) : v;
  return hn::IfThenElse(hn::IsNaN(v), hn::Or(nan, quiet), v);
}

// A float that results are made of, by pairs where T has these: a NaN is one that BF16 has. What elements make is.
template <class T>
HWY_INLINE Floats SetStored(float value) {
  if (kHasPairs<T> && value != value) value = bf16(value);
  return hn::Set(kFloats, value);
}

// Stores value(lanes, offset from `to`, index of the vector), with a non-temporal store or not; several vectors at once
// behind each other, or where there are pairs by these with kInPairs.
template <bool kStream, bool kInPairs = false, class Lanes, class T, class Value>
HWY_INLINE void Put(Lanes lanes, T* to, size_t i, size_t k, const Value& value) {
  if constexpr (kStream) {
    Stream(lanes, value(lanes, i, k), to + i);
  } else {
    Store(lanes, value(lanes, i, k), to + i);
  }
}

template <bool kStream, bool kInPairs = false, size_t kCount, class T, class Value>
HWY_INLINE void Put(Vectors<kCount>, T* to, size_t i, size_t k, const Value& value) {
  AllHalfWords pairs[kCount / 2];
  if constexpr (kInPairs && kHasPairs<T>) {
    Floats values[kCount];
    NN_UNROLLED
    for (size_t v = 0; v < kCount; v += 2) {
      values[v] = value(EvenLanes(), i + v * kLanes, k + v);
      values[v + 1] = value(OddLanes(), i + v * kLanes, k + v + 1);
    }
    NarrowPairs(T(), values, pairs);
  } else {
    NN_UNROLLED
    for (size_t v = 0; v < kCount; v += 2) {
      const auto first = value(AllLanes(), i + v * kLanes, k + v);
      pairs[v / 2] = Narrow(T(), first, value(AllLanes(), i + (v + 1) * kLanes, k + v + 1));
    }
  }
  NN_UNROLLED
  for (size_t v = 0; v < kCount; v += 2) {
    if constexpr (kStream) {
      Stream(pairs[v / 2], to + i + v * kLanes);
    } else {
      Store(pairs[v / 2], to + i + v * kLanes);
    }
  }
}

// to[i] = value(lanes, i, k) for n elements, with non-temporal stores or not; k is the vector's index in the sweep.
template <bool kStream, size_t kVectors = kUnroll, bool kInPairs = false, class T, class Value>
HWY_INLINE void Write(T* to, size_t n, const Value& value) {
  constexpr bool kPairs = kInPairs && kHasPairs<T>;
  constexpr size_t kSwept = kPairs ? kUnroll : kVectors, kAtOnce = kPairs ? 4 : kStoresByTwo<T> ? 2 : 1;
  const auto put = [&](auto lanes, size_t i, size_t k) NN_INLINED { Put<kStream, kInPairs>(lanes, to, i, k, value); };
  if constexpr (kStream) {
    AlignedSweep<kSwept, kAtOnce>(to, n, put);
  } else {
    Sweep<kSwept, kAtOnce>(n, put);
  }
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_WRITE_INL_H_
