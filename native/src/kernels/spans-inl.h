// Kernels over runs of neighbours of one unit: channels-first batch, group and instance normalization.
#ifndef NATIVENORM_SPANS_INL_H_
#define NATIVENORM_SPANS_INL_H_

#include <math.h>

#include "kernels/accumulators-inl.h"
#include "kernels/constant-inl.h"
#include "kernels/kernels.h"
#include "kernels/pack-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/storage-inl.h"
#include "kernels/write-inl.h"

namespace nn {
namespace NN_TARGET {

template <class Set, class T>
PivotSums pivot_sums(Set, const T* x, size_t runs, size_t length, size_t stride, float pivot) {
  return pivot == 0 ? SumAround<false>(x, runs, length, stride, 0) : SumAround<true>(x, runs, length, stride, pivot);
}

// y = (x - center) * scale + shift
template <class Set, class T>
void normalize(Set set, const T* x, T* y, size_t runs, size_t length, size_t stride, const Affine* affines, size_t step,
               size_t ahead) {
  for (size_t run = 0; run < runs; ++run) {
    const Affine& affine = affines[run * step];
    const Floats center = SetStored<T>(affine.center);
    const Floats scale = SetStored<T>(affine.scale);
    const Floats shift = SetStored<T>(affine.shift);
    const T* from = x + run * stride;
    Write<kHas<kStream, Set>, kUnroll, true>(y + run * stride, length, [&](auto lanes, size_t i, size_t k) NN_INLINED {
      if constexpr (kHas<kStream, Set>) Prefetch(k, from + i + ahead);
      const Floats v = hn::MulAdd(hn::Sub(Load(lanes, from + i), center), scale, shift);
      return Has<kRelu>(set) ? Relu(v) : v;
    });
  }
}

// Of runs from all over a tensor the processor prefetches only what lies in the page that it reads already, so that
// each begins with waiting for memory: with the next one prefetched, gradients of 32x64x56x56 in BF16 take 0.62 of the
// time, of 2x320x64x64 in 32 groups 0.79 (AVX-512). Of what is read anyway it makes no difference.
template <class Set, class T>
HWY_INLINE void PrefetchInputs(Set set, size_t k, const T* x, const T* dy, const T* y, size_t at) {
  Prefetch(k, x + at);
  Prefetch(k, dy + at);
  if (Has<kRelu>(set)) Prefetch(k, y + at);
}

template <bool kFetch, class Set, class T>
HWY_INLINE GradientSums SumGradient(Set set, const T* x, const T* dy, const T* y, size_t runs, size_t length,
                                    size_t stride, Floats center, size_t ahead) {
  Accumulators sum, product, residual;
  SweepBlocks(
      runs, length, stride,
      [&](auto lanes, size_t i, size_t k) NN_INLINED {
        if constexpr (kFetch) PrefetchInputs(set, k, x, dy, y, i + ahead);
        const Floats distance = Keep(lanes, hn::Sub(Load(lanes, x + i), center));
        const Floats gradient = Cut(set, lanes, dy, y, i);
        sum.Add(k, gradient);
        product.AddProduct(k, gradient, distance);
        residual.Add(k, distance);
      },
      [&](size_t block) NN_INLINED {
        sum.Flush(block);
        product.Flush(block);
        residual.Flush(block);
      });
  GradientSums total;
  Accumulators::Totals(sum, product, &total.dy, &total.product);
  total.residual = residual.Total();
  return total;
}

template <class Set, class T>
void gradient_sums(Set set, const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride,
                   float center, GradientSums* sums, size_t step, size_t ahead) {
  const Floats c = hn::Set(kFloats, center);
  // A loop without it: two instructions more for each line take batch normalization's gradients of 16x256x14x14 1.08
  // times as long, where all is in the caches.
  Choose(ahead != 0, [&](auto fetch) NN_INLINED {
    if (step == 0) {
      *sums = SumGradient<fetch.value != 0>(set, x, dy, y, runs, length, stride, c, ahead);
      return;
    }
    // The compiler is to know that each is one run: gradients of runs of 35 take 0.82 of the time (AVX2).
    for (size_t run = 0; run < runs; ++run) {
      const size_t at = run * stride;
      sums[run * step] =
          SumGradient<fetch.value != 0>(set, x + at, dy + at, Has<kRelu>(set) ? y + at : y, 1, length, 0, c, ahead);
    }
  });
}

template <class Set, class T>
void constant_sums(Set set, const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride,
                   float center, GradientSums* sums, size_t step, size_t ahead) {
  const size_t together = step == 0 ? runs : 1;
  for (size_t run = 0; run < runs; run += together) {
    DoubleSum sum;
    Sameness same(center);
    for (size_t r = run; r < run + together; ++r) {
      SweepAccumulators(length, [&](auto lanes, size_t i, size_t k) NN_INLINED {
        const size_t at = r * stride + i;
        PrefetchInputs(set, k, x, dy, y, at + ahead);
        same.Add(k, lanes, Load(lanes, x + at));
        sum.Add(k, Cut(set, lanes, dy, y, at));
      });
    }
    sums[run * step] = {sum.Total(), same.IsTrue() ? 0.0 : NAN, 0};
  }
}

// dx = dy_factor * (dy - dy_center) + x_factor * (x - center) + constant
template <class Set, class T>
void gradient(Set set, const T* x, const T* dy, const T* y, T* dx, size_t runs, size_t length, size_t stride,
              const Gradient* gradients, size_t step) {
  for (size_t run = 0; run < runs; ++run) {
    const Gradient& g = gradients[run * step];
    const Floats center = SetStored<T>(g.center);
    const Floats dy_factor = SetStored<T>(g.dy_factor);
    const Floats x_factor = SetStored<T>(g.x_factor);
    const Floats constant = SetStored<T>(g.constant);
    const Floats dy_center = SetStored<T>(g.dy_center);
    const size_t at = run * stride;
    Choose(g.dy_center != 0, [&](auto centered) NN_INLINED {
      Write<kHas<kStream, Set>, kUnroll, true>(dx + at, length, [&](auto lanes, size_t i, size_t) NN_INLINED {
        const Floats distance = hn::Sub(Load(lanes, x + at + i), center);
        Floats cut = Cut(set, lanes, dy, y, at + i);
        if constexpr (centered.value) cut = hn::Sub(cut, dy_center);
        return hn::MulAdd(dy_factor, cut, hn::MulAdd(x_factor, distance, constant));
      });
    });
  }
}

// The same where the mask is not 0, and elsewhere dy_factor * dy.
template <class Set, class T>
void masked_gradient(Set set, const T* x, const T* dy, const T* y, const unsigned char* mask, T* dx, size_t length,
                     const Gradient& g) {
  const Floats center = hn::Set(kFloats, g.center);
  const Floats dy_factor = hn::Set(kFloats, g.dy_factor);
  const Floats x_factor = hn::Set(kFloats, g.x_factor);
  const Floats constant = hn::Set(kFloats, g.constant);
  const Floats dy_center = hn::Set(kFloats, g.dy_center);
  Write<false>(dx, length, [&](auto lanes, size_t i, size_t) NN_INLINED {
    const auto counts = hn::RebindMask(kFloats, LoadCounts(lanes, mask + i));
    const Floats distance = hn::Sub(Load(lanes, x + i), center);
    const Floats rest = hn::IfThenElseZero(counts, hn::MulAdd(x_factor, distance, constant));
    const Floats gradient = hn::Sub(Cut(set, lanes, dy, y, i), hn::IfThenElseZero(counts, dy_center));
    return hn::MulAdd(dy_factor, gradient, rest);
  });
}

// These are for sums in doubles and for parameters, whatever T is.
template <class Set, class T>
void add_doubles(Set, const double* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}

template <class Set, class T>
void add_floats(Set, const float* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}

template <class Set, class T>
void round_doubles(Set, const double* from, size_t count, float* to) {
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

template <class Set, class T>
bool all_finite(Set, const float* values, size_t count) {
  // 0 times a finite number is 0; times any other it is NaN.
  Floats sums[kUnroll];
  NN_UNROLLED
  for (size_t k = 0; k < kUnroll; ++k) sums[k] = hn::Zero(kFloats);
  const Floats zero = hn::Zero(kFloats);
  Sweep(count, [&](auto lanes, size_t i, size_t k)
                   NN_INLINED { sums[k] = hn::MulAdd(Load(lanes, values + i), zero, sums[k]); });
  const Floats sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
  return hn::AllTrue(kFloats, hn::Eq(sum, zero));
}

template <class Set, class T>
void widen(Set, const T* x, size_t count, float* to) {
  Write<kHas<kStream, Set>>(to, count,
                            [&](auto lanes, size_t i, size_t) NN_INLINED { return Quiet<float>(Load(lanes, x + i)); });
}

template <class Set, class T>
void narrow(Set, const float* from, size_t count, T* y) {
  Write<kHas<kStream, Set>>(y, count,
                            [&](auto lanes, size_t i, size_t) NN_INLINED { return Quiet<T>(Load(lanes, from + i)); });
}

// y = a * x + b
template <class Set, class T>
void plain_pass(Set, const T* x, T* y, size_t length, float a, float b) {
  const Floats factor = hn::Set(kFloats, a);
  const Floats constant = hn::Set(kFloats, b);
  Write<false>(y, length, [&](auto lanes, size_t i, size_t) NN_INLINED {
    return hn::MulAdd(Load(lanes, x + i), factor, constant);
  });
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_SPANS_INL_H_
