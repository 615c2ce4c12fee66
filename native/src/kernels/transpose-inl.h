// Kernel: a matrix the other way round, by the size of its elements.
#ifndef NATIVENORM_TRANSPOSE_INL_H_
#define NATIVENORM_TRANSPOSE_INL_H_

#include <stdint.h>
#include <string.h>

#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

// How many elements 16 bytes have, within which vectors interleave, and a cache line.
template <class E>
constexpr size_t kSide = 16 / sizeof(E);
template <class E>
constexpr size_t kLine = 64 / sizeof(E);
constexpr size_t kMostBlocks = kLanes * sizeof(float) / 16;

// 16 bytes of each of kBlocks rows.
template <size_t kBlocks, class E>
HWY_INLINE auto LoadBlocks(const E* from, size_t stride) {
  constexpr hn::FixedTag<E, kBlocks * kSide<E>> tag;
  if constexpr (kBlocks == 1) {
    return hn::LoadU(tag, from);
  } else {
    return hn::Combine(tag, LoadBlocks<kBlocks / 2>(from + kBlocks / 2 * stride, stride),
                       LoadBlocks<kBlocks / 2>(from, stride));
  }
}

// Vectors side by side, interleaved with those half of them further, log2(kCount) times: then their elements, in 16
// bytes of each, are a matrix of kCount columns instead of rows.
template <class Tag, size_t kCount>
HWY_INLINE void Interleave(Tag tag, hn::Vec<Tag> (&v)[kCount]) {
  constexpr size_t kSteps = kCount == 8 ? 3 : kCount / 2;
  NN_UNROLLED
  for (size_t step = 0; step < kSteps; ++step) {
    hn::Vec<Tag> next[kCount];
    NN_UNROLLED
    for (size_t i = 0; i < kCount / 2; ++i) {
      next[2 * i] = hn::InterleaveLower(tag, v[i], v[i + kCount / 2]);
      next[2 * i + 1] = hn::InterleaveUpper(tag, v[i], v[i + kCount / 2]);
    }
    NN_UNROLLED
    for (size_t i = 0; i < kCount; ++i) v[i] = next[i];
  }
}

// kBlocks squares with rows of 16 bytes, one below the other, whose first columns are written, as whole vectors. With
// squares one beside the other, of which parts of vectors are written, or with one it takes 1.5 times as long.
template <bool kStream, size_t kBlocks, class E>
HWY_INLINE void TransposeSquares(const E* from, size_t from_stride, E* to, size_t to_stride,
                                 size_t columns = kSide<E>) {
  constexpr size_t kRows = kSide<E>;
  constexpr hn::FixedTag<E, kBlocks * kRows> tag;
  hn::Vec<decltype(tag)> v[kRows];
  NN_UNROLLED
  for (size_t i = 0; i < kRows; ++i) v[i] = LoadBlocks<kBlocks>(from + i * from_stride, kRows * from_stride);
  Interleave(tag, v);
  NN_UNROLLED
  for (size_t i = 0; i < kRows; ++i) {
    if (i == columns) break;
    if constexpr (kStream) {
      hn::Stream(v[i], tag, to + i * to_stride);
    } else {
      hn::StoreU(v[i], tag, to + i * to_stride);
    }
  }
}

// body(row, column) of blocks in a matrix that is no smaller than one. Where it is not whole blocks, the last ones
// begin earlier, and write again what others did.
template <size_t kRows, size_t kColumns, class Body>
HWY_INLINE void ForBlocksOf(size_t rows, size_t columns, const Body& body) {
  for (size_t column = 0; column < columns; column += kColumns) {
    for (size_t row = 0; row < rows; row += kRows) {
      body(HWY_MIN(row, rows - kRows), HWY_MIN(column, columns - kColumns));
    }
  }
}

// Two lines ahead of a row's, which the processor does not see coming as they are in many rows.
template <class E>
HWY_INLINE void PrefetchAhead(const E* line) {
  hwy::Prefetch(line + 2 * kLine<E>);
}

template <size_t kBlocks, class E>
HWY_INLINE void TransposeDirectly(const E* from, size_t from_stride, E* to, size_t to_stride, size_t rows,
                                  size_t columns) {
  constexpr size_t kRows = kBlocks * kSide<E>;
  if constexpr (kBlocks > 1) {
    if (rows < kRows) {
      return TransposeDirectly<kBlocks / 2>(from, from_stride, to, to_stride, rows, columns);
    }
  }
  ForBlocksOf<kRows, kSide<E>>(rows, columns, [&](size_t row, size_t column) NN_INLINED {
    const E* block = from + row * from_stride + column;
    if (column % kLine<E> == 0) {
      for (size_t i = 0; i < kRows; ++i) PrefetchAhead(block + i * from_stride);
    }
    TransposeSquares<false, kBlocks>(block, from_stride, to + column * to_stride + row, to_stride);
  });
}

// By way of the stack, where a line's rows have no cache-set conflict: each is read once. Its columns are whole lines,
// one after the other, as non-temporal stores ask for.
template <bool kStream, class E>
HWY_INLINE void TransposeByLines(const E* from, size_t from_stride, E* to, size_t to_stride, size_t rows,
                                 size_t columns) {
  constexpr size_t kRows = kMostBlocks * kSide<E>;
  HWY_ALIGN E lines[kLine<E> * kLine<E>];
  ForBlocksOf<kLine<E>, kLine<E>>(rows, columns, [&](size_t row, size_t column) NN_INLINED {
    for (size_t i = 0; i < kLine<E>; ++i) {
      const E* line = from + (row + i) * from_stride + column;
      PrefetchAhead(line);
      memcpy(lines + i * kLine<E>, line, 64);
    }
    for (size_t j = 0; j < kLine<E>; j += kSide<E>) {
      for (size_t k = 0; k < kLine<E>; k += kRows) {
        TransposeSquares<kStream, kMostBlocks>(lines + k * kLine<E> + j, kLine<E>,
                                               to + (column + j) * to_stride + row + k, to_stride);
      }
    }
  });
}

