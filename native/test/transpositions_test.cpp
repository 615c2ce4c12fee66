// Matrices the other way round: the kernel at each edge of its blocks, and nn_transpose.
#include <string.h>

#include <string>
#include <vector>

#include "kernel_cases.h"
#include "platform/system.h"

namespace nntest {
namespace {

// Elements that are all different, as far as so many bytes allow.
template <class E>
E Element(size_t i) {
  return static_cast<E>((i + 1) * 0x9E3779B97F4A7C15);
}

// Around a square, a tile, and two of them; and what is neither.
template <class E>
std::vector<size_t> Sides() {
  const size_t square = 16 / sizeof(E), tile = 64 / sizeof(E);
  std::vector<size_t> sides = {1, 2, 3, 5, 7};
  for (size_t side : {square, tile, 2 * tile}) {
    for (size_t n : {side - 1, side, side + 1}) {
      if (n > 7) sides.push_back(n);
    }
  }
  return sides;
}

template <class E>
void TestKernel(const Table& table, const char* target, bool stream) {
  Memory& memory = TheMemory();
  size_t turn = 0;
  for (size_t rows : Sides<E>()) {
    for (size_t columns : Sides<E>()) {
      for (Side side : kSides) {
        const size_t line = 64 / sizeof(E), gap = ++turn % 3;
        if (stream && rows % line != 0) continue;
        const size_t from_stride = columns + turn % 2 * 3, to_stride = rows + turn % 5 / 3 * line;
        const size_t from_count = (rows - 1) * from_stride + columns, to_count = (columns - 1) * to_stride + rows;
        // The last row ends with the memory, where the page does.
        E* from = memory.x.Place<E>(from_count, side, gap);
        E* to = memory.y.Place<E>(to_count, side, stream ? 0 : turn % 4);
        for (size_t i = 0; i < from_count; ++i) from[i] = Element<E>(i);
        BodyOf(table.transpose, OptionIf(stream, nn::kStream))(from, from_stride, to, to_stride, rows, columns,
                                                               sizeof(E));
        bool good = memory.IsIntact();
        for (size_t j = 0; j < columns; ++j) {
          for (size_t i = 0; i < to_stride && j * to_stride + i < to_count; ++i) {
            const E& found = to[j * to_stride + i];
            good &= i < rows ? found == Element<E>(i * from_stride + j) : GuardedMemory::IsUntouched(found);
          }
        }
        Check(good, "%s transpose: %zu x %zu of %zu bytes, strides %zu and %zu, %s, gap %zu%s", target, rows, columns,
              sizeof(E), from_stride, to_stride, NameOf(side), gap, stream ? ", streamed" : "");
      }
    }
  }
}

struct Extents {
  size_t samples, rows, columns;
};

template <class E>
void TestWhole(const Extents& e) {
  const size_t n = e.samples * e.rows * e.columns;
  GuardedMemory from_memory(n * sizeof(E)), to_memory(n * sizeof(E));
  for (Side side : kSides) {
    E* from = from_memory.Place<E>(n, side, 0);
    for (size_t i = 0; i < n; ++i) from[i] = Element<E>(i);
    for (int threads : {1, 3}) {
      E* to = to_memory.Place<E>(n, side, 0);
      const int status = nn_transpose(from, to, sizeof(E), static_cast<int64_t>(e.samples),
                                      static_cast<int64_t>(e.rows), static_cast<int64_t>(e.columns), threads);
      bool good = status == NN_OK && to_memory.IsIntact();
      for (size_t i = 0; i < n; ++i) {
        const size_t sample = i / (e.rows * e.columns), row = i / e.columns % e.rows, column = i % e.columns;
        good &= to[(sample * e.columns + column) * e.rows + row] == from[i];
      }
      Check(good, "nn_transpose %zu x %zu x %zu of %zu bytes, %s, %d threads", e.samples, e.rows, e.columns, sizeof(E),
            NameOf(side), threads);
    }
  }
}

// One sample and many, of all proportions, around blocks; large ones by several threads.
void TestWhole() {
  for (const Extents& e : {Extents{1, 1, 1},
                           {3, 1, 70001},
                           {2, 70001, 1},
                           {5, 3, 7},
                           {2, 64, 64},
                           {2, 61, 221},
                           {1, 3, 50177},
                           {1, 50177, 3},
                           {100, 8, 97},
                           {1, 257, 513},
                           {1, 513, 257},
                           {1, 640, 1040},
                           {3, 128, 512},
                           {9, 33, 300}}) {
    TestWhole<uint16_t>(e);
    TestWhole<uint32_t>(e);
    TestWhole<uint64_t>(e);
  }
}

void TestRefused() {
  uint64_t from[4] = {1, 2, 3, 4}, to[4] = {};
  for (int bytes : {-2, 0, 1, 3, 16}) {
    Check(nn_transpose(from, to, bytes, 1, 2, 2, 1) == NN_WRONG_OPERANDS && to[0] == 0, "elements of %d bytes", bytes);
  }
  Check(nn_transpose(nullptr, to, 8, 1, 2, 2, 1) == NN_WRONG_OPERANDS && to[0] == 0, "from nowhere");
  Check(nn_transpose(from, nullptr, 8, 1, 2, 2, 1) == NN_WRONG_OPERANDS, "to nowhere");
  for (int64_t none : {int64_t{0}, int64_t{-1}, INT64_MIN}) {
    Check(nn_transpose(from, to, 8, none, 2, 2, 1) == NN_OK && nn_transpose(from, to, 8, 1, none, 2, 1) == NN_OK &&
              nn_transpose(from, to, 8, 1, 2, none, 1) == NN_OK && to[0] == 0,
          "an extent of %lld", static_cast<long long>(none));
  }
}

}  // namespace

void test_of::transpose(const Table& table, const char* target) {
  for (bool stream : {false, true}) {
    TestKernel<uint16_t>(table, target, stream);
    TestKernel<uint32_t>(table, target, stream);
    TestKernel<uint64_t>(table, target, stream);
  }
}

void groups::transpositions() {
  nn_set_workers(2);
  for (size_t bytes : {size_t{0}, size_t{1}}) {  // within the last-level cache, and beyond
    nn::SetLastLevelCacheBytes(bytes);
    for (int target = 0; target < nn_targets(); ++target) {
      nn_use_target(target);
      TestWhole();
    }
  }
  nn::SetLastLevelCacheBytes(0);
  nn_set_workers(0);
  TestRefused();
}

}  // namespace nntest
