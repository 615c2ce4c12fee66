// How kernels go over the rows and columns of a matrix: by groups of rows, strips of columns, blocks, and folded.
#ifndef NATIVENORM_MATRIX_INL_H_
#define NATIVENORM_MATRIX_INL_H_

#include "order.h"
#include "simd-inl.h"

namespace nn {
namespace NN_TARGET {

constexpr size_t kNarrow = kUnroll * kLanes;
// Rows that are written together. What is written past the caches goes row by row: lines of several rows
// that are filled in turns leave half full, 4.6 times slower where the rows meet (AVX2, 4096x1024).
constexpr size_t kGroup = 4;
template <bool kStream>
constexpr size_t kWrittenGroup = kStream ? 1 : kGroup;

// body(rows of the group, first row) over all rows, at most kMost together. Of rows that meet in the same lines of the
// first-level cache, two: with four of x and of y all eight lines are taken (batch normalization of 340x1024 took 87 us
// for 47).
template <size_t kMost, class Body>
HWY_INLINE void ForGroups(size_t rows, bool meet, const Body& body) {
  size_t row = 0;
  if constexpr (kMost > 1) {
    for (; !meet && row + kMost <= rows; row += kMost) body(Index<kMost>(), row);
    for (; row + 2 <= rows; row += 2) body(Index<2>(), row);
  }
  for (; row < rows; ++row) body(Index<1>(), row);
}

// From a row to the one after it, if there is one.
template <class Rows>
size_t Ahead(const Rows& rows, size_t row) {
  return row + 1 < rows.rows ? rows.length : 0;
}

// body(part, first column) over vectors of columns.
template <class Body>
HWY_INLINE void ForVectors(size_t columns, const Body& body) {
  size_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) body(Whole(), j);
  if (j < columns) body(Part{columns - j}, j);
}

// body(strip's width in vectors, part, first column) over all columns; what is left of a strip goes vector by vector.
template <size_t kVectors, class Body>
HWY_INLINE void ForStrips(size_t columns, const Body& body) {
  size_t j = 0;
  for (; j + kVectors * kLanes <= columns; j += kVectors * kLanes) body(Index<kVectors>(), Whole(), j);
  if constexpr (kVectors > 2) {
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes) body(Index<2>(), Whole(), j);
  }
  for (; j + kLanes <= columns; j += kLanes) body(Index<1>(), Whole(), j);
  if (j < columns) body(Index<1>(), Part{columns - j}, j);
}

// body(first row, rows) over blocks of rows.
template <class Body>
HWY_INLINE void ForBlocks(size_t rows, const Body& body) {
  for (size_t row = 0; row < rows; row += kBlockRows) body(row, HWY_MIN(kBlockRows, rows - row));
}

// Rows of no whole number of vectors are folded when they are written, too: several that lie one after the other make
// a longer one of whole vectors, with parameters that repeat, which are on the stack. How many rows make one; 1 where
// they stay as they are.
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

// Whether a matrix that is written goes by rows instead of strips. What is written past the caches is written in order:
// in two strips, 200000x24 took 1.7 times as long.
template <bool kStream>
constexpr bool GoesByRows(size_t columns, size_t narrow) {
  const bool one_strip = (columns & (columns - 1)) == 0;
  return columns > narrow || (kStream && !one_strip);
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_MATRIX_INL_H_
