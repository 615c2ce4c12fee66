// The C functions: a problem becomes a plan, and a plan is run by its driver.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <initializer_list>
#include <new>

#include "kernels/targets.h"
#include "nativenorm.h"
#include "plan/conversion.h"
#include "plan/plan.h"
#include "plan/problem.h"
#include "plan/scratch.h"
#include "plan/transposition.h"
#include "plan/variants.h"
#include "platform/system.h"
#include "threads/workers.h"

namespace {

using nn::Plan;

// Below this a call costs less than a second thread: 20 us.
constexpr size_t kElementsPerThread = 1 << 15;
constexpr int kMostThreads = 256;
std::atomic<int> target_in_use{-1};

// A call gains by workers that it has to wake if they take so much off it: 50 us. On 2 threads those are from 2^19
// elements on.
constexpr size_t kElementsToWake = 7 << 15;

nn::Team WorthwhileTeam(size_t elements, int threads) {
  const size_t most = elements / kElementsPerThread;
  const int allowed = threads > kMostThreads ? kMostThreads : threads;
  const size_t team = static_cast<size_t>(allowed) <= most ? static_cast<size_t>(allowed) : most < 1 ? 1 : most;
  return {static_cast<int>(team), elements - elements / team >= kElementsToWake};
}

// Those of a library's that a problem names. What OpenMP has not, and a call on 2^18 elements or more, gets workers:
// beside another library's threads, which spin on their processors, they come late. LayerNorm of 128x768 behind what
// PyTorch had made took 33 us with them, without 21.
nn::Team TeamOf(const nn_problem& p, size_t elements) {
  constexpr size_t kElementsBesideOthers = size_t{1} << 18;
  nn::Team team = WorthwhileTeam(elements, p.threads);
  if (p.threads_of == nullptr || team.threads == 1) return team;
  team.openmp = nn::OpenMpOf(p.threads_of);
  return team.openmp.IsThere() || elements >= kElementsBesideOthers ? team : nn::kAlone;
}

const nn::Target& TargetInUse() {
  const int wanted = target_in_use.load(std::memory_order_relaxed);
  return nn::TargetAt(wanted < 0 ? nn::TargetCount() - 1 : wanted);
}

bool IsTarget(int32_t index) { return index >= 0 && index < nn::TargetCount(); }

bool IsThere(std::initializer_list<const void*> operands) {
  return std::none_of(operands.begin(), operands.end(), [](const void* operand) { return operand == nullptr; });
}

nn::PartOfUnits UnitsOf(const nn_operands& o) {
  return {static_cast<size_t>(o.first_unit), static_cast<size_t>(o.units)};
}

nn::Forward ForwardOf(const Plan& p, const nn_operands& o) {
  const bool of_floats = p.task == NN_INFER || p.task == NN_TRAIN;
  return {{o.src, p.element_bytes},
          {o.dst, p.element_bytes},
          p.affine & NN_WEIGHT ? static_cast<const float*>(o.weight) : nullptr,
          p.affine & NN_BIAS ? static_cast<const float*>(o.bias) : nullptr,
          of_floats && p.operation != NN_RMS ? static_cast<float*>(o.mean) : nullptr,
          of_floats ? static_cast<float*>(o.variance) : nullptr,
          UnitsOf(o),
          o.mask};
}

nn::Backward BackwardOf(const Plan& p, const nn_operands& o) {
  const bool of_floats = p.task == NN_BACKWARD;
  return {{o.src, p.element_bytes},
          {p.relu ? o.dst : nullptr, p.element_bytes},
          p.affine & NN_WEIGHT ? static_cast<const float*>(o.weight) : nullptr,
          of_floats ? static_cast<const float*>(o.mean) : nullptr,
          of_floats ? static_cast<const float*>(o.variance) : nullptr,
          {o.diff_dst, p.element_bytes},
          {o.diff_src, p.element_bytes},
          static_cast<float*>(o.diff_weight),
          static_cast<float*>(o.diff_bias),
          UnitsOf(o),
          o.mask};
}

// The tasks: whether there is what one needs, and what it does.

// A part of the units if the driver can do one, or all.
bool AreUnits(const Plan& p, const nn_operands& o, bool can_do_part) {
  return (o.units == 0 && o.first_unit == 0) || (can_do_part && p.HasUnits(o.first_unit, o.units));
}

bool HasMask(const Plan& p, const nn_operands& o) { return !p.masked || o.mask != nullptr; }

bool CanNormalize(const Plan& p, const nn_operands& o) {
  return IsThere({o.src, o.dst}) && HasMask(p, o) && (!p.given || IsThere({o.mean, o.variance})) &&
         AreUnits(p, o, p.IsRows() || (p.UnitsLieApart() && !p.given));
}

int Normalize(const Plan& p, const nn_operands& o) {
  const nn::Forward data = ForwardOf(p, o);
  if (p.IsRows()) return nn::RowsForward(p, data);
  if (p.masked) return nn::MaskedForward(p, data);
  return p.channels_first ? nn::ChannelsFirstForward(p, data) : nn::ChannelsLastForward(p, data);
}

bool HasOutputs(const Plan& p, const nn_operands& o) { return IsThere({o.src, o.diff_dst}) && (!p.relu || o.dst); }

bool CanDifferentiate(const Plan& p, const nn_operands& o) {
  return HasOutputs(p, o) && HasMask(p, o) && IsThere({o.variance}) && (p.operation == NN_RMS || IsThere({o.mean})) &&
         AreUnits(p, o, p.UnitsLieApart());
}

int Differentiate(const Plan& p, const nn_operands& o) {
  return nn::Differentiate(p, BackwardOf(p, o), o.accumulate != 0);
}

bool CanMeasure(const Plan&, const nn_operands& o) { return IsThere({o.src, o.mean, o.variance}); }

int Measure(const Plan& p, const nn_operands& o) {
  const auto moments = p.channels_first ? &nn::ChannelsFirstMoments : &nn::ChannelsLastMoments;
  return moments(p, {o.src, p.element_bytes}, static_cast<double*>(o.mean), static_cast<double*>(o.variance));
}

bool CanApply(const Plan&, const nn_operands& o) { return IsThere({o.src, o.dst, o.mean, o.variance}); }

int Apply(const Plan& p, const nn_operands& o) {
  const auto normalize = p.channels_first ? &nn::ChannelsFirstNormalize : &nn::ChannelsLastNormalize;
  return normalize(p, ForwardOf(p, o), static_cast<const double*>(o.mean), static_cast<const double*>(o.variance));
}

bool CanSumGradients(const Plan& p, const nn_operands& o) {
  return HasOutputs(p, o) && IsThere({o.mean, o.sum_dy, o.sum_dy_centered});
}

int SumGradients(const Plan& p, const nn_operands& o) {
  const auto sum = p.channels_first ? &nn::ChannelsFirstGradientSums : &nn::ChannelsLastGradientSums;
  return sum(p, BackwardOf(p, o), static_cast<const double*>(o.mean), o.sum_dy, o.sum_dy_centered);
}

bool CanApplyGradients(const Plan& p, const nn_operands& o) {
  return HasOutputs(p, o) && IsThere({o.diff_src, o.mean, o.variance, o.sum_dy, o.sum_dy_centered}) && o.count > 0;
}

int ApplyGradients(const Plan& p, const nn_operands& o) {
  const auto apply = p.channels_first ? &nn::ChannelsFirstGradient : &nn::ChannelsLastGradient;
  return apply(p, BackwardOf(p, o), static_cast<const double*>(o.mean), static_cast<const double*>(o.variance),
               o.sum_dy, o.sum_dy_centered, o.count);
}

// In the order of the header.
constexpr struct {
  bool (*has)(const Plan&, const nn_operands&);
  int (*run)(const Plan&, const nn_operands&);
} kTasks[] = {{CanNormalize, Normalize},
              {CanNormalize, Normalize},
              {CanDifferentiate, Differentiate},
              {CanMeasure, Measure},
              {CanApply, Apply},
              {CanSumGradients, SumGradients},
              {CanApplyGradients, ApplyGradients}};

// In the order of the header.
constexpr struct {
  const char* name;
  size_t bytes;
} kTypes[] = {{"f32", 4}, {"bf16", 2}, {"f16", 2}, {"s8", 1}, {"u8", 1}, {"i64", 8}};

const char* OperationName(const Plan& p) {
  static const char* const kOperations[] = {"batch", "layer", "rms", "group"};
  return kOperations[p.operation];
}

}  // namespace

