// Masks, and the kernel that packs what one counts.
#ifndef NATIVENORM_PACK_INL_H_
#define NATIVENORM_PACK_INL_H_

#include "kernels/kernels.h"
#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

using WordTag = hn::RebindToUnsigned<FloatTag>;

HWY_INLINE hn::Vec<WordTag> LoadWords(const uint32_t* from) { return hn::LoadU(WordTag(), from); }
HWY_INLINE hn::Vec<WordTag> LoadWords(const uint16_t* from) {
  return hn::PromoteTo(WordTag(), hn::LoadU(hn::Rebind<uint16_t, WordTag>(), from));
}
HWY_INLINE void StoreWords(hn::Vec<WordTag> words, uint32_t* to) { hn::StoreU(words, WordTag(), to); }
HWY_INLINE void StoreWords(hn::Vec<WordTag> words, uint16_t* to) {
  const hn::RebindToSigned<WordTag> integers;
  const hn::Rebind<uint16_t, WordTag> halves;
  hn::StoreU(hn::DemoteTo(halves, hn::BitCast(integers, words)), halves, to);
}

// Whether bytes are not 0.
HWY_INLINE hn::Mask<WordTag> LoadCounts(AllLanes, const unsigned char* mask) {
  const hn::Rebind<uint8_t, WordTag> bytes;
  return hn::Ne(hn::PromoteTo(WordTag(), hn::LoadU(bytes, mask)), hn::Zero(WordTag()));
}
HWY_INLINE hn::Mask<WordTag> LoadCounts(FirstLanes lanes, const unsigned char* mask) {
  unsigned char bytes[kLanes] = {};
  for (size_t i = 0; i < lanes.count; ++i) bytes[i] = mask[i];
  return LoadCounts(AllLanes(), bytes);
}

// Vectors as a whole: what does not count is behind what does, and is written over by the next one. An instruction that
// stores a part of a vector takes some processors 100 cycles.
template <class Element>
HWY_INLINE size_t PackElements(const Element* from, const unsigned char* mask, size_t length, Element* to) {
  const WordTag words;
  size_t i = 0, count = 0;
  for (; i + kLanes <= length; i += kLanes) {
    const auto counts = LoadCounts(AllLanes(), mask + i);
    StoreWords(hn::Compress(LoadWords(from + i), counts), to + count);
    count += hn::CountTrue(words, counts);
  }
  for (; i < length; ++i) {
    to[count] = from[i];
    count += mask[i] != 0 ? 1 : 0;
  }
  return count;
}

template <class Set, class T>
size_t pack(Set, const void* from, const unsigned char* mask, size_t length, size_t element_bytes, void* to) {
  if (element_bytes == sizeof(uint16_t)) {
    return PackElements(static_cast<const uint16_t*>(from), mask, length, static_cast<uint16_t*>(to));
  }
  return PackElements(static_cast<const uint32_t*>(from), mask, length, static_cast<uint32_t*>(to));
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_PACK_INL_H_
