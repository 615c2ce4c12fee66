// Rows with parameters for each element: layer and RMS normalization, group normalization without spatial extent.
#include "pool.h"
#include "problem.h"
#include "scratch.h"

namespace nn {
namespace {

struct Shape {
  size_t rows;
  size_t length;
  size_t period;
};

Shape ShapeOf(const Problem& p) {
  if (p.operation == NN_GROUP) return {p.batch * p.groups, p.channels / p.groups, p.groups};
  return {p.batch, p.channels, 1};
}

// Rows whose parameter gradients are added up in floats before they go into doubles.
constexpr size_t kFloatRows = 64;

void AddTo(const float* sums, size_t count, bool first, double* totals) {
  for (size_t j = 0; first && j < count; ++j) totals[j] = sums[j];
  for (size_t j = 0; !first && j < count; ++j) totals[j] += sums[j];
}

void StoreSum(double* totals, size_t parts, size_t count, float* sum) {
  if (sum == nullptr) return;
  for (size_t i = 1; i < parts; ++i) {
    for (size_t j = 0; j < count; ++j) totals[j] += totals[i * count + j];
  }
  for (size_t j = 0; j < count; ++j) sum[j] = static_cast<float>(totals[j]);
}

}  // namespace

template <class T>
int RowsForwardPass(const Problem& p, const Forward<T>& data) {
  const Shape shape = ShapeOf(p);
  const size_t parts = Parts(p, shape.rows);
  const bool fetch = p.Fetches(2, sizeof(T)), stream = p.Streams(2, sizeof(T), data.src == data.dst);
  Parallel(p.threads, parts, [&](size_t i) {
    const Range range = PartOf(shape.rows, parts, i);
    const size_t at = range.begin * shape.length;
    const RowsForward rows = {p.operation != NN_RMS,
                              shape.length,
                              shape.period,
                              range.begin,
                              range.end - range.begin,
                              p.eps,
                              data.weight,
                              data.bias,
                              data.mean,
                              data.variance,
                              p.relu,
                              fetch,
                              stream};
    Table<T>(*p.target).rows_forward(data.src + at, data.dst + at, rows);
  });
  return NN_OK;
}

template <class T>
int RowsBackwardPass(const Problem& p, const Backward<T>& data) {
  const Shape shape = ShapeOf(p);
  const bool sums = data.diff_weight != nullptr || data.diff_bias != nullptr;
  const size_t columns = sums ? shape.length * shape.period : 0;
  // Each part has sums of its own, which are merged in order: the result does not depend on who did it.
  const size_t parts = Parts(p, shape.rows, 2);  // few, for each takes memory and a merge
  const bool few = parts == 1 && shape.rows <= kFloatRows;
  Scratch scratch(2 * Scratch::Bytes<float>(parts * columns) + 2 * Scratch::Bytes<double>(parts * columns));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  float* weight_sums = scratch.Take<float>(parts * columns);
  float* bias_sums = scratch.Take<float>(parts * columns);
  double* weight_totals = scratch.Take<double>(parts * columns);
  double* bias_totals = scratch.Take<double>(parts * columns);
  if (few && data.diff_weight != nullptr) weight_sums = data.diff_weight;
  if (few && data.diff_bias != nullptr) bias_sums = data.diff_bias;
  const bool stream = p.Streams(3, sizeof(T), data.diff_dst == data.diff_src);
  Parallel(p.threads, parts, [&](size_t i) {
    const Range range = PartOf(shape.rows, parts, i);
    float* weight_sum = sums ? weight_sums + i * columns : nullptr;
    float* bias_sum = sums ? bias_sums + i * columns : nullptr;
    for (size_t row = range.begin; row < range.end; row += kFloatRows) {
      const size_t count = range.end - row < kFloatRows ? range.end - row : kFloatRows;
      for (size_t j = 0; j < columns; ++j) weight_sum[j] = bias_sum[j] = 0;
      const RowsBackward rows = {p.operation != NN_RMS, shape.length, shape.period,  row,        count,    p.eps,
                                 data.weight,           data.mean,    data.variance, weight_sum, bias_sum, stream};
      const size_t at = row * shape.length;
      Table<T>(*p.target).rows_backward(data.src + at, data.diff_dst + at,
                                        data.dst == nullptr ? nullptr : data.dst + at, data.diff_src + at, rows);
      if (!few) {
        AddTo(weight_sum, columns, row == range.begin, weight_totals + i * columns);
        AddTo(bias_sum, columns, row == range.begin, bias_totals + i * columns);
      }
    }
  });
  if (few) return NN_OK;
  StoreSum(weight_totals, parts, columns, data.diff_weight);
  StoreSum(bias_totals, parts, columns, data.diff_bias);
  return NN_OK;
}

template int RowsForwardPass(const Problem&, const Forward<float>&);
template int RowsBackwardPass(const Problem&, const Backward<float>&);

}  // namespace nn
