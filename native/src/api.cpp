// The C functions: a problem becomes a plan, and a plan is run by its driver.
#include "nativenorm.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <new>

#include "kernels/targets.h"
#include "plan/plan.h"
#include "plan/scratch.h"
#include "platform/system.h"
#include "threads/workers.h"

namespace {

using nn::Plan;

// Below this a call costs less than a second thread: 20 us.
constexpr size_t kElementsPerThread = 1 << 15;
constexpr int kMostThreads = 256;
// More is not a number of threads but uninitialized memory.
constexpr int32_t kMostThreadsAskedFor = 1 << 16;
// Doubles count exactly up to here. Scratch arrays take 656 bytes an element at most (channels last, groups of single
// elements, backward), which a size_t then holds.
constexpr int64_t kMostElements = int64_t{1} << 53;

std::atomic<int> target_in_use{-1};

int WorthwhileThreads(size_t elements, int threads) {
  const size_t most = elements / kElementsPerThread;
  const int allowed = threads > kMostThreads ? kMostThreads : threads;
  return static_cast<size_t>(allowed) <= most ? allowed : most < 1 ? 1 : static_cast<int>(most);
}

const nn::Target& TargetInUse() {
  const int wanted = target_in_use.load(std::memory_order_relaxed);
  return nn::TargetAt(wanted < 0 ? nn::TargetCount() - 1 : wanted);
}

bool IsTarget(int32_t index) { return index >= 0 && index < nn::TargetCount(); }

bool IsOneOf(int32_t value, int32_t last) { return value >= 0 && value <= last; }

// Whether there are so many elements or fewer, whatever the product is modulo 2^64.
bool AreElements(int64_t batch, int64_t channels, int64_t spatial) {
  return batch >= 1 && channels >= 1 && spatial >= 1 && batch <= kMostElements / channels &&
         batch * channels <= kMostElements / spatial;
}

template <class T>
const T* Output(const Plan& p, const void* dst) {
  return p.relu ? static_cast<const T*>(dst) : nullptr;
}

template <class T>
int RunForward(const Plan& p, const nn::Forward<T>& data) {
  if (p.IsRows()) return nn::RowsForward(p, data);
  return p.channels_first ? nn::ChannelsFirstForward(p, data) : nn::ChannelsLastForward(p, data);
}

template <class T>
int RunBackward(const Plan& p, const nn::Backward<T>& data) {
  if (p.IsRows()) return nn::RowsBackward(p, data);
  return p.channels_first ? nn::ChannelsFirstBackward(p, data) : nn::ChannelsLastBackward(p, data);
}

const char* OperationName(const Plan& p) {
  static const char* const kOperations[] = {"batch", "layer", "rms", "group"};
  return kOperations[p.operation];
}

}  // namespace

bool nn_plan::Prefetches(size_t tensors, size_t element_bytes) const {
  return tensors * Elements() * element_bytes > nn::LastLevelCacheBytes() / 8 * 3;
}

bool nn_plan::Streams(size_t tensors, size_t element_bytes, bool in_place) const {
  // Other programs use that cache too. With a cache of 32 MB, tensors of 17 MB take as long either way; of 26 MB,
  // non-temporal stores save a third of the time (EPYC 7003: LayerNorm of 4096x768, 1260 us to 880).
  return !in_place && tensors * Elements() * element_bytes > nn::LastLevelCacheBytes() / 2;
}

nn_plan* nn_prepare(int32_t operation, int32_t direction, int32_t statistics, int32_t data_type, int32_t layout,
                    int64_t batch, int64_t channels, int64_t spatial, int64_t groups, double eps, int32_t activation,
                    int32_t threads) {
  const bool known = IsOneOf(operation, NN_GROUP) && IsOneOf(direction, NN_BACKWARD) && IsOneOf(statistics, NN_GIVEN) &&
                     IsOneOf(data_type, NN_F32) && IsOneOf(layout, NN_CHANNELS_LAST) && IsOneOf(activation, NN_RELU);
  if (!known || !AreElements(batch, channels, spatial) || groups < 1 || channels % groups != 0 || !(eps >= 0) ||
      !std::isfinite(eps) || threads < 1 || threads > kMostThreadsAskedFor) {
    return nullptr;
  }
  const bool rows = operation == NN_LAYER || operation == NN_RMS;
  if ((rows && spatial != 1) || (statistics == NN_GIVEN && operation != NN_BATCH)) return nullptr;
  const int targets = nn::TargetCount();
  if (targets == 0) return nullptr;
  nn_plan* plan = new (std::nothrow) nn_plan;
  if (plan == nullptr) return nullptr;
  plan->operation = operation;
  plan->given = statistics == NN_GIVEN;
  plan->channels_first = layout == NN_CHANNELS_FIRST && spatial > 1;
  plan->relu = activation == NN_RELU;
  plan->batch = static_cast<size_t>(batch);
  plan->channels = static_cast<size_t>(channels);
  plan->spatial = static_cast<size_t>(spatial);
  plan->groups = static_cast<size_t>(groups);
  plan->eps = eps;
  const nn::Target& target = TargetInUse();
  plan->kernels = &target.tables[data_type];
  plan->threads = WorthwhileThreads(plan->Elements(), threads);
  std::snprintf(plan->name, sizeof plan->name, "%s %s_%s_f32", target.name, OperationName(*plan),
                plan->IsRows()         ? "rows"
                : plan->channels_first ? "channels_first"
                                       : "channels_last");
  return plan;
}