bool nn_plan::Prefetches(size_t element_bytes) const {
  return Elements() * element_bytes > nn::LastLevelCacheBytes() / 8 * 3;
}

bool nn_plan::PrefetchesRows(size_t length) const {
  // A program's other arrays take the cache too, and so a result is often written to lines that none has: twelve
  // LayerNorms of 1024x768 one after the other, 6 MB each, take 0.8 of the time on one thread and on two, of 3072x256
  // 0.85, where one on the same arrays over and over takes 0.97 to 1.05. Rows of 64 take 1.1 (EPYC, Zen 5, 32 MB).
  constexpr size_t kShort = 128;
  return length >= kShort && Elements() * ForwardBytes() > nn::LastLevelCacheBytes() / 6;
}

bool nn::GoPastTheCache(size_t bytes) {
  // Other programs use that cache too. With a cache of 32 MB, tensors of 17 MB take as long either way; of 26 MB,
  // non-temporal stores save a third of the time (EPYC 7003: LayerNorm of 4096x768, 1260 us to 880). Virtual machines
  // tell the cache of a host that has it for all of them: where that is 480 MB, of 100 MB they save a fifth (gradients
  // of 1x32x512x512, 3170 us to 2485), of 38 to 77 MB they cost 5 to 20 %.
  constexpr size_t kMost = size_t{90} << 20;
  const size_t half = nn::LastLevelCacheBytes() / 2;
  return bytes > (half < kMost ? half : kMost);
}

