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

void Add(const float* more, Range channels, float* to) {
  for (size_t c = channels.begin; to != nullptr && c < channels.end; ++c) to[c] += more[c];
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
  const Range channels = data.part.Of(p.channels);
  Add(data.diff_weight, channels, wanted.diff_weight);
  Add(data.diff_bias, channels, wanted.diff_bias);
  return NN_OK;
}

}  // namespace nn
