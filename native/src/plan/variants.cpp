#include "plan/variants.h"

#include <initializer_list>

namespace nn {
namespace {

// A kernel with the options that a plan has, and those that a call may have or not: they depend on its operands.
struct Need {
  const char* name;
  bool has_all;
};

template <class Bodies>
bool HasAll(const Bodies& bodies, unsigned options, unsigned optional) {
  for (unsigned some = optional;; some = (some - 1) & optional) {
    if (bodies[options | some] == nullptr) return false;
    if (some == 0) return true;
  }
}

const char* FirstMissing(std::initializer_list<Need> needs) {
  for (const Need& need : needs) {
    if (!need.has_all) return need.name;
  }
  return nullptr;
}

#define NN_NEED(kernel, options, optional) \
  Need { #kernel, HasAll(p.kernels->kernel, options, optional) }

unsigned CenteredIf(const Plan& p) { return OptionIf(p.operation != NN_RMS, kCentered); }

const char* MissingForRows(const Plan& p) {
  const unsigned options = p.Options() | CenteredIf(p), weight = OptionIf((p.affine & NN_WEIGHT) != 0, kWeight);
  if (p.task != NN_BACKWARD) {
    const unsigned bias = OptionIf((p.affine & NN_BIAS) != 0, kBias);
    return FirstMissing({NN_NEED(row_normalize, options, weight | bias), NN_NEED(pivot_sums, kPlain, kPlain)});
  }
  return FirstMissing({NN_NEED(row_gradient, options, weight | kParameterSums), NN_NEED(add_doubles, kPlain, kPlain),
                       NN_NEED(add_floats, kPlain, kPlain), NN_NEED(round_doubles, kPlain, kPlain),
                       NN_NEED(all_finite, kPlain, kPlain)});
}

const char* MissingForSums(const Plan& p) {
  if (p.channels_first) return FirstMissing({NN_NEED(pivot_sums, kPlain, kPlain), NN_NEED(pack, kPlain, kPlain)});
  return FirstMissing({NN_NEED(column_sums, kPlain, kPlain), NN_NEED(column_moments, kPlain, kPlain),
                       NN_NEED(add_doubles, kPlain, kPlain)});
}

const char* MissingForNormalize(const Plan& p) {
  if (p.channels_first) return FirstMissing({NN_NEED(normalize, p.Options(), kStream)});
  return FirstMissing({NN_NEED(column_affines, kPlain, kPlain), NN_NEED(column_normalize, p.Options(), kStream)});
}

const char* MissingForGradientSums(const Plan& p) {
  if (p.channels_first) {
    return FirstMissing({NN_NEED(gradient_sums, p.Options(), kPlain), NN_NEED(constant_sums, p.Options(), kPlain)});
  }
  return FirstMissing({NN_NEED(column_gradient_sums, p.Options(), kPlain), NN_NEED(add_doubles, kPlain, kPlain)});
}

const char* MissingForGradient(const Plan& p) {
  if (p.channels_first) {
    return FirstMissing({NN_NEED(gradient, p.Options(), kStream), NN_NEED(masked_gradient, p.Options(), kPlain)});
  }
  return FirstMissing({NN_NEED(column_gradients, kPlain, kPlain), NN_NEED(column_gradient, p.Options(), kStream)});
}

#undef NN_NEED

}  // namespace

const char* MissingKernel(const Plan& p) {
  if (p.IsRows()) return MissingForRows(p);
  const char* missing = nullptr;
  const bool forward = p.task == NN_INFER || p.task == NN_TRAIN, backward = p.task == NN_BACKWARD;
  if ((forward && !p.given) || (backward && p.masked) || p.task == NN_MEASURE) missing = MissingForSums(p);
  if (missing == nullptr && (forward || p.task == NN_APPLY)) missing = MissingForNormalize(p);
  if (missing == nullptr && (backward || p.task == NN_SUM_GRADIENTS)) missing = MissingForGradientSums(p);
  if (missing == nullptr && (backward || p.task == NN_APPLY_GRADIENTS)) missing = MissingForGradient(p);
  return missing;
}

}  // namespace nn
