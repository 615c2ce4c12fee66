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

}  // namespace nn

#endif  // NATIVENORM_ROWS_H_
