// Kernels over runs of neighbours that share one mean: channels-first batch, group and instance normalization.
#ifndef NATIVENORM_SPANS_INL_H_
#define NATIVENORM_SPANS_INL_H_

#include "kernels.h"
#include "simd-inl.h"

namespace nn {
namespace NN_TARGET {

// Statistics are sums of distances from a pivot, so that a large mean costs no digits. They lose as many as the
// pivot's squared distance from the mean is larger than the variance; beyond this ratio (4 standard deviations: one
// in 16,000 of normal values) the mean that came out is the next pivot.
constexpr double kTrustedRatio = 16;
// Squares of floats above 1.8e19 overflow: such values are summed up in doubles.
constexpr double kLargestSum = 1.7976931348623157e308;

struct PivotSums {
  double sum;      // sum(x - pivot)
  double squares;  // sum((x - pivot)^2)
};

// Whether float sums over n values are good, and with them which moments come out.
enum class Trust { kGood, kOtherPivot, kDoubles };

HWY_INLINE Trust Judge(PivotSums sums, double n, float pivot, bool last_try, Moments* moments) {
  const double offset = sums.sum / n;
  const double excess = sums.sum * offset;
  const double m2 = sums.squares - excess;
  moments->mean = pivot + offset;
  moments->m2 = m2 > 0 ? m2 : 0;
  if (!(sums.squares <= kLargestSum)) return Trust::kDoubles;  // infinite or not a number
  return excess <= kTrustedRatio * m2 || last_try ? Trust::kGood : Trust::kOtherPivot;
}

// As ExactMoments, which is not among these kernels: with a call that may change all registers on its way a row of 64
// takes 8 % longer.
template <class T>
Moments DoubleMoments(const T* x, size_t runs, size_t length, size_t stride) {
  const double n = static_cast<double>(runs) * static_cast<double>(length);
  double sum = 0;
  for (size_t run = 0; run < runs; ++run) {
    for (size_t i = 0; i < length; ++i) sum += ToFloat(x[run * stride + i]);
  }
  const double mean = sum / n;
  double m2 = 0;
  for (size_t run = 0; run < runs; ++run) {
    for (size_t i = 0; i < length; ++i) {
      const double distance = ToFloat(x[run * stride + i]) - mean;
      m2 += distance * distance;
    }
  }
  return {mean, m2};
}

// Without a pivot (0) a subtraction less is a third of the work.
template <bool kPivot, class T>
HWY_INLINE PivotSums SumAround(const T* x, size_t runs, size_t length, size_t stride, float pivot) {
  const Floats center = hn::Set(kFloats, pivot);
  Sum sum, squares;
  SweepBlocks(
      runs, length, stride,
      [&](auto part, size_t i, auto k) NN_INLINED {
        Floats v = Load(part, x + i);
        if constexpr (kPivot) v = Keep(part, hn::Sub(v, center));
        sum.Add(k, v);
        squares.AddProduct(k, v, v);
      },
      [&]() NN_INLINED {
        sum.Flush();
        squares.Flush();
      });
  return {sum.Total(), squares.Total()};
}

template <class T>
Moments moments(const T* x, size_t runs, size_t length, size_t stride) {
  const double n = static_cast<double>(runs) * static_cast<double>(length);
  Moments found;
  Trust trust = Judge(SumAround<false>(x, runs, length, stride, 0), n, 0, false, &found);
  if (trust == Trust::kOtherPivot) {
    const float pivot = static_cast<float>(found.mean);
    trust = Judge(SumAround<true>(x, runs, length, stride, pivot), n, pivot, true, &found);
  }
  return trust == Trust::kGood ? found : DoubleMoments(x, runs, length, stride);
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
        Write<streaming.value>(y + run * stride, length, [&](auto part, size_t i, auto k) NN_INLINED {
          if constexpr (streaming.value) Fetch(k, from + i + ahead);
          const Floats v = hn::MulAdd(hn::Sub(Load(part, from + i), center), scale, shift);
          if constexpr (with_relu.value) return Relu(v);
          return v;
        });
      }
    });
  });
}

// dy where the output is positive or NaN, else 0; all of dy without an activation.
template <bool kRelu, class Extent, class T>
HWY_INLINE Floats Cut(Extent part, const T* dy, const T* y, size_t i) {
  const Floats gradient = Load(part, dy + i);
  if constexpr (kRelu) {
    return hn::IfThenZeroElse(hn::Le(Load(part, y + i), hn::Zero(kFloats)), gradient);
  }
  return gradient;
}

template <class T>
void gradient_sums(const T* x, const T* dy, const T* y, size_t runs, size_t length, size_t stride, float center,
                   GradientSums* sums, size_t step) {
  const Floats c = hn::Set(kFloats, center);
  const size_t together = step == 0 ? runs : 1;
  Choose(y != nullptr, [&](auto relu) NN_INLINED {
    for (size_t run = 0; run < runs; run += together) {
      Sum sum, product, residual;
      SweepBlocks(
          together, length, stride,
          [&](auto part, size_t i, auto k) NN_INLINED {
            const size_t at = run * stride + i;
            const Floats distance = Keep(part, hn::Sub(Load(part, x + at), c));
            const Floats gradient = Cut<relu.value>(part, dy, y, at);
            sum.Add(k, gradient);
            product.AddProduct(k, gradient, distance);
            residual.Add(k, distance);
          },
          [&]() NN_INLINED {
            sum.Flush();
            product.Flush();
            residual.Flush();
          });
      sums[run * step] = {sum.Total(), product.Total(), residual.Total()};
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
          Write<streaming.value>(dx + at, length, [&](auto part, size_t i, auto) NN_INLINED {
            const Floats distance = hn::Sub(Load(part, x + at + i), center);
            Floats cut = Cut<relu.value>(part, dy, y, at + i);
            if constexpr (centered.value) cut = hn::Sub(cut, dy_center);
            return hn::MulAdd(dy_factor, cut, hn::MulAdd(x_factor, distance, constant));
          });
        });
      }
    });
  });
}

// y = a * x + b
template <class T>
void plain_pass(const T* x, T* y, size_t length, float a, float b) {
  const Floats factor = hn::Set(kFloats, a);
  const Floats constant = hn::Set(kFloats, b);
  Write<false>(y, length,
               [&](auto part, size_t i, auto) NN_INLINED { return hn::MulAdd(Load(part, x + i), factor, constant); });
}

}  // namespace NN_TARGET
}  // namespace nn

#endif  // NATIVENORM_SPANS_INL_H_
