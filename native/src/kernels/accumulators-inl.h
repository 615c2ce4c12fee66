// What kernels share: sums along memory, in an order that is the same on every instruction set: docs/order-of-sums.md.
// Element i of a run goes to accumulator i mod 32, in floats over a block of 512 and in doubles from there: a float sum
// of 16 terms and 32 accumulators loses 2e-7 of its value; of a million terms it would lose 1e-3.
#ifndef NATIVENORM_ACCUMULATORS_INL_H_
#define NATIVENORM_ACCUMULATORS_INL_H_

#include "kernels/kernels.h"
#include "kernels/order.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"

namespace nn {
namespace NN_TARGET {

// The vectors that hold the accumulators of one sum.
constexpr size_t kSumVectors = kAccumulators / kLanes;
// How many blocks one sum alone goes over at once, each with accumulators of its own: an addition takes 3 to 4 cycles
// and two start in each cycle, so that the two vectors which AVX-512 has for one block leave half of them idle. Two
// sums or more go block by block: the next block does not wait for the end of the one before, and memory is read in
// order (AVX-512: gradients of 4x64x128x128 1035 us by two, 880 block by block, LayerNorm of 128x768 8.7 and 8.1).
constexpr size_t kPairedBlocks = kSumVectors < kUnroll ? kUnroll / kSumVectors : 1;
// The same of the first row, which may be in the first-level cache, as one alone is in most calls: by four AVX-512's
// RmsNorm of 1x4096 takes 0.94 of the time, of 48x4096 1.01 to 1.03 if all rows go so. AVX2 has no registers for it.
constexpr size_t kBlocksAlone = kPairedBlocks > 1 ? 2 * kPairedBlocks : 1;

// body(lanes, offset, which vector of the sum) over the tail, fewer than kAccumulators elements, from a vector on.
template <size_t kIndex, class Body>
HWY_INLINE void SweepTail(size_t left, size_t i, const Body& body) {
  if constexpr (kIndex + 1 < kSumVectors) {
    if (left >= kLanes) {
      body(AllLanes(), i, kIndex);
      return SweepTail<kIndex + 1>(left - kLanes, i + kLanes, body);
    }
  }
  if (left > 0) body(FirstLanes{left}, i, kIndex);
}

// The same over whole rounds of the accumulators; how many elements that were.
template <class Body>
HWY_INLINE size_t SweepRounds(size_t n, const Body& body) {
  size_t i = 0;
  for (; i + kAccumulators <= n; i += kAccumulators) {
    NN_UNROLLED
    for (size_t k = 0; k < kSumVectors; ++k) body(AllLanes(), i + k * kLanes, k);
  }
  return i;
}

// The same over n elements that begin at accumulator 0.
template <class Body>
HWY_INLINE void SweepAccumulators(size_t n, const Body& body) {
  const size_t i = SweepRounds(n, body);
  SweepTail<0>(n - i, i, body);
}

// body(lanes, offset, which vector of the sum) over a piece: runs of length elements that begin stride apart, and
// flush(which of the kBlocks blocks at once) at the end of each block.
template <size_t kBlocks = 1, class Body, class Flush>
HWY_INLINE void SweepBlocks(size_t runs, size_t length, size_t stride, const Body& body, const Flush& flush) {
  const size_t accumulators = (length + kAccumulators - 1) / kAccumulators * kAccumulators;
  size_t pending = 0;
  for (size_t run = 0; run < runs; ++run) {
    size_t at = run * stride, left = length;
    if constexpr (kBlocks > 2) {
      for (; left >= kBlocks * kBlock; at += kBlocks * kBlock, left -= kBlocks * kBlock) {
        for (size_t i = 0; i < kBlock; i += kAccumulators) {
          NN_UNROLLED
          for (size_t k = 0; k < kBlocks * kSumVectors; ++k) {
            body(AllLanes(), at + i + k / kSumVectors * kBlock + k % kSumVectors * kLanes, k);
          }
        }
        NN_UNROLLED
        for (size_t block = 0; block < kBlocks; ++block) flush(block);
      }
    }
    if constexpr (kBlocks > 1) {
      while (left > kBlock) {
        const size_t second = HWY_MIN(kBlock, left - kBlock), both = second - second % kAccumulators;
        for (size_t i = 0; i < both; i += kAccumulators) {
          NN_UNROLLED
          for (size_t k = 0; k < 2 * kSumVectors; ++k) {
            body(AllLanes(), at + i + k / kSumVectors * kBlock + k % kSumVectors * kLanes, k);
          }
        }
        SweepRounds(kBlock - both, [&](auto lanes, size_t i, size_t k) NN_INLINED { body(lanes, at + both + i, k); });
        SweepTail<0>(second - both, at + kBlock + both,
                     [&](auto lanes, size_t i, size_t k) NN_INLINED { body(lanes, i, kSumVectors + k); });
        flush(size_t{0});
        flush(size_t{1});
        at += kBlock + second;
        left -= kBlock + second;
      }
      if (left == 0) continue;
    }
    for (;;) {
      const size_t n = HWY_MIN(left, kBlock);
      const size_t done = SweepRounds(n, [&](auto lanes, size_t i, size_t k) NN_INLINED { body(lanes, at + i, k); });
      at += done;
      left -= done;
      if (kBlocks > 1 || n < kBlock || left == 0) break;
      flush(size_t{0});
    }
    SweepTail<0>(left, at, body);
    pending += accumulators;
    if (pending + accumulators > kBlock || run + 1 == runs) {
      flush(size_t{0});
      pending = 0;
    }
  }
}

#if HWY_MAX_BYTES == 16
constexpr size_t kQuads = 2;  // vectors of four doubles
#else
constexpr size_t kQuads = 1;
#endif
constexpr hn::FixedTag<double, 4 / kQuads> kQuad;
using Quad = hn::Vec<decltype(kQuad)>;

// One sum over a piece.
class Accumulators {
 public:
  HWY_INLINE Accumulators() {
    NN_UNROLLED
    for (size_t block = 0; block < kBlocksAlone; ++block) Clear(block);
    NN_UNROLLED
    for (size_t q = 0; q < kQuads; ++q) total_[q] = hn::Zero(kQuad);
  }