template <class E>
HWY_INLINE void TransposeOneByOne(const E* from, size_t from_stride, E* to, size_t to_stride, size_t rows,
                                  size_t columns) {
  for (size_t j = 0; j < columns; ++j) {
    for (size_t i = 0; i < rows; ++i) to[j * to_stride + i] = from[i * from_stride + j];
  }
}

// Fewer columns than 16 bytes have: what is read beside them is in the next rows, but for the last ones, and is not
// written.
template <class E>
HWY_INLINE void TransposeFewColumns(const E* from, size_t from_stride, E* to, size_t to_stride, size_t rows,
                                    size_t columns) {
  constexpr size_t kRows = kMostBlocks * kSide<E>;
  const size_t end = (rows - 1) * from_stride + columns;
  size_t row = 0;
  for (; (row + kRows - 1) * from_stride + kSide<E> <= end; row += kRows) {
    TransposeSquares<false, kMostBlocks>(from + row * from_stride, from_stride, to + row, to_stride, columns);
  }
  TransposeOneByOne(from + row * from_stride, from_stride, to + row, to_stride, rows - row, columns);
}

// Fewer rows, and no other elements between the columns that they become: kPadded rows, of which those that are not
// there are any, interleave to columns, each of which is written over what is behind the one before.
template <size_t kPadded, class E>
HWY_INLINE void TransposeFewRows(const E* from, size_t from_stride, E* to, size_t rows, size_t columns) {
  if constexpr (kPadded > 1) {
    if (rows <= kPadded / 2) return TransposeFewRows<kPadded / 2>(from, from_stride, to, rows, columns);
    constexpr hn::FixedTag<E, kSide<E>> tag;
    constexpr hn::FixedTag<E, kPadded> column_tag;
    constexpr size_t kColumns = kSide<E> / kPadded;  // in a vector
    const size_t end = rows * columns;
    size_t j = 0;
    for (; (j + kSide<E> - 1) * rows + kPadded <= end; j += kSide<E>) {
      hn::Vec<decltype(tag)> v[kPadded];
      NN_UNROLLED
      for (size_t i = 0; i < kPadded; ++i) v[i] = hn::LoadU(tag, from + HWY_MIN(i, rows - 1) * from_stride + j);
      Interleave(tag, v);
      NN_UNROLLED
      for (size_t i = 0; i < kPadded; ++i) {
        E* column = to + (j + i * kColumns) * rows;
        if (rows == kPadded || kColumns == 1) {
          hn::StoreU(v[i], tag, column);
        } else if constexpr (kColumns == 2) {
          hn::StoreU(hn::LowerHalf(column_tag, v[i]), column_tag, column);
          hn::StoreU(hn::UpperHalf(column_tag, v[i]), column_tag, column + rows);
        }
      }
    }
    TransposeOneByOne(from + j, from_stride, to + j * rows, rows, rows, columns - j);
  } else {
    TransposeOneByOne(from, from_stride, to, rows, rows, columns);
  }
}

template <class E>
HWY_INLINE void TransposeElements(bool stream, const E* from, size_t from_stride, E* to, size_t to_stride, size_t rows,
                                  size_t columns) {
  // From 2048 bytes on, rows of a tile share two sets of the first-level cache or one.
  const bool conflict = from_stride * sizeof(E) % 2048 == 0;
  if (columns < kSide<E>) {
    TransposeFewColumns(from, from_stride, to, to_stride, rows, columns);
  } else if (rows < kSide<E> && to_stride == rows) {
    TransposeFewRows<kSide<E>>(from, from_stride, to, rows, columns);
  } else if (rows < kSide<E>) {
    TransposeOneByOne(from, from_stride, to, to_stride, rows, columns);
  } else if (HWY_MIN(rows, columns) < kLine<E> || !(stream || conflict)) {
    TransposeDirectly<kMostBlocks>(from, from_stride, to, to_stride, rows, columns);
  } else if (stream) {
    TransposeByLines<true>(from, from_stride, to, to_stride, rows, columns);
  } else {
    TransposeByLines<false>(from, from_stride, to, to_stride, rows, columns);
  }
}

// One body for both options, which are far outside of the loops.
template <class T>
HWY_NOINLINE void TransposeBytes(bool stream, const void* from, size_t from_stride, void* to, size_t to_stride,
                                 size_t rows, size_t columns, size_t element_bytes) {
  const auto run = [&](auto element) NN_INLINED {
    using E = decltype(element);
    TransposeElements(stream, static_cast<const E*>(from), from_stride, static_cast<E*>(to), to_stride, rows, columns);
  };
  if (element_bytes == 2) return run(uint16_t());
  if (element_bytes == 4) return run(uint32_t());
  run(uint64_t());
}

template <class Set, class T>
void transpose(Set, const void* from, size_t from_stride, void* to, size_t to_stride, size_t rows, size_t columns,
               size_t element_bytes) {
  TransposeBytes<T>(kHas<kStream, Set>, from, from_stride, to, to_stride, rows, columns, element_bytes);
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_TRANSPOSE_INL_H_
