#include "plan/transposition.h"

#include <string.h>

#include "plan/operands.h"
#include "plan/plan.h"
#include "threads/workers.h"

namespace nn {
namespace {

// What a block has of each row and of each column. Of short rows it has more: those of less than a line as many as make
// it as large, others as their lines stay in the first-level cache until the rest of each is read, 8 in a set of it
// (196 rows of 1024 bytes take 2.1 times as long by 112 as by 32).
constexpr size_t kLineBytes = 64;
constexpr size_t kRowBytes = 4096;
constexpr size_t kColumnBytes = 128;
constexpr size_t kMostColumnBytes = 512;

size_t ColumnBytes(size_t row_bytes, size_t element_bytes) {
  if (row_bytes < kLineBytes) return kColumnBytes * kRowBytes / row_bytes;
  const size_t apart = row_bytes & -row_bytes;  // modulo 4096, and so in sets, rows are multiples of it apart
  const size_t bytes = 8 * (4096 / apart) * element_bytes;
  return bytes < kColumnBytes ? kColumnBytes : bytes < kMostColumnBytes ? bytes : kMostColumnBytes;
}

// How an extent is cut: at multiples of a cache line, into parts of about a block.
struct Cuts {
  size_t n;
  size_t line;
  size_t count;

  Cuts(size_t n, size_t bytes, size_t element_bytes) : n(n), line(kLineBytes / element_bytes) {
    const size_t block = bytes / element_bytes;
    count = (n + block - 1) / block;
  }

  Range operator[](size_t i) const {
    const Range lines = PartOf((n + line - 1) / line, count, i);
    const size_t end = lines.end * line;
    return {lines.begin * line, end < n ? end : n};
  }
};

}  // namespace

void Transpose(const KernelTable& kernels, const void* src, void* dst, size_t element_bytes, size_t samples,
               size_t rows, size_t columns, Team team) {
  const size_t elements = samples * rows * columns;
  const Input from(src, element_bytes);
  const Output to(dst, element_bytes);
  if (rows == 1 || columns == 1) {
    const size_t parts = 4 * static_cast<size_t>(team.threads);
    Parallel(team, parts, [&](size_t i) {
      const Range range = PartOf(elements, parts, i);
      memcpy(to.At(range.begin), from.At(range.begin), (range.end - range.begin) * element_bytes);
    });
    return;
  }
  const bool aligned = reinterpret_cast<uintptr_t>(dst) % kLineBytes == 0 && rows * element_bytes % kLineBytes == 0;
  const bool stream = aligned && GoPastTheCache(2 * elements * element_bytes);
  const auto transpose = kernels.transpose[OptionIf(stream, kStream)];
  const Cuts row_cuts(rows, ColumnBytes(columns * element_bytes, element_bytes), element_bytes),
      column_cuts(columns, kRowBytes, element_bytes);
  const size_t of_sample = row_cuts.count * column_cuts.count, blocks = samples * of_sample;
  const size_t parts = team.threads == 1 ? 1 : 4 * static_cast<size_t>(team.threads);
  Parallel(team, parts, [&](size_t i) {
    const Range range = PartOf(blocks, parts, i);
    for (size_t block = range.begin; block < range.end; ++block) {
      const size_t at = block / of_sample * rows * columns, in_sample = block % of_sample;
      const Range r = row_cuts[in_sample % row_cuts.count], c = column_cuts[in_sample / row_cuts.count];
      transpose(from.At(at + r.begin * columns + c.begin), columns, to.At(at + c.begin * rows + r.begin), rows,
                r.end - r.begin, c.end - c.begin, element_bytes);
    }
    EndStream(stream);
  });
}

}  // namespace nn
