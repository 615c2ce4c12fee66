// What is done with gradients before and behind the drivers of backward.
#include "plan/plan.h"
#include "plan/scratch.h"

namespace nn {
namespace {

int DifferentiateInto(const Plan& p, const Backward& data) {
  if (p.IsRows()) return RowsBackward(p, data);
  if (p.masked) return MaskedBackward(p, data);
  return p.channels_first ? ChannelsFirstBackward(p, data) : ChannelsLastBackward(p, data);
}

void Add(const float* more, size_t count, float* to) {
  for (size_t i = 0; to != nullptr && i < count; ++i) to[i] += more[i];
}

}  // namespace

int Differentiate(const Plan& p, const Backward& wanted, bool accumulate) {
  const bool sums = wanted.diff_weight != nullptr || wanted.diff_bias != nullptr;
  if (!sums && !wanted.WantsInput()) return NN_OK;
  if (!sums || !accumulate) return DifferentiateInto(p, wanted);
  // Drivers write to their places more than once.
  Scratch scratch(2 * Scratch::Bytes<float>(p.channels));
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  Backward data = wanted;
  if (data.diff_weight != nullptr) data.diff_weight = scratch.Take<float>(p.channels);
  if (data.diff_bias != nullptr) data.diff_bias = scratch.Take<float>(p.channels);
  const int status = DifferentiateInto(p, data);
  if (status != NN_OK) return status;
  Add(data.diff_weight, p.channels, wanted.diff_weight);
  Add(data.diff_bias, p.channels, wanted.diff_bias);
  return NN_OK;
}

}  // namespace nn