void nn_release(nn_plan* plan) { delete plan; }

const char* nn_name(const nn_plan* plan) { return plan->name; }

int32_t nn_threads(const nn_plan* plan) { return plan->threads; }

int32_t nn_forward(const nn_plan* plan, const void* src, void* dst, const float* weight, const float* bias,
                   float* mean, float* variance) {
  const nn::DefaultFloatingPoint as_default;
  using T = float;
  return RunForward<T>(*plan, {static_cast<const T*>(src), static_cast<T*>(dst), weight, bias,
                               plan->operation == NN_RMS ? nullptr : mean, variance});
}

int32_t nn_backward(const nn_plan* plan, const void* src, const void* dst, const float* weight, const float* mean,
                    const float* variance, const void* diff_dst, void* diff_src, float* diff_weight, float* diff_bias) {
  const nn::DefaultFloatingPoint as_default;
  using T = float;
  return RunBackward<T>(*plan, {static_cast<const T*>(src), Output<T>(*plan, dst), weight, mean, variance,
                                static_cast<const T*>(diff_dst), static_cast<T*>(diff_src), diff_weight, diff_bias});
}

int32_t nn_moments(const nn_plan* plan, const void* src, double* mean, double* m2) {
  const nn::DefaultFloatingPoint as_default;
  using T = float;
  const T* x = static_cast<const T*>(src);
  return plan->channels_first ? nn::ChannelsFirstMoments(*plan, x, mean, m2)
                              : nn::ChannelsLastMoments(*plan, x, mean, m2);
}

int32_t nn_normalize(const nn_plan* plan, const void* src, void* dst, const float* weight, const float* bias,
                     const double* mean, const double* variance) {
  const nn::DefaultFloatingPoint as_default;
  using T = float;
  const nn::Forward<T> data = {static_cast<const T*>(src), static_cast<T*>(dst), weight, bias, nullptr, nullptr};
  return plan->channels_first ? nn::ChannelsFirstNormalize(*plan, data, mean, variance)
                              : nn::ChannelsLastNormalize(*plan, data, mean, variance);
}

int32_t nn_grad_moments(const nn_plan* plan, const void* src, const void* dst, const void* diff_dst,
                        const double* mean, double* sum_dy, double* sum_dy_centered) {
  const nn::DefaultFloatingPoint as_default;
  using T = float;
  const nn::Backward<T> data = {static_cast<const T*>(src),
                                Output<T>(*plan, dst),
                                nullptr,
                                nullptr,
                                nullptr,
                                static_cast<const T*>(diff_dst),
                                nullptr,
                                nullptr,
                                nullptr};
  return plan->channels_first ? nn::ChannelsFirstGradientSums(*plan, data, mean, sum_dy, sum_dy_centered)
                              : nn::ChannelsLastGradientSums(*plan, data, mean, sum_dy, sum_dy_centered);
}

int32_t nn_grad_input(const nn_plan* plan, const void* src, const void* dst, const float* weight,
                      const double* mean, const double* variance, const void* diff_dst, const double* sum_dy,
                      const double* sum_dy_centered, double count, void* diff_src) {
  const nn::DefaultFloatingPoint as_default;
  using T = float;
  const nn::Backward<T> data = {static_cast<const T*>(src),      Output<T>(*plan, dst),   weight,  nullptr, nullptr,
                                static_cast<const T*>(diff_dst), static_cast<T*>(diff_src), nullptr, nullptr};
  return plan->channels_first
             ? nn::ChannelsFirstGradient(*plan, data, mean, variance, sum_dy, sum_dy_centered, count)
             : nn::ChannelsLastGradient(*plan, data, mean, variance, sum_dy, sum_dy_centered, count);
}

int32_t nn_targets(void) { return nn::TargetCount(); }

const char* nn_target_name(int32_t index) { return IsTarget(index) ? nn::TargetAt(index).name : nullptr; }

void nn_use_target(int32_t index) {
  if (IsTarget(index)) target_in_use.store(index, std::memory_order_relaxed);
}

void nn_set_workers(int32_t count) {
  nn::SetWorkers(count);
  if (count <= 0) nn::Scratch::FreeKept();
}

#if defined(__linux__)
// When the library is unloaded or the process ends. Windows lets no library that it unloads wait for a thread.
__attribute__((destructor)) static void Unload() {
  nn::EndIdleWorkers();
  nn::Scratch::FreeKept();
}
#endif

void nn_stream(const float* x, float* y, int64_t n, float a, float b, int32_t threads) {
  const nn::DefaultFloatingPoint as_default;
  if (n < 1 || nn::TargetCount() == 0) return;
  const nn::Target& target = TargetInUse();
  const int together = WorthwhileThreads(static_cast<size_t>(n), threads);
  const size_t parts = together > 1 ? 4 * static_cast<size_t>(together) : 1;
  const size_t lines = (static_cast<size_t>(n) + 15) / 16;
  nn::Parallel(together, parts, [&](size_t i) {
    const nn::Range range = nn::PartOf(lines, parts, i);
    const size_t begin = range.begin * 16;
    const size_t end = range.end * 16 < static_cast<size_t>(n) ? range.end * 16 : static_cast<size_t>(n);
    if (end > begin) target.tables[NN_F32].plain_pass(x + begin, y + begin, end - begin, a, b);
  });
}
