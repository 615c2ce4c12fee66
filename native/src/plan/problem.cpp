#include "plan/problem.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <initializer_list>

#include "kernels/kernels.h"

namespace nn {
namespace {

// Neither struct may end in padding, where a caller that does not know the next field has anything.
static_assert(sizeof(nn_problem) == offsetof(nn_problem, threads_of) + sizeof(nn_problem::threads_of));
static_assert(sizeof(nn_operands) == offsetof(nn_operands, mask) + sizeof(nn_operands::mask));

// More is not a number of threads but uninitialized memory.
constexpr int32_t kMostThreadsAskedFor = 1 << 16;
// Doubles count exactly up to here. Scratch arrays take 656 bytes an element at most (channels last, groups of single
// elements, backward), which a size_t then holds.
constexpr int64_t kMostElements = int64_t{1} << 53;

// Whether there are so many elements or fewer, whatever the product is modulo 2^64.
bool AreElements(const nn_problem& p) {
  return p.batch <= kMostElements / p.channels && p.batch * p.channels <= kMostElements / p.spatial;
}

// Whether each number is within its bounds.
bool IsWithinBounds(const nn_problem& p, const Reason& reason) {
  const struct {
    const char* name;
    int32_t value, first, last;
  } numbers[] = {{"operation", p.operation, NN_BATCH, NN_GROUP},
                 {"statistics", p.statistics, NN_COMPUTED, NN_GIVEN},
                 {"layout", p.layout, NN_CHANNELS_FIRST, NN_CHANNELS_LAST},
                 {"threads", p.threads, 1, kMostThreadsAskedFor},
                 {"src_type", p.src_type, NN_F32, NN_I64},
                 {"dst_type", p.dst_type, NN_F32, NN_I64},
                 {"parameters_type", p.parameters_type, NN_F32, NN_I64},
                 {"affine", p.affine, 0, NN_WEIGHT + NN_BIAS},
                 {"activation", p.activation, NN_NONE, NN_RELU},
                 {"task", p.task, NN_INFER, NN_APPLY_GRADIENTS}};
  for (const auto& n : numbers) {
    if (n.value < n.first || n.value > n.last) {
      return reason.Refuse("%s is %d, expected %d to %d", n.name, n.value, n.first, n.last);
    }
  }
  const struct {
    const char* name;
    int64_t value;
  } extents[] = {{"batch", p.batch}, {"channels", p.channels}, {"spatial", p.spatial}, {"groups", p.groups}};
  for (const auto& e : extents) {
    if (e.value < 1) {
      return reason.Refuse("%s is %lld, expected 1 or more", e.name, static_cast<long long>(e.value));
    }
  }
  if (!(p.eps >= 0) || !isfinite(p.eps)) return reason.Refuse("eps is %g, expected a finite number, 0 or more", p.eps);
  return true;
}

// Whether there are kernels for the types (kernels/variants.def).
bool AreStored(const nn_problem& p, const Reason& reason) {
  static const char* const kTypes[] = {"F32", "BF16", "F16", "S8", "U8", "I64"};
  if (p.parameters_type != NN_F32) {
    return reason.Refuse("computes with parameters in F32 only, not %s", kTypes[p.parameters_type]);
  }
  for (int32_t type : {p.src_type, p.dst_type}) {
    if (type >= kStorageTypes) return reason.Refuse("computes F32, BF16 and F16 only, not %s", kTypes[type]);
  }
  if (p.src_type == p.dst_type || p.src_type == NN_F32 || p.dst_type == NN_F32) return true;
  return reason.Refuse("computes two types only where one is F32, not %s to %s", kTypes[p.src_type],
                       kTypes[p.dst_type]);
}

// Whether the rows can lie so: what is apart are rows of one type, and no stride is less than the rows that it steps
// over, or leads beyond so many elements.
bool AreApart(const nn_problem& p, const Reason& reason) {
  const struct {
    const char* name;
    int64_t value;
    bool is_used;
  } strides[] = {{"src_stride", p.src_stride, true},
                 {"dst_stride", p.dst_stride, true},
                 {"diff_dst_stride", p.diff_dst_stride, p.task == NN_BACKWARD},
                 {"diff_src_stride", p.diff_src_stride, p.task == NN_BACKWARD}};
  const bool rows = p.operation == NN_LAYER || p.operation == NN_RMS;
  if (p.rows_together < 0 || p.rows_together > (rows ? p.batch : 0)) {
    return reason.Refuse("rows_together is %lld, expected 0 to %lld", static_cast<long long>(p.rows_together),
                         static_cast<long long>(rows ? p.batch : 0));
  }
  if (p.rows_together != 0 && p.src_type != p.dst_type) return reason.Refuse("rows lie apart in one type only");
  const int64_t steps = p.rows_together == 0 ? 0 : (p.batch - 1) / p.rows_together;
  const int64_t least = p.rows_together * p.channels, most = steps == 0 ? kMostElements : kMostElements / steps;
  for (const auto& s : strides) {
    if (s.value == 0) continue;
    if (p.rows_together == 0 || !s.is_used) {
      return reason.Refuse("%s is %lld, expected 0 %s", s.name, static_cast<long long>(s.value),
                           s.is_used ? "where all rows are together" : "of a task that has no gradient");
    }
    if (s.value < least || s.value > most) {
      return reason.Refuse("%s is %lld, expected %lld to %lld", s.name, static_cast<long long>(s.value),
                           static_cast<long long>(least), static_cast<long long>(most));
    }
  }
  return true;
}

// Whether there is something that an offset of the weight is added to, in a driver that does it.
bool IsOffset(const nn_problem& p, const Reason& reason) {
  if (p.unit_offset == 0) return true;
  if (!isfinite(static_cast<float>(p.unit_offset))) {
    return reason.Refuse("unit_offset is %g, expected a finite float", p.unit_offset);
  }
  if (p.operation != NN_LAYER && p.operation != NN_RMS) return reason.Refuse("unit_offset is of rows only");
  if ((p.affine & NN_WEIGHT) == 0) return reason.Refuse("unit_offset is %g, but there is no weight", p.unit_offset);
  return true;
}

// Whether statistics can be of some positions. Their numbers within a sample are kept in 32 bits (masked.h).
bool IsMasked(const nn_problem& p, const Reason& reason) {
  if (p.masked == 0) return true;
  if (p.masked != 1) {
    return reason.Refuse("masked is %lld, expected 0 or 1", static_cast<long long>(p.masked));
  }
  const bool is_phase = p.task >= NN_MEASURE;
  if (p.operation == NN_LAYER || p.operation == NN_RMS || p.statistics == NN_GIVEN || is_phase) {
    return reason.Refuse("masked are only computed statistics of batch and group normalization, and no phases");
  }
  if (p.spatial > UINT32_MAX) return reason.Refuse("masked are samples of fewer than 2^32 positions");
  return true;
}

}  // namespace

Reason::Reason(char* text, size_t room) : text_(text), room_(text == nullptr ? 0 : room) {
  if (room_ > 0) *text_ = 0;
}

bool Reason::Refuse(const char* format, ...) const {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text_, room_, format, arguments);
  va_end(arguments);
  return false;
}

