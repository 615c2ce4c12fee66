#include "plan/conversion.h"

#include "plan/scratch.h"
#include "platform/system.h"
#include "threads/workers.h"

namespace nn {
namespace {

// Elements that a thread converts at once, and those that go from one 16-bit type to another by way of floats.
constexpr size_t kChunk = 1 << 14;
constexpr size_t kOnStack = 1 << 10;

// Of the type that is not F32.
struct Floats {
  const Plan& p;

  void From(const void* elements, float* floats) const {
    Convert(*p.other, elements, *p.kernels, floats, p.Elements(), p.threads);
  }
  void To(const float* floats, void* elements) const {
    Convert(*p.kernels, floats, *p.other, elements, p.Elements(), p.threads);
  }
};

}  // namespace

void Convert(const KernelTable& src_type, const void* src, const KernelTable& dst_type, void* dst, size_t n,
             int threads) {
  const Input from(src, src_type.element_bytes);
  const Output to(dst, dst_type.element_bytes);
  const bool stream = n * (src_type.element_bytes + dst_type.element_bytes) > LastLevelCacheBytes() / 2;
  const unsigned options = OptionIf(stream, kStream);
  const size_t chunks = (n + kChunk - 1) / kChunk;
  Parallel(threads, chunks, [&](size_t i) {
    const size_t begin = i * kChunk, end = begin + kChunk < n ? begin + kChunk : n;
    if (dst_type.element_bytes == sizeof(float)) {
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
  });
}

int RunConverted(const Plan& p, const nn_operands& given, int (*task)(const Plan&, const nn_operands&)) {
  const Floats floats = {p};
  nn_operands o = given;
  const size_t bytes = Scratch::Bytes<float>(p.Elements());
  if (p.task == NN_INFER || p.task == NN_TRAIN || p.task == NN_APPLY) {
    if (p.converts_src) {
      floats.From(given.src, static_cast<float*>(given.dst));
      o.src = given.dst;
      return task(p, o);
    }
    Scratch scratch(bytes);
    if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
    o.dst = scratch.Take<float>(p.Elements());
    const int status = task(p, o);
    if (status == NN_OK) floats.To(static_cast<const float*>(o.dst), given.dst);
    return status;
  }
  const bool writes = p.task != NN_SUM_GRADIENTS;
  if (p.converts_src) {
    Scratch scratch(writes ? 2 * bytes : bytes);
    if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
    float* x = scratch.Take<float>(p.Elements());
    floats.From(given.src, x);
    o.src = x;
    if (writes) o.diff_src = scratch.Take<float>(p.Elements());
    const int status = task(p, o);
    if (status == NN_OK && writes) floats.To(static_cast<const float*>(o.diff_src), given.diff_src);
    return status;
  }
  // Not in the gradient's place: where floats leave their range a row's is computed again.
  Scratch scratch(p.relu ? 2 * bytes : bytes);
  if (!scratch.IsThere()) return NN_OUT_OF_MEMORY;
  float* dy = scratch.Take<float>(p.Elements());
  floats.From(given.diff_dst, dy);
  o.diff_dst = dy;
  if (p.relu) {
    float* y = scratch.Take<float>(p.Elements());
    floats.From(given.dst, y);
    o.dst = y;
  }
  return task(p, o);
}

}  // namespace nn
