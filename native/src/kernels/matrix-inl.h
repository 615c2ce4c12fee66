// How kernels go over the rows and columns of a matrix: rows together, strips of columns, blocks of rows, and folded.
#ifndef NATIVENORM_MATRIX_INL_H_
#define NATIVENORM_MATRIX_INL_H_

#include "kernels/order.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"
#include "kernels/write-inl.h"

namespace nn {
namespace NN_TARGET {

constexpr size_t kNarrow = kUnroll * kLanes;
// How many rows are written together. Non-temporal stores go row by row: with several rows in turns, write-combining
// buffers are flushed half full, 4.6 times slower where cache sets conflict (AVX2, 4096x1024).
template <bool kStream>
constexpr size_t kWrittenTogether = kStream ? 1 : 4;

// body(how many rows, first row) over all rows, at most kMost together; two where their cache sets conflict: four rows
// of x and of y would take all eight ways of a set (batch normalization of 340x1024 took 87 us instead of 47).
template <size_t kMost, class Body>
HWY_INLINE void ForRowsTogether(size_t rows, bool sets_conflict, const Body& body) {
  size_t row = 0;
  if constexpr (kMost > 1) {
    for (; !sets_conflict && row + kMost <= rows; row += kMost) body(Index<kMost>(), row);
    for (; row + 2 <= rows; row += 2) body(Index<2>(), row);
  }
  for (; row < rows; ++row) body(Index<1>(), row);
}

// body(lanes, first column) over vectors of columns, with kByTwo two at once.
template <bool kByTwo = false, class Body>
HWY_INLINE void ForVectors(size_t columns, const Body& body) {
  size_t j = 0;
  if constexpr (kByTwo) {
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes) body(Vectors<2>(), j);
  }
  for (; j + kLanes <= columns; j += kLanes) body(AllLanes(), j);
  if (j < columns) body(FirstLanes{columns - j}, j);
}

// body(strip's width in vectors, lanes, first column) over all columns; the tail goes vector by vector.
template <size_t kVectors, class Body>
HWY_INLINE void ForStrips(size_t columns, const Body& body) {
  size_t j = 0;
  for (; j + kVectors * kLanes <= columns; j += kVectors * kLanes) body(Index<kVectors>(), AllLanes(), j);
  if constexpr (kVectors > 2) {
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes) body(Index<2>(), AllLanes(), j);
  }
  for (; j + kLanes <= columns; j += kLanes) body(Index<1>(), AllLanes(), j);
  if (j < columns) body(Index<1>(), FirstLanes{columns - j}, j);
}

// body(first row, rows) over blocks of rows.
template <class Body>
HWY_INLINE void ForBlocks(size_t rows, const Body& body) {
  for (size_t row = 0; row < rows; row += kBlockRows) body(row, HWY_MIN(kBlockRows, rows - row));
}

// Rows that are not whole vectors are folded also when they are written: several neighbouring rows make one of whole
// vectors, with repeated parameters, which are on the stack. Folds is how many rows make one; 1 where they stay as they
// are.
constexpr size_t kMostFolded = 1024;
inline size_t Folds(size_t rows, size_t columns, size_t stride) {
  size_t folds = 1;
  while (folds * columns % kLanes != 0) folds *= 2;
  return stride == columns && rows >= kLeastFolded * folds && folds * columns <= kMostFolded ? folds : 1;
}

// kArrays parameters of columns, repeated. They may be null.
template <size_t kArrays>
struct FoldedParameters {
  float arrays[kArrays][kMostFolded];

  FoldedParameters(size_t columns, size_t folds, const float* const (&parameters)[kArrays]) {
    for (size_t a = 0; a < kArrays; ++a) {
      if (parameters[a] == nullptr) continue;
      for (size_t fold = 0; fold < folds; ++fold) {
        for (size_t j = 0; j < columns; ++j) arrays[a][fold * columns + j] = parameters[a][j];
      }
    }
  }
};

// Whether a matrix is written by rows instead of strips of up to `narrow` columns. Non-temporal stores are sequential:
// in two strips, 200000x24 took 1.7 times as long.
template <bool kStream>
constexpr bool GoesByRows(size_t columns, size_t narrow) {
  const bool one_strip = (columns & (columns - 1)) == 0;
  return columns > narrow || (kStream && !one_strip);
}

// Writes value(lanes, offset, parameters) to each element of a matrix; load(column) gives the parameters, a Vector, of
// a vector of columns. Up to kVectors of them stay in registers: more would not read rows sequentially (gradients of
// 262144x32 in two strips took 15 % longer, AVX2).
template <bool kStream, size_t kVectors, class Vector, class T, class Load, class Value>
HWY_INLINE void WriteMatrix(T* to, size_t rows, size_t columns, size_t stride, const Load& load, const Value& value) {
  constexpr bool kByTwo = kStoresByTwo<T>;
  // One row's vector, or two, of columns with these parameters.
  const auto write = [&](auto lanes, size_t at, const Vector* vectors) NN_INLINED {
    Put<kStream>(lanes, to, at, 0, [&](auto of, size_t i, size_t k) NN_INLINED { return value(of, i, vectors[k]); });
  };
  if (GoesByRows<kStream>(columns, kVectors * kLanes)) {
    const bool conflict = SetsConflict<T>(stride);
    ForRowsTogether<kWrittenTogether<kStream>>(rows, conflict, [&](auto together, size_t first) NN_INLINED {
      ForVectors<kByTwo>(columns, [&](auto lanes, size_t j) NN_INLINED {
        constexpr size_t kCount = std::is_same_v<decltype(lanes), Vectors<2>> ? 2 : 1;
        Vector vectors[kCount];
        NN_UNROLLED
        for (size_t v = 0; v < kCount; ++v) vectors[v] = load(j + v * kLanes);
        NN_UNROLLED
        for (size_t r = 0; r < together.value; ++r) write(lanes, (first + r) * stride + j, vectors);
      });
    });
  } else {
    ForBlocks(rows, [&](size_t first, size_t count) NN_INLINED {
      ForStrips<kVectors>(columns, [&](auto width, auto lanes, size_t j) NN_INLINED {
        Vector vectors[width.value];
        NN_UNROLLED
        for (size_t v = 0; v < width.value; ++v) vectors[v] = load(j + v * kLanes);
        for (size_t row = first; row < first + count; ++row) {
          const size_t at = row * stride + j;
          if constexpr (kByTwo && width.value > 1) {
            NN_UNROLLED
            for (size_t v = 0; v < width.value; v += 2) write(Vectors<2>(), at + v * kLanes, vectors + v);
          } else {
            NN_UNROLLED
            for (size_t v = 0; v < width.value; ++v) write(lanes, at + v * kLanes, vectors + v);
          }
        }
      });
    });
  }
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_MATRIX_INL_H_
