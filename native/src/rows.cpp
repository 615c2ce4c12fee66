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

// Row by row, with a look at each: one with a variance next to nothing is not for floats.
template <class T>
void ForwardByRows(const Problem& p, const T* x, T* y, RowsForward rows) {
  const KernelTable<T>& kernels = Table<T>(*p.target);
  const double n = static_cast<double>(rows.length);
  const size_t count = rows.rows;
  rows.rows = 1;
  for (size_t r = 0; r < count; ++r, ++rows.first_row, x += rows.length, y += rows.length) {
    const Moments found = kernels.moments(x, 1, rows.length, 0);
    const double square = found.m2 / n + (rows.centered ? 0 : found.mean * found.mean);
    if (square + p.eps < kLeastVariance) {
      ExactRowForward(x, y, rows, rows.first_row);
    } else {
      kernels.rows_forward(x, y, rows);
    }
  }
}

// Sums of a part's rows in doubles. They are set by the first who adds to them.
struct Totals {
  double* weight;
  double* bias;
  size_t count;
  bool set;

  void Add(const float* weights, const float* biases) {
    AddTo(weights, count, !set, weight);
    AddTo(biases, count, !set, bias);
    set = true;
  }
  ParameterSums AsSums() {
    for (size_t j = 0; !set && j < count; ++j) weight[j] = bias[j] = 0;
    set = true;
    return {count == 0 ? nullptr : weight, count == 0 ? nullptr : bias, 1};
  }
};

// Rows that are not for floats add to doubles: a float sum of 64 such would leave the range too.
template <class T>
void BackwardByRows(const Problem& p, const T* x, const T* dy, const T* y, T* dx, RowsBackward rows, Totals* totals) {
  size_t left = rows.rows;
  for (;;) {
    const size_t done = Table<T>(*p.target).rows_backward(x, dy, y, dx, rows);
    if (done == left) return;
    const size_t at = done * rows.length, next = at + rows.length;
    ExactRowBackward(x + at, dy + at, At(y, at), dx + at, rows, rows.first_row + done, totals->AsSums());
    left -= done + 1;
    if (left == 0) return;
    rows.rows = left;
    rows.first_row += done + 1;
    x += next;
    dy += next;
    y = At(y, next);
    dx += next;
  }
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
    if (p.eps < kLeastVariance) {
      ForwardByRows(p, data.src + at, data.dst + at, rows);
    } else {
      Table<T>(*p.target).rows_forward(data.src + at, data.dst + at, rows);
    }
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
  bool stored = few;
  Parallel(p.threads, parts, [&](size_t i) {
    const Range range = PartOf(shape.rows, parts, i);
    float* weight_sum = sums ? weight_sums + i * columns : nullptr;
    float* bias_sum = sums ? bias_sums + i * columns : nullptr;
    Totals totals = {weight_totals + i * columns, bias_totals + i * columns, columns, false};
    for (size_t row = range.begin; row < range.end; row += kFloatRows) {
      const size_t count = range.end - row < kFloatRows ? range.end - row : kFloatRows;
      for (size_t j = 0; j < columns; ++j) weight_sum[j] = bias_sum[j] = 0;
      const RowsBackward rows = {p.operation != NN_RMS, shape.length, shape.period,  row,        count,    p.eps,
                                 data.weight,           data.mean,    data.variance, weight_sum, bias_sum, stream};
      const size_t at = row * shape.length;
      BackwardByRows(p, data.src + at, data.diff_dst + at, At(data.dst, at), data.diff_src + at, rows, &totals);
      if (few && !totals.set) continue;
      totals.Add(weight_sum, bias_sum);
      if (few) stored = false;
    }
  });
  if (stored) return NN_OK;
  StoreSum(weight_totals, parts, columns, data.diff_weight);
  StoreSum(bias_totals, parts, columns, data.diff_bias);
  return NN_OK;
}

template int RowsForwardPass(const Problem&, const Forward<float>&);
template int RowsBackwardPass(const Problem&, const Backward<float>&);

}  // namespace nn
