// What the drivers of rows share: layer and RMS normalization, and group normalization without spatial extent. Each
// element of a row has its own parameters; those of row r begin at (r % period) * length.
#ifndef NATIVENORM_ROWS_H_
#define NATIVENORM_ROWS_H_

#include "plan/plan.h"

namespace nn {

struct RowShape {
  size_t rows;
  size_t length;
  size_t period;
};

inline RowShape ShapeOf(const Plan& p) {
  if (p.operation == NN_GROUP) return {p.batch * p.groups, p.channels / p.groups, p.groups};
  return {p.batch, p.channels, 1};
}

// Where an operand's rows lie: `together` of them one after the other, the next ones `stride` elements after the first
// of these.
struct RowPlaces {
  size_t length;
  size_t together;
  size_t stride;

  // Without a division, which takes some 10 cycles, where all rows are together.
  size_t operator[](size_t row) const {
    return row < together ? row * length : row / together * stride + row % together * length;
  }
};

inline RowPlaces PlacesOf(const Plan& p, const RowShape& shape, size_t stride) {
  return {shape.length, p.rows_together, stride};
}

// body(first row, rows) over runs of rows that follow each other.
template <class Body>
void ForRowsTogether(size_t together, size_t first, size_t end, const Body& body) {
  while (first < end) {
    const size_t left = together - (first < together ? first : first % together);
    const size_t rows = left < end - first ? left : end - first;
    body(first, rows);
    first += rows;
  }
}

}  // namespace nn

#endif  // NATIVENORM_ROWS_H_
