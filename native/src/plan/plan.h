// The plan: a problem made ready to run; its drivers, and what they are given. A driver divides a plan's work among
// threads and caches and calls kernels; there is one for each way in which a unit, the elements that share one mean,
// lies in memory.
#ifndef NATIVENORM_PLAN_H_
#define NATIVENORM_PLAN_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "hwy/cache_control.h"
#include "kernels/exact.h"
#include "kernels/kernels.h"
#include "kernels/plain_loops.h"
#include "nativenorm.h"
#include "plan/operands.h"
#include "threads/workers.h"

struct nn_plan {
  int task;
  int operation;
  int affine;
  bool given;
  bool channels_first;
  bool relu;
  bool masked;  // statistics are of some positions (masked.h)
  nn::Team team;
  size_t batch;
  size_t channels;
  size_t spatial;
  size_t groups;  // 1 but for group normalization
  double eps;
  float weight_offset;  // of rows; -0 where there is none
  // Where rows lie (rows.h): all together if these are as many, and then there are no strides.
  size_t rows_together;
  size_t src_stride;
  size_t dst_stride;
  size_t diff_dst_stride;
  size_t diff_src_stride;
  size_t element_bytes;
  const nn::KernelTable* kernels;
  const nn::PlainLoops* loops;
  // Of the types of input and output; if these are two, one is F32, in which it is computed (conversion.h).
  const nn::KernelTable* src_type;
  const nn::KernelTable* dst_type;
  char name[64];

  size_t Elements() const { return batch * channels * spatial; }

  // Rows with parameters for each element; without spatial extent a group is one.
  bool IsRows() const {
    return operation == NN_LAYER || operation == NN_RMS || (operation == NN_GROUP && spatial == 1 && !masked);
  }

  // How many means there are.
  size_t Units() const { return operation == NN_BATCH ? channels : operation == NN_GROUP ? batch * groups : batch; }

  // Some of them, of one type.
  bool HasUnits(int64_t first, int64_t count) const {
    const int64_t units = static_cast<int64_t>(Units());
    return !Converts() && first >= 0 && count > 0 && first < units && count <= units - first;
  }

  // Channels of the batch whose drivers do any of them.
  bool UnitsLieApart() const { return channels_first && operation == NN_BATCH && !masked; }

  // What one element takes in all tensors, of which backward has the input twice: its gradient.
  size_t ForwardBytes() const { return 2 * element_bytes; }
  size_t BackwardBytes() const { return 3 * element_bytes; }

  bool Converts() const { return src_type != dst_type; }

  // Whether so many bytes of each element take more than 3/8 of the last-level cache: then the next rows are
  // prefetched.
  bool Prefetches(size_t element_bytes) const;

  // Whether rows of so many elements are prefetched, which pays earlier.
  bool PrefetchesRows(size_t length) const;

  // Whether they are so many that results are written with non-temporal stores, unless in place.
  bool Streams(size_t element_bytes, bool in_place) const;
  // The same where they are written as runs of `length` elements.
  bool StreamsRuns(size_t element_bytes, bool in_place, size_t length) const;

  // The options of kernels that read or write activations.
  unsigned Options(bool stream = false) const {
    return nn::OptionIf(relu, nn::kRelu) | nn::OptionIf(stream, nn::kStream);
  }
};

namespace nn {

using Plan = nn_plan;

// Makes a thread's non-temporal stores visible to others: once for a part, as it waits until they are in memory, 100 ns
// (after each row LayerNorm of 4096x768 took 690 us instead of 340).
inline void EndStream(bool stream) {
  if (stream) hwy::FlushStream();
}

// Whether so many bytes that a call reads and writes are more than caches keep for it.
bool GoPastTheCache(size_t bytes);

// Into how many parts `things` are divided for the threads: several for each, so that a thread that comes late leaves
// little to wait for.
inline size_t Parts(const Plan& plan, size_t things, size_t per_thread = 4) {
  const size_t parts = plan.team.threads == 1 ? 1 : per_thread * static_cast<size_t>(plan.team.threads);
  return parts < things ? parts : things;
}

// Normalizes x by a mean and a variance: (x - mean) * inverse. The mean is center + rounded_away.
struct Normal {
  double inverse;
  double rounded_away;
  float center;

  Normal() = default;
  // The variance is rounded to float, as it is handed out, so that training and inference agree.
  Normal(double mean, double variance, double eps)
      : inverse(1 / sqrt(static_cast<float>(variance) + eps)),
        rounded_away(inverse == 0 ? 0 : mean - static_cast<float>(mean)),
        // With a variance beyond the largest float all is 0, also where x - center would overflow.
        center(inverse == 0 ? 0 : static_cast<float>(mean)) {}

  Affine With(const float* weight, const float* bias, size_t channel) const {
    const double scale = weight == nullptr ? inverse : inverse * weight[channel];
    const double shift = bias == nullptr ? 0 : bias[channel];
    return {center, static_cast<float>(scale), static_cast<float>(shift - rounded_away * scale)};
  }

