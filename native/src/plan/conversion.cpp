#include "plan/conversion.h"

#include <string.h>

#include "plan/scratch.h"
#include "threads/workers.h"

namespace nn {
namespace {

// Elements that a thread converts at once, and those that go from one 16-bit type to another by way of floats.
constexpr size_t kChunk = 1 << 14;
constexpr size_t kOnStack = 1 << 10;

}  // namespace

void Convert(const KernelTable& src_type, const void* src, const KernelTable& dst_type, void* dst, size_t n,
             Team team) {
  const Input from(src, src_type.element_bytes);
  const Output to(dst, dst_type.element_bytes);
  const bool stream = GoPastTheCache(n * (src_type.element_bytes + dst_type.element_bytes));
  const unsigned options = OptionIf(stream, kStream);
  const size_t chunks = (n + kChunk - 1) / kChunk;
  Parallel(team, chunks, [&](size_t i) {
    const size_t begin = i * kChunk, end = begin + kChunk < n ? begin + kChunk : n;
    if (&src_type == &dst_type) {
      memcpy(to.At(begin), from.At(begin), (end - begin) * src_type.element_bytes);
    } else if (dst_type.element_bytes == sizeof(float)) {
      src_type.widen[options](from.At(begin), end - begin, static_cast<float*>(to.At(begin)));
    } else if (src_type.element_bytes == sizeof(float)) {
      dst_type.narrow[options](static_cast<const float*>(from.At(begin)), end - begin, to.At(begin));
    } else {
      float floats[kOnStack];
      for (size_t at = begin; at < end; at += kOnStack) {
        const size_t count = end - at < kOnStack ? end - at : kOnStack;
        src_type.widen[kPlain](from.At(at), count, floats);
        dst_type.narrow[options](floats, count, to.At(at));
      }
    }
    EndStream(stream);
  });
}

int RunConverted(const Plan& p, const nn_operands& given, int (*task)(const Plan&, const nn_operands&)) {
  const size_t n = p.Elements(), bytes = Scratch::Bytes<float>(n);
  const bool src_is_f32 = p.src_type == p.kernels;
  const bool writes = p.task != NN_SUM_GRADIENTS && given.diff_src != nullptr;
  const auto widen = [&](const KernelTable* type, const void* from, void* to) {
    Convert(*type, from, *p.kernels, to, n, p.team);
    return to;
  };
  const auto narrow = [&](const void* from, const KernelTable* type, void* to) {
    Convert(*p.kernels, from, *type, to, n, p.team);
  };
  nn_operands o = given;
  if (p.task == NN_INFER || p.task == NN_TRAIN || p.task == NN_APPLY) {
    if (!src_is_f32) {
      o.src = widen(p.src_type, given.src, given.dst);
      return task(p, o);
    }
    Scratch scratch(bytes);
    if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
    o.dst = scratch.Take<float>(n);
    const int status = task(p, o);
    if (status == NN_OK) narrow(o.dst, p.dst_type, given.dst);
    return status;
  }
  if (!src_is_f32) {
    Scratch scratch(writes ? 2 * bytes : bytes);
    if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
    o.src = widen(p.src_type, given.src, scratch.Take<float>(n));
    if (writes) o.diff_src = scratch.Take<float>(n);
    const int status = task(p, o);
    if (status == NN_OK && writes) narrow(o.diff_src, p.src_type, given.diff_src);
    return status;
  }
  // Not in the gradient's place: where floats leave their range a row's is computed again.
  Scratch scratch(p.relu ? 2 * bytes : bytes);
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  o.diff_dst = widen(p.dst_type, given.diff_dst, scratch.Take<float>(n));
  if (p.relu) o.dst = widen(p.dst_type, given.dst, scratch.Take<float>(n));
  return task(p, o);
}

}  // namespace nn