bool IsProblem(const nn_problem& p, const Reason& reason) {
  if (!IsWithinBounds(p, reason)) return false;
  if (!AreElements(p)) {
    return reason.Refuse("%lld x %lld x %lld elements are more than 2^53", static_cast<long long>(p.batch),
                         static_cast<long long>(p.channels), static_cast<long long>(p.spatial));
  }
  if (p.channels % p.groups != 0) {
    return reason.Refuse("%lld channels cannot be divided into %lld groups", static_cast<long long>(p.channels),
                         static_cast<long long>(p.groups));
  }
  if (p.spatial > 1 && (p.operation == NN_LAYER || p.operation == NN_RMS)) {
    return reason.Refuse("spatial is %lld, but rows have no more than a batch and channels",
                         static_cast<long long>(p.spatial));
  }
  const bool is_phase = p.task >= NN_MEASURE;
  if (is_phase && p.operation != NN_BATCH) return reason.Refuse("only batch normalization is computed in phases");
  if (p.statistics == NN_GIVEN && (is_phase || p.operation != NN_BATCH)) {
    return reason.Refuse("statistics are given %s", is_phase ? "to none of the phases" : "to batch normalization only");
  }
  return AreStored(p, reason) && AreApart(p, reason) && IsOffset(p, reason) && IsMasked(p, reason);
}

}  // namespace nn