  // Whether a unit, or a unit that is a channel, is outside (exact.h).
  bool IsOutside() const { return nn::IsOutside(inverse, center, inverse, 0); }
  bool IsOutside(const float* weight, const float* bias, size_t channel) const {
    const Affine affine = With(weight, bias, channel);
    return nn::IsOutside(inverse, affine.center, affine.scale, affine.shift);
  }
};

// Whether some unit may be constant: all its x are its mean.
inline bool SomeConstant(const Plan& plan, const float* variance) {
  if (plan.given) return false;
  const size_t units = plan.Units();
  for (size_t unit = 0; unit < units; ++unit) {
    if (variance[unit] == 0) return true;
  }
  return false;
}

// A unit's gradient from the sums over it: dx = inverse * weight * dy + x_factor * (x - center) + constant, and the
// part of a channel's sums in the weight's gradient. The gradient of a constant unit, where the product is 0, is
// inverse * (weight * dy - g_mean).
struct UnitGradient {
  double inverse;
  double offset;  // from the center to the mean
  double x_factor;
  double constant;
  double g_mean;
  float center;
  bool is_constant;
  bool outside;  // exact.h

  // `sums` are weighted; given statistics are constants.
  UnitGradient(const Normal& normal, GradientSums sums, double n, double variance, double eps, bool given)
      : UnitGradient(normal, sums, n, 1 / n, variance, eps, given) {}

  Gradient With(const float* weight, size_t channel) const {
    const double w = weight == nullptr ? 1 : weight[channel];
    if (is_constant) {
      Gradient gradient = GradientOfConstant(center, inverse, w, g_mean);
      // Twice a double's rounding: of a weighted sum and of its share.
      if (fabs(w * gradient.dy_center - g_mean) <= 4e-16 * fabs(g_mean)) gradient.constant = 0;
      return gradient;
    }
    return {center, static_cast<float>(inverse * w), static_cast<float>(x_factor), static_cast<float>(constant), 0};
  }

  double WeightPart(GradientSums sums) const {
    return inverse == 0 || is_constant ? 0 : inverse * (sums.product - offset * sums.dy);
  }

 private:
  UnitGradient(const Normal& normal, GradientSums sums, double n, double share, double variance, double eps, bool given)
      : inverse(normal.inverse),
        offset(given || inverse == 0 ? 0 : sums.residual * share),
        // Where the variance is not finite the product may have overflowed.
        x_factor(given || inverse == 0
                     ? 0
                     : -inverse * inverse * inverse * (sums.product - offset * sums.dy) * share),
        constant(given ? 0 : -inverse * sums.dy * share - x_factor * offset),
        g_mean(0),
        center(normal.center),
        is_constant(!given && variance == 0 && sums.product == 0),
        outside(!IsPlain(variance + eps, sums.dy, sums.product) &&
                (IsOutside(inverse, sums.dy, sums.product, n, inverse, x_factor) ||
                 (!given && IsConstant(variance, sums.dy)))) {
    if (!is_constant) return;
    inverse = InverseOfConstant(eps);
    g_mean = sums.dy / n;
    outside = IsConstantOutside(inverse, g_mean);
  }
};

// The gradients that are wanted, by the plan's driver; those of the parameters are written, or added to what is there.
int Differentiate(const Plan& plan, const Backward& data, bool accumulate);

// The drivers. Each returns NN_OK or NN_OUT_OF_MEMORY.
int RowsForward(const Plan& plan, const Forward& data);
int RowsBackward(const Plan& plan, const Backward& data);

int MaskedForward(const Plan& plan, const Forward& data);
int MaskedBackward(const Plan& plan, const Backward& data);

int ChannelsFirstForward(const Plan& plan, const Forward& data);
int ChannelsFirstBackward(const Plan& plan, const Backward& data);

int ChannelsLastForward(const Plan& plan, const Forward& data);
int ChannelsLastBackward(const Plan& plan, const Backward& data);

// The phases' drivers. Statistics are arrays over units. The phases of gradients are for batch normalization only,
// where units are channels: sum(dy), sum(dy * (x - mean)), of n values each.
int ChannelsFirstMoments(const Plan& plan, const Input& src, double* mean, double* m2);
int ChannelsFirstNormalize(const Plan& plan, const Forward& data, const double* mean, const double* variance);
int ChannelsFirstGradientSums(const Plan& plan, const Backward& data, const double* mean, double* dy, double* product);
int ChannelsFirstGradient(const Plan& plan, const Backward& data, const double* mean, const double* variance,
                          const double* dy, const double* product, double n);

int ChannelsLastMoments(const Plan& plan, const Input& src, double* mean, double* m2);
int ChannelsLastNormalize(const Plan& plan, const Forward& data, const double* mean, const double* variance);
int ChannelsLastGradientSums(const Plan& plan, const Backward& data, const double* mean, double* dy, double* product);
int ChannelsLastGradient(const Plan& plan, const Backward& data, const double* mean, const double* variance,
                         const double* dy, const double* product, double n);

}  // namespace nn

#endif  // NATIVENORM_PLAN_H_
