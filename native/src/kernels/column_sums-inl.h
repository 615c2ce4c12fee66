// Kernels: sums over the columns of a matrix, each column with a mean of its own (channels-last normalization). Up to
// kNarrow columns have their sums in registers, over blocks of rows. Wider matrices go by a few rows together: as many
// sequential streams, which processors prefetch, where strips of columns would jump from page to page and, with rows of
// 4096 bytes, have cache-set conflicts (1.3 to 3 times slower).
#ifndef NATIVENORM_COLUMN_SUMS_INL_H_
#define NATIVENORM_COLUMN_SUMS_INL_H_

#include "kernels/kernels.h"
#include "kernels/matrix-inl.h"
#include "kernels/order.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"

namespace nn {
namespace NN_TARGET {

// The first value, added to 0: -0 becomes 0.
HWY_INLINE void SetTo(double* totals, Floats v) {
  const Doubles zero = hn::Zero(kDoubles);
  hn::StoreU(hn::Add(zero, LowerDoubles(v)), kDoubles, totals);
  hn::StoreU(hn::Add(zero, UpperDoubles(v)), kDoubles, totals + kLanes / 2);
}

HWY_INLINE void AddInto(double* totals, Floats v) {
  hn::StoreU(hn::Add(hn::LoadU(kDoubles, totals), LowerDoubles(v)), kDoubles, totals);
  totals += kLanes / 2;
  hn::StoreU(hn::Add(hn::LoadU(kDoubles, totals), UpperDoubles(v)), kDoubles, totals);
}

// The first block's sums are stored, later ones added, so that totals need not be cleared.
HWY_INLINE void Put(bool first, double* totals, Floats v) {
  if (first) {
    SetTo(totals, v);
  } else {
    AddInto(totals, v);
  }
}

// Arrays over columns are padded: whole vectors of them are written.
inline void Clear(size_t columns, double* array) {
  for (size_t j = 0; j < PaddedColumns(columns); ++j) array[j] = 0;
}

// The sum of kRows rows.
template <size_t kRows>
HWY_INLINE Floats SumOf(const Floats (&v)[kRows]) {
  static_assert(kRows == 1 || kRows == 2 || kRows == 4);
  if constexpr (kRows == 1) {
    return v[0];
  } else if constexpr (kRows == 2) {
    return hn::Add(v[0], v[1]);
  } else {
    return hn::Add(hn::Add(v[0], v[1]), hn::Add(v[2], v[3]));
  }
}

// a[0] * b[0] + a[1] * b[1] + ..., each but the first with a fused multiply-add.
template <size_t kRows>
HWY_INLINE Floats ProductOf(const Floats (&a)[kRows], const Floats (&b)[kRows]) {
  Floats sum = hn::Mul(a[0], b[0]);
  NN_UNROLLED
  for (size_t r = 1; r < kRows; ++r) sum = hn::MulAdd(a[r], b[r], sum);
  return sum;
}

// Reads from a line. Two arrays that are read line by line, in turns, processors prefetch by themselves, and better
// than by instructions (AVX-512: gradients of 100352x64 take 2.2 ms so, 2.4 with lines prefetched or with neither).
template <class T>
HWY_INLINE void ReadLine(const T* from) {
  (void)*reinterpret_cast<const volatile uint8_t*>(from);
}

// kSums sums for each column of a strip of kVectors over the rows of a block.
template <size_t kSums, size_t kVectors, class Lanes, class Columns>
HWY_INLINE void SumStrip(Lanes lanes, size_t first, size_t rows, size_t j, double* const* totals, size_t ahead,
                         const Columns& columns) {
  Floats sums[kVectors][kSums], of_columns[kVectors];
  NN_UNROLLED
  for (size_t v = 0; v < kVectors; ++v) {
    of_columns[v] = columns.load(j + v * kLanes);
    NN_UNROLLED
    for (size_t s = 0; s < kSums; ++s) sums[v][s] = hn::Zero(kFloats);
  }
  ForRowsTogether<kSummedTogether>(rows, false, [&](auto together, size_t row) NN_INLINED {
    if (ahead != 0) {
      NN_UNROLLED
      for (size_t v = 0; v < together.value * kVectors; ++v) {
        columns.fetch(first + row + v / kVectors, ahead, j + v % kVectors * kLanes);
      }
    }
    NN_UNROLLED
    for (size_t v = 0; v < kVectors; ++v) {
      columns.body(lanes, together, first + row, j + v * kLanes, of_columns[v], sums[v]);
    }
  });
  NN_UNROLLED
  for (size_t v = 0; v < kVectors; ++v) {
    NN_UNROLLED
    for (size_t s = 0; s < kSums; ++s) Put(first == 0, totals[s] + j + v * kLanes, sums[v][s]);
  }
}

// Adds up kSums quantities for each column of a narrow matrix, in strips of up to kMost vectors.
template <size_t kSums, size_t kMost, class Columns>
HWY_INLINE void SumNarrow(size_t rows, size_t count, double* const* totals, size_t ahead, const Columns& columns) {
  ForBlocks(rows, [&](size_t first, size_t n) NN_INLINED {
    ForStrips<kMost>(count, [&](auto width, auto lanes, size_t j) NN_INLINED {
      SumStrip<kSums, width.value>(lanes, first, n, j, totals, ahead, columns);
    });
  });
}

// The same for a wide one, by rows together. So many rows ahead are prefetched: with it columns from memory take 0.9 of
// the time (AVX2: GroupNorm of 2x320x64x64, its gradients, 262144x16), columns from a cache up to 1.1.
template <size_t kSums, class Columns>
HWY_INLINE void SumWide(size_t rows, size_t count, double* const* totals, size_t ahead, const Columns& columns) {
  // Columns whose float sums stay in the first-level cache; with half of them gradients of 256x1024 took a quarter
  // longer.
  constexpr size_t kChunk = 1024;
  HWY_ALIGN float sums[kSums][kChunk];
  for (size_t begin = 0; begin < count; begin += kChunk) {
    const size_t width = HWY_MIN(kChunk, count - begin);
    NN_UNROLLED
    for (size_t s = 0; s < kSums; ++s) {
      for (size_t j = 0; j < width; j += kLanes) hn::Store(hn::Zero(kFloats), kFloats, sums[s] + j);
    }
    ForBlocks(rows, [&](size_t block, size_t n) NN_INLINED {
      const auto add = [&](auto together, size_t row, auto prefetching, const auto& put) NN_INLINED {
        ForVectors(width, [&](auto lanes, size_t j) NN_INLINED {
          if constexpr (prefetching.value) {
            const size_t next = block + row + ahead;
            NN_UNROLLED
            for (size_t r = 0; r < kSummedTogether; ++r) columns.prefetch(next + r, begin + j);
          }
          Floats v[kSums];
          NN_UNROLLED
          for (size_t s = 0; s < kSums; ++s) v[s] = hn::Load(kFloats, sums[s] + j);
          columns.body(lanes, together, block + row, begin + j, columns.load(begin + j), v);
          NN_UNROLLED
          for (size_t s = 0; s < kSums; ++s) put(s, j, v[s]);
        });
      };
      const auto keep = [&](size_t s, size_t j, Floats sum) NN_INLINED { hn::Store(sum, kFloats, sums[s] + j); };
      const auto flush = [&](size_t s, size_t j, Floats sum) NN_INLINED {
        Put(block == 0, totals[s] + begin + j, sum);
        hn::Store(hn::Zero(kFloats), kFloats, sums[s] + j);
      };
      size_t row = 0;
      Choose(ahead != 0, [&](auto prefetching) NN_INLINED {
        for (; row + kSummedTogether < n; row += kSummedTogether) add(Index<kSummedTogether>(), row, prefetching, keep);
      });
      if (row + kSummedTogether == n) return add(Index<kSummedTogether>(), row, Index<false>(), flush);
      if (row + 2 < n) {
        add(Index<2>(), row, Index<false>(), keep);
        row += 2;
      }
      if (row + 2 == n) return add(Index<2>(), row, Index<false>(), flush);
      add(Index<1>(), row, Index<false>(), flush);
    });
  }
}

// How the columns of a matrix are summed up: load(column) gives what a vector of them needs, body(lanes, rows
// together, first row, column, that, sums) adds these rows, prefetch(row, column) prefetches one, and fetch(row, ahead,
// column) does what is best before rows of a narrow matrix are added.
template <class Load, class Body, class Prefetch, class Fetch>
struct ColumnsOf {
  Load load;
  Body body;
  Prefetch prefetch;
  Fetch fetch;
};
template <class Load, class Body, class Prefetch, class Fetch>
ColumnsOf(Load, Body, Prefetch, Fetch) -> ColumnsOf<Load, Body, Prefetch, Fetch>;

// Sums kSums quantities up for each of `count` columns, of which up to kMost vectors are a strip. Rows whose cache
// sets conflict are not prefetched: the eight ways of a set hold four rows of x and of dy and no more (gradients of
// 256x1024 took 1.4 times as long).
template <size_t kSums, size_t kMost, class Columns>
HWY_INLINE void SumColumns(size_t rows, size_t count, double* const* totals, size_t ahead, const Columns& columns) {
  if (count > kMost * kLanes) {
    SumWide<kSums>(rows, count, totals, ahead, columns);
    return;
  }
  SumNarrow<kSums, kMost>(rows, count, totals, ahead, columns);
}

// How many rows ahead a matrix is prefetched; 0 if not. Four rows of few columns are not enough: gradients of 100352x64
// take 0.84 of the time with 8 KB (AVX2).
template <class T>
size_t RowsAhead(bool prefetch, size_t stride) {
  constexpr size_t kBytes = 8192;
  if (!prefetch || SetsConflict<T>(stride)) return 0;
  return HWY_MAX(kSummedTogether, kBytes / sizeof(T) / stride);
}

// sum(x - pivot) and sum((x - pivot)^2) of each column; without kPivot all pivots are 0.
template <bool kPivot, class T>
HWY_NOINLINE void SumAround(const T* x, size_t rows, size_t columns, size_t stride, const float* pivot, bool prefetch,
                            double* const* totals) {
  const auto load = [&](size_t j) NN_INLINED { return kPivot ? hn::LoadU(kFloats, pivot + j) : hn::Zero(kFloats); };
  const auto body = [&](auto lanes, auto together, size_t first, size_t j, Floats center, Floats* v) NN_INLINED {
    Floats distances[together.value];
    NN_UNROLLED
    for (size_t r = 0; r < together.value; ++r) {
      distances[r] = Load(lanes, x + (first + r) * stride + j);
      if constexpr (kPivot) distances[r] = hn::Sub(distances[r], center);
    }
    v[0] = hn::Add(v[0], SumOf(distances));
    v[1] = hn::Add(v[1], ProductOf(distances, distances));
  };
  const auto prefetch_at = [&](size_t row, size_t j) NN_INLINED { hwy::Prefetch(x + row * stride + j); };
  const auto fetch = [&](size_t row, size_t ahead, size_t j) NN_INLINED { prefetch_at(row + ahead, j); };
  SumColumns<2, kUnroll>(rows, columns, totals, RowsAhead<T>(prefetch, stride),
                         ColumnsOf{load, body, prefetch_at, fetch});
}

template <class Set, class T>
void column_sums(Set, const T* x, size_t rows, size_t columns, size_t stride, const float* pivot, bool prefetch,
                 double* sums, double* squares) {
  double* const totals[] = {sums, squares};
  if (pivot != nullptr) {
    SumAround<true>(x, rows, columns, stride, pivot, prefetch, totals);
  } else {
    SumAround<false>(x, rows, columns, stride, pivot, prefetch, totals);
  }
}

// The same as Judge, in a form that compilers vectorize.
template <class Set, class T>
bool column_moments(Set, size_t columns, double share, double* sums, double* squares) {
  int distrusted = 0;
  for (size_t j = 0; j < columns; ++j) {
    const double offset = sums[j] * share;
    const double excess = sums[j] * offset;
    const double m2 = squares[j] - excess;
    const bool trusted = squares[j] <= kLargestSum && excess <= kTrustedRatio * m2;
    distrusted |= !trusted;
    sums[j] = offset;
    squares[j] = trusted ? m2 : kDistrusted;
  }
  return distrusted == 0;
}

// A vector of columns has three sums and a center in registers, of which 16 have room for two such vectors.
constexpr size_t kGradientVectors = kManyRegisters ? kUnroll : 2;

template <class Set, class T>
HWY_NOINLINE void SumGradients(Set set, const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride,
                               const float* center, bool prefetch, double* const* totals) {
  const auto load = [&](size_t j) NN_INLINED { return hn::LoadU(kFloats, center + j); };
  const auto body = [&](auto lanes, auto together, size_t first, size_t j, Floats c, Floats* v) NN_INLINED {
    Floats distances[together.value], gradients[together.value];
    NN_UNROLLED
    for (size_t r = 0; r < together.value; ++r) {
      const size_t at = (first + r) * stride + j;
      distances[r] = hn::Sub(Load(lanes, x + at), c);
      gradients[r] = Cut(set, lanes, dy, y, at);
    }
    v[0] = hn::Add(v[0], SumOf(gradients));
    v[1] = hn::Add(v[1], ProductOf(gradients, distances));
    v[2] = hn::Add(v[2], SumOf(distances));
  };
  const auto prefetch_at = [&](size_t row, size_t j) NN_INLINED {
    hwy::Prefetch(x + row * stride + j);
    hwy::Prefetch(dy + row * stride + j);
  };
  const auto fetch = [&](size_t row, size_t, size_t j) NN_INLINED {
    ReadLine(x + row * stride + j);
    ReadLine(dy + row * stride + j);
  };
  SumColumns<3, kGradientVectors>(rows, columns, totals, RowsAhead<T>(prefetch, stride),
                                  ColumnsOf{load, body, prefetch_at, fetch});
}

// sum(dy) of columns that may be constant, in doubles and in the order of rows, and sum(|x - center|). A pass of its
// own: within SumGradients all column kernels take a quarter longer to compile (AVX2: 16.5 s, not 13.2), and a gradient
// with a constant channel 0 to 12 % less. By some blocks of rows in turns the two are no faster.
template <class Set, class T>
HWY_NOINLINE void SumConstants(Set set, const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride,
                               const float* center, double* exact_dy, double* spread) {
  Clear(columns, exact_dy);
  Clear(columns, spread);
  ForRowsTogether<kSummedTogether>(rows, false, [&](auto together, size_t first) NN_INLINED {
    ForVectors(columns, [&](auto lanes, size_t j) NN_INLINED {
      const Floats c = hn::LoadU(kFloats, center + j);
      Doubles lower = hn::LoadU(kDoubles, exact_dy + j), upper = hn::LoadU(kDoubles, exact_dy + j + kLanes / 2);
      Floats distance = hn::Zero(kFloats);
      NN_UNROLLED
      for (size_t r = 0; r < together.value; ++r) {
        const size_t at = (first + r) * stride + j;
        distance = hn::Add(distance, hn::Abs(hn::Sub(Load(lanes, x + at), c)));
        const Floats gradient = Cut(set, lanes, dy, y, at);
        lower = hn::Add(lower, LowerDoubles(gradient));
        upper = hn::Add(upper, UpperDoubles(gradient));
      }
      hn::StoreU(lower, kDoubles, exact_dy + j);
      hn::StoreU(upper, kDoubles, exact_dy + j + kLanes / 2);
      AddInto(spread + j, distance);
    });
  });
}

template <class Set, class T>
void column_gradient_sums(Set set, const T* x, const T* dy, const T* y, size_t rows, size_t columns, size_t stride,
                          const float* center, bool prefetch, const ColumnGradientSums& sums) {
  double* const totals[] = {sums.dy, sums.product, sums.residual};
  SumGradients(set, x, dy, y, rows, columns, stride, center, prefetch, totals);
  if (sums.exact_dy != nullptr) {
    SumConstants(set, x, dy, y, rows, columns, stride, center, sums.exact_dy, sums.spread);
  }
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_COLUMN_SUMS_INL_H_