bool nn_plan::Streams(size_t element_bytes, bool in_place) const {
  return !in_place && nn::GoPastTheCache(Elements() * element_bytes);
}

bool nn_plan::StreamsRuns(size_t element_bytes, bool in_place, size_t length) const {
  // Where short runs share cache lines, most stores are to such lines, which are written twice (InstanceNorm of
  // 100x1024x7x7: 5 ms with non-temporal stores, 2.5 without; rows of 200 take as long either way).
  constexpr size_t kLine = 64, kShort = 1024;
  const size_t run = length * this->element_bytes;
  return (run % kLine == 0 || run >= kShort) && Streams(element_bytes, in_place);
}

nn_plan* nn_prepare(const nn_problem* problem, char* reason, size_t room) {
  const nn::Reason why(reason, room);
  nn_problem filled;
  const nn_problem* known = nn::Known(problem, &filled);
  if (known == nullptr) {
    if (nn::IsSized(*problem)) {
      why.Refuse("nn_problem has something behind the %zu bytes that are known here", sizeof filled);
    } else {
      why.Refuse("the size of nn_problem is %zu, expected %zu", problem->size, sizeof filled);
    }
    return nullptr;
  }
  const nn_problem& p = *known;
  if (!nn::IsProblem(p, why)) return nullptr;
  if (nn::TargetCount() == 0) {
    why.Refuse("there are no kernels for this processor");
    return nullptr;
  }
  nn_plan* plan = new (std::nothrow) nn_plan;
  if (plan == nullptr) {
    why.Refuse("there is no memory");
    return nullptr;
  }
  plan->task = p.task;
  plan->operation = p.operation;
  plan->affine = p.affine;
  plan->given = p.statistics == NN_GIVEN;
  plan->channels_first = p.layout == NN_CHANNELS_FIRST && p.spatial > 1;
  plan->relu = p.activation == NN_RELU;
  plan->masked = p.masked != 0;
  plan->batch = static_cast<size_t>(p.batch);
  plan->channels = static_cast<size_t>(p.channels);
  plan->spatial = static_cast<size_t>(p.spatial);
  plan->groups = static_cast<size_t>(p.groups);
  plan->eps = p.eps;
  plan->weight_offset = p.unit_offset == 0 ? -0.f : static_cast<float>(p.unit_offset);
  plan->rows_together = p.rows_together == 0 ? plan->Units() : static_cast<size_t>(p.rows_together);
  // Of strides only those of rows count.
  const auto stride = [&](int64_t given) {
    return given == 0 ? plan->rows_together * plan->channels : static_cast<size_t>(given);
  };
  plan->src_stride = stride(p.src_stride);
  plan->dst_stride = stride(p.dst_stride);
  plan->diff_dst_stride = stride(p.diff_dst_stride);
  plan->diff_src_stride = stride(p.diff_src_stride);
  const nn::Target& target = TargetInUse();
  const int dst_type = p.task == NN_MEASURE ? p.src_type : p.dst_type;
  const int computed = p.src_type == dst_type ? dst_type : NN_F32;
  plan->element_bytes = kTypes[computed].bytes;
  plan->kernels = &target.tables[computed];
  plan->loops = &nn::PlainLoopsOf(computed);
  plan->src_type = &target.tables[p.src_type];
  plan->dst_type = &target.tables[dst_type];
  plan->team = TeamOf(p, plan->Elements());
  const char* layout = plan->IsRows() ? "rows" : plan->channels_first ? "channels_first" : "channels_last";
  std::snprintf(plan->name, sizeof plan->name, "%s %s%s_%s_%s%s%s%s", target.name, plan->masked ? "masked_" : "",
                OperationName(*plan), layout, kTypes[p.src_type].name, plan->Converts() ? "_to_" : "",
                plan->Converts() ? kTypes[dst_type].name : "", plan->team.openmp.IsThere() ? " openmp" : "");
  const char* missing = nn::MissingKernel(*plan);
  if (missing == nullptr) return plan;
  why.Refuse("there is no %s for %s on %s", missing, kTypes[computed].name, target.name);
  delete plan;
  return nullptr;
}

