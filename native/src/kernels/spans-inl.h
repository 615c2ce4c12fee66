// Kernels over runs of neighbours of one unit: channels-first batch, group and instance normalization.
#ifndef NATIVENORM_SPANS_INL_H_
#define NATIVENORM_SPANS_INL_H_

#include "kernels/accumulators-inl.h"
#include "kernels/kernels.h"
#include "kernels/simd-inl.h"

namespace nn {
namespace NN_TARGET {

// Without a pivot (0) there is a subtraction less: a third of the work.
template <bool kPivot, class T>
HWY_INLINE PivotSums SumAround(const T* x, size_t runs, size_t length, size_t stride, float pivot) {
  const Floats center = hn::Set(kFloats, pivot);
  Accumulators sum, squares;
  SweepBlocks(
      runs, length, stride,
      [&](auto lanes, size_t i, auto k) NN_INLINED {
        Floats v = Load(lanes, x + i);
        if constexpr (kPivot) v = Keep(lanes, hn::Sub(v, center));
        sum.Add(k, v);
        squares.AddProduct(k, v, v);
      },
      [&](auto block) NN_INLINED {
        sum.Flush(block);
        squares.Flush(block);
      });
  PivotSums total;
  Accumulators::Totals(sum, squares, &total.sum, &total.squares);
  return total;
}

template <class T>
PivotSums pivot_sums(const T* x, size_t runs, size_t length, size_t stride, float pivot) {
  return pivot == 0 ? SumAround<false>(x, runs, length, stride, 0) : SumAround<true>(x, runs, length, stride, pivot);
}

// y = (x - center) * scale + shift
template <class T>
void normalize(const T* x, T* y, size_t runs, size_t length, size_t stride, const Affine* affines, size_t step,
               bool relu, bool stream, size_t ahead) {
  Choose(relu, [&](auto with_relu) NN_INLINED {
    Choose(stream, [&](auto streaming) NN_INLINED {
      for (size_t run = 0; run < runs; ++run) {
        const Affine& affine = affines[run * step];
        const Floats center = hn::Set(kFloats, affine.center);
        const Floats scale = hn::Set(kFloats, affine.scale);
        const Floats shift = hn::Set(kFloats, affine.shift);
        const T* from = x + run * stride;
        Write<streaming.value>(y + run * stride, length, [&](auto lanes, size_t i, auto k) NN_INLINED {
          if constexpr (streaming.value) Prefetch(k, from + i + ahead);
          const Floats v = hn::MulAdd(hn::Sub(Load(lanes, from + i), center), scale, shift);
          if constexpr (with_relu.value) return Relu(v);
          return v;
        });
      }
    });
  });
}

// dy where the output is positive or NaN, else 0; all of dy without an activation.
template <bool kRelu, class Lanes, class T>
HWY_INLINE Floats Cut(Lanes lanes, const T* dy, const T* y, size_t i) {
  const Floats gradient = Load(lanes, dy + i);
  if constexpr (kRelu) {
    return hn::IfThenZeroElse(hn::Le(Load(lanes, y + i), hn::Zero(kFloats)), gradient);
  }
  return gradient;
}

template <bool kRelu, class T>
HWY_INLINE GradientSums SumGradient(const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride,
                                    Floats center) {
  Accumulators sum, product, residual;
  SweepBlocks(
      runs, length, stride,
      [&](auto lanes, size_t i, auto k) NN_INLINED {
        const Floats distance = Keep(lanes, hn::Sub(Load(lanes, x + i), center));
        const Floats gradient = Cut<kRelu>(lanes, dy, y, i);
        sum.Add(k, gradient);
        product.AddProduct(k, gradient, distance);
        residual.Add(k, distance);
      },
      [&](auto block) NN_INLINED {
        sum.Flush(block);
        product.Flush(block);
        residual.Flush(block);
      });
  GradientSums total;
  Accumulators::Totals(sum, product, &total.dy, &total.product);
  total.residual = residual.Total();
  return total;
}

template <class T>
void gradient_sums(const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride, float center,
                   GradientSums* sums, size_t step) {
  const Floats c = hn::Set(kFloats, center);
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    if (step == 0) {
      *sums = SumGradient<relu.value>(x, dy, y, runs, length, stride, c);
      return;
    }
    // The compiler is to know that each is one run: gradients of runs of 35 take 0.82 of the time (AVX2).
    for (size_t run = 0; run < runs; ++run) {
      const size_t at = run * stride;
      sums[run * step] = SumGradient<relu.value>(x + at, dy + at, relu.value ? y + at : y, 1, length, 0, c);
    }
  });
}

// dx = dy_factor * (dy - dy_center) + x_factor * (x - center) + constant
template <class T>
void gradient(const T* x, const T* dy, const T* y, T* dx, size_t runs, size_t length, size_t stride,
              const Gradient* gradients, size_t step, bool stream) {
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    Choose(stream, [&](auto streaming) NN_INLINED {
      for (size_t run = 0; run < runs; ++run) {
        const Gradient& g = gradients[run * step];
        const Floats center = hn::Set(kFloats, g.center);
        const Floats dy_factor = hn::Set(kFloats, g.dy_factor);
        const Floats x_factor = hn::Set(kFloats, g.x_factor);
        const Floats constant = hn::Set(kFloats, g.constant);
        const Floats dy_center = hn::Set(kFloats, g.dy_center);
        const size_t at = run * stride;
        Choose(g.dy_center != 0, [&](auto centered) NN_INLINED {
          Write<streaming.value>(dx + at, length, [&](auto lanes, size_t i, auto) NN_INLINED {
            const Floats distance = hn::Sub(Load(lanes, x + at + i), center);
            Floats cut = Cut<relu.value>(lanes, dy, y, at + i);
            if constexpr (centered.value) cut = hn::Sub(cut, dy_center);
            return hn::MulAdd(dy_factor, cut, hn::MulAdd(x_factor, distance, constant));
          });
        });
      }
    });
  });
}

// These are for sums in doubles and for parameters, whatever T is.
template <class T>
void add_doubles(const double* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}

template <class T>
void add_floats(const float* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}

template <class T>
bool all_finite(const float* values, size_t count) {
  // 0 times a finite number is 0; times any other it is NaN.
  Floats sums[kUnroll];
  Repeat<kUnroll>([&](auto k) NN_INLINED { sums[k.value] = hn::Zero(kFloats); });
  const Floats zero = hn::Zero(kFloats);
  Sweep(count, [&](auto lanes, size_t i, auto k) NN_INLINED {
    sums[k.value] = hn::MulAdd(Load(lanes, values + i), zero, sums[k.value]);
  });
  const Floats sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
  return hn::AllTrue(kFloats, hn::Eq(sum, zero));
}

// y = a * x + b
template <class T>
void plain_pass(const T* x, T* y, size_t length, float a, float b) {
  const Floats factor = hn::Set(kFloats, a);
  const Floats constant = hn::Set(kFloats, b);
  Write<false>(y, length,
               [&](auto lanes, size_t i, auto) NN_INLINED { return hn::MulAdd(Load(lanes, x + i), factor, constant); });
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_SPANS_INL_H_