  // k is which vector of the sum, which the compiler must know.
  HWY_INLINE void Add(size_t k, Floats v) { accumulators_[k] = hn::Add(accumulators_[k], v); }
  HWY_INLINE void AddProduct(size_t k, Floats a, Floats b) { accumulators_[k] = hn::MulAdd(a, b, accumulators_[k]); }

  // f[j] = (s[j] + s[16 + j]) + (s[8 + j] + s[24 + j]), t[j] += double(f[j]) + double(f[4 + j])
  HWY_INLINE void Flush(size_t block) {
    const Floats* s = accumulators_ + block * kSumVectors;
#if HWY_MAX_BYTES == 16
    const Floats f = hn::Add(hn::Add(s[0], s[4]), hn::Add(s[2], s[6]));
    const Floats g = hn::Add(hn::Add(s[1], s[5]), hn::Add(s[3], s[7]));
    total_[0] = hn::Add(total_[0], hn::Add(LowerDoubles(f), LowerDoubles(g)));
    total_[1] = hn::Add(total_[1], hn::Add(UpperDoubles(f), UpperDoubles(g)));
#else
    constexpr hn::FixedTag<float, 4> four;
#if HWY_MAX_BYTES == 32
    const auto f = hn::Add(hn::Add(s[0], s[2]), hn::Add(s[1], s[3]));
#else
    constexpr hn::FixedTag<float, 8> eight;
    const Floats sum = hn::Add(s[0], s[1]);
    const auto f = hn::Add(hn::LowerHalf(eight, sum), hn::UpperHalf(eight, sum));
#endif
    const Quad lower = hn::PromoteTo(kQuad, hn::LowerHalf(four, f));
    const Quad pairs = hn::Add(lower, hn::PromoteTo(kQuad, hn::UpperHalf(four, f)));
    total_[0] = hn::Add(total_[0], pairs);
#endif
    Clear(block);
  }

