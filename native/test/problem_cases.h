// What whole problems are made of: operations, layouts, shapes.
#ifndef NATIVENORM_PROBLEM_CASES_H_
#define NATIVENORM_PROBLEM_CASES_H_

#include <string>
#include <vector>

#include "nativenorm.h"
#include "run.h"

namespace nntest {

constexpr double kEps = 1e-5;

const char* const kOperations[] = {"batch", "layer", "rms", "group"};
const char* const kLayouts[] = {"channels-first", "channels-last"};

inline bool IsRows(int operation) { return operation == NN_LAYER || operation == NN_RMS; }

inline std::string Kind(const Shape& shape, const std::string& what) {
  return std::string(kOperations[shape.operation]) + " " + kLayouts[shape.layout] + " " + what;
}

// body(operation, layout); rows have no layout.
template <class Body>
void ForOperations(const Body& body) {
  for (int operation : {NN_BATCH, NN_LAYER, NN_RMS, NN_GROUP}) {
    for (int layout : {NN_CHANNELS_FIRST, NN_CHANNELS_LAST}) {
      if (!IsRows(operation) || layout == NN_CHANNELS_FIRST) body(operation, layout);
    }
  }
}

// The shapes for values that are hard: small, with blocks and a tail, and one for threads.
inline std::vector<Shape> ShapesOf(int operation, int layout) {
  if (IsRows(operation)) {
    return {{operation, layout, 7, 37, 1, 1, kEps, false},
            {operation, layout, 3, 3001, 1, 1, kEps, false},
            {operation, layout, 40, 2600, 1, 1, kEps, false}};
  }
  const size_t groups = operation == NN_GROUP ? 3 : 1;
  return {{operation, layout, 3, 6, 11, groups, kEps, false},
          {operation, layout, 2, 9, 700, groups, kEps, false},
          {operation, layout, 1, 3, 35000, groups, kEps, false},
          {operation, layout, 2, 48, 1, groups, kEps, false}};
}

}  // namespace nntest

#endif  // NATIVENORM_PROBLEM_CASES_H_