void nn_release(nn_plan* plan) { delete plan; }

const char* nn_name(const nn_plan* plan) { return plan->name; }

int32_t nn_threads(const nn_plan* plan) { return plan->team.threads; }

int32_t nn_execute(const nn_plan* plan, const nn_operands* operands) {
  nn_operands filled;
  const nn_operands* known = nn::Known(operands, &filled);
  if (known == nullptr) return NN_WRONG_OPERANDS;
  const nn::DefaultFloatingPoint as_default;
  const auto& task = kTasks[plan->task];
  if (!task.has(*plan, *known)) return NN_WRONG_OPERANDS;
  return plan->Converts() ? nn::RunConverted(*plan, *known, task.run) : task.run(*plan, *known);
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

int32_t nn_convert(const void* src, int32_t src_type, void* dst, int32_t dst_type, int64_t n, int32_t threads) {
  const auto is_stored = [](int32_t type) { return type >= NN_F32 && type < nn::kStorageTypes; };
  if (!is_stored(src_type) || !is_stored(dst_type) || nn::TargetCount() == 0) return NN_WRONG_OPERANDS;
  if (n < 1) return NN_OK;
  if (!IsThere({src, dst})) return NN_WRONG_OPERANDS;
  const nn::DefaultFloatingPoint as_default;
  const nn::KernelTable* tables = TargetInUse().tables;
  nn::Convert(tables[src_type], src, tables[dst_type], dst, static_cast<size_t>(n),
              WorthwhileTeam(static_cast<size_t>(n), threads));
  return NN_OK;
}

int32_t nn_transpose(const void* src, void* dst, int32_t element_bytes, int64_t samples, int64_t rows, int64_t columns,
                     int32_t threads) {
  const bool is_size = element_bytes == 2 || element_bytes == 4 || element_bytes == 8;
  if (!is_size || nn::TargetCount() == 0) return NN_WRONG_OPERANDS;
  if (samples < 1 || rows < 1 || columns < 1) return NN_OK;
  if (!IsThere({src, dst})) return NN_WRONG_OPERANDS;
  const size_t n = static_cast<size_t>(samples), r = static_cast<size_t>(rows), c = static_cast<size_t>(columns);
  nn::Transpose(TargetInUse().tables[NN_F32], src, dst, static_cast<size_t>(element_bytes), n, r, c,
                WorthwhileTeam(n * r * c, threads));
  return NN_OK;
}

int32_t nn_update_running(float* running, const float* batch, int64_t samples, int64_t channels, double share,
                          double correction) {
  if (nn::TargetCount() == 0) return NN_WRONG_OPERANDS;
  if (samples < 1 || channels < 1) return NN_OK;
  if (!IsThere({running, batch})) return NN_WRONG_OPERANDS;
  const nn::DefaultFloatingPoint as_default;
  const auto update = TargetInUse().tables[NN_F32].update_running[nn::kPlain];
  update(running, batch, static_cast<size_t>(samples), static_cast<size_t>(channels), share, share * correction);
  return NN_OK;
}

void nn_stream(const float* x, float* y, int64_t n, float a, float b, int32_t threads) {
  const nn::DefaultFloatingPoint as_default;
  if (n < 1 || nn::TargetCount() == 0) return;
  const nn::Target& target = TargetInUse();
  const nn::Team team = WorthwhileTeam(static_cast<size_t>(n), threads);
  const size_t parts = team.threads > 1 ? 4 * static_cast<size_t>(team.threads) : 1;
  const size_t lines = (static_cast<size_t>(n) + 15) / 16;
  nn::Parallel(team, parts, [&](size_t i) {
    const nn::Range range = nn::PartOf(lines, parts, i);
    const size_t begin = range.begin * 16;
    const size_t end = range.end * 16 < static_cast<size_t>(n) ? range.end * 16 : static_cast<size_t>(n);
    if (end > begin) target.tables[NN_F32].plain_pass[nn::kPlain](x + begin, y + begin, end - begin, a, b);
  });
}