  // (t[0] + t[1]) + (t[2] + t[3]) of two sums, which takes hardly longer than of one.
  static HWY_INLINE void Totals(const Accumulators& a, const Accumulators& b, double* a_total, double* b_total) {
    Quad sums[kQuads];  // a's t[0] + t[1], b's, then those of t[2] + t[3]
    NN_UNROLLED
    for (size_t q = 0; q < kQuads; ++q) {
      const Quad ta = a.total_[q], tb = b.total_[q];
      sums[q] = hn::Add(hn::InterleaveLower(kQuad, ta, tb), hn::InterleaveUpper(kQuad, ta, tb));
    }
    constexpr hn::FixedTag<double, 2> pair;
#if HWY_MAX_BYTES == 16
    const auto both = hn::Add(sums[0], sums[1]);
#else
    const auto both = hn::Add(hn::LowerHalf(pair, sums[0]), hn::UpperHalf(pair, sums[0]));
#endif
    *a_total = hn::GetLane(both);
    *b_total = hn::GetLane(hn::Reverse2(pair, both));
  }
  HWY_INLINE double Total() const {
    double total, same;
    Totals(*this, *this, &total, &same);
    return total;
  }

  // t, kQuads vectors, and the totals of two to four of these; those that are not there are the last again.
  HWY_INLINE void StoreParts(Quad* to) const {
    NN_UNROLLED
    for (size_t q = 0; q < kQuads; ++q) to[q] = total_[q];
  }
  static HWY_INLINE void FourTotals(const Quad* parts, size_t count, Quad* totals) {
    Quad pairs[2 * kQuads];  // t[0] + t[1] of two, t[2] + t[3] of them
    NN_UNROLLED
    for (size_t k = 0; k < 2; ++k) {
      const Quad* first = parts + HWY_MIN(2 * k, count - 1) * kQuads;
      const Quad* second = parts + HWY_MIN(2 * k + 1, count - 1) * kQuads;
      NN_UNROLLED
      for (size_t q = 0; q < kQuads; ++q) {
        pairs[k * kQuads + q] =
            hn::Add(hn::InterleaveLower(kQuad, first[q], second[q]), hn::InterleaveUpper(kQuad, first[q], second[q]));
      }
    }
#if HWY_MAX_BYTES == 16
    totals[0] = hn::Add(pairs[0], pairs[1]);
    totals[1] = hn::Add(pairs[2], pairs[3]);
#else
    totals[0] =
        hn::Add(hn::ConcatLowerLower(kQuad, pairs[1], pairs[0]), hn::ConcatUpperUpper(kQuad, pairs[1], pairs[0]));
#endif
  }

 private:
  HWY_INLINE void Clear(size_t block) {
    NN_UNROLLED
    for (size_t k = 0; k < kSumVectors; ++k) accumulators_[block * kSumVectors + k] = hn::Zero(kFloats);
  }

  Floats accumulators_[kBlocksAlone * kSumVectors];
  Quad total_[kQuads];
};

// Without a pivot (0) there is a subtraction less: a third of the work.
template <bool kPivot, class T>
HWY_INLINE PivotSums SumAround(const T* x, size_t runs, size_t length, size_t stride, float pivot) {
  const Floats center = hn::Set(kFloats, pivot);
  Accumulators sum, squares;
  SweepBlocks(
      runs, length, stride,
      [&](auto lanes, size_t i, size_t k) NN_INLINED {
        Floats v = Load(lanes, x + i);
        if constexpr (kPivot) v = Keep(lanes, hn::Sub(v, center));
        sum.Add(k, v);
        squares.AddProduct(k, v, v);
      },
      [&](size_t block) NN_INLINED {
        sum.Flush(block);
        squares.Flush(block);
      });
  PivotSums total;
  Accumulators::Totals(sum, squares, &total.sum, &total.squares);
  return total;
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_ACCUMULATORS_INL_H_
