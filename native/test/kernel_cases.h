// What the tests of kernels share: sizes and places, data, and the way a result is reported. Kernels are tested on
// every instruction set, at sizes around each unroll and block, at every alignment, against pages that cannot be
// touched.
#ifndef NATIVENORM_KERNEL_CASES_H_
#define NATIVENORM_KERNEL_CASES_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "check.h"
#include "guarded_memory.h"
#include "kernels/kernels.h"
#include "nativenorm.h"

namespace nntest {

using Table = nn::KernelTable;

// One function for each kernel that F32 has, of the same name: one without does not link. They are in files named like
// those of the kernels: spans, columns, rows.
namespace test_of {
#define NN_TEST(options, result, name, parameters) void name(const Table& table, const char* target);
NN_ELEMENT_KERNELS(NN_TEST)
NN_PARAMETER_KERNELS(NN_TEST)
#undef NN_TEST
}  // namespace test_of

// Those of 16-bit storage types, and which numbers they load and store.
void TestStorages(const nn::Target& target);
void TestStores(const nn::Target& target);

// The body of a kernel with some options, which is noted: a body of variants.def that no test asked for fails the run.
void NoteTested(void (*body)());
template <class Body, size_t kCount>
Body BodyOf(Body const (&bodies)[kCount], unsigned options = nn::kPlain) {
  NoteTested(reinterpret_cast<void (*)()>(bodies[options]));
  return bodies[options];
}
using nn::OptionIf;

constexpr uint64_t kSeed = 20240607;
constexpr size_t kOffsets = 16;  // elements of the widest vector

// Tolerances. A value comes from at most four roundings; sums are relative to their absolute values.
constexpr double kValue = 1e-6;
constexpr double kSum = 1e-6;
constexpr double kLongSum = 4e-7;
constexpr double kExactSum = 1e-13;  // in doubles

// Long sums of numbers whose roundings all go the same way: they show whether partial sums go into doubles in time.
constexpr size_t kLong = 60001;

constexpr double kEps = 1e-5;

// Around vectors of 4, 8 and 16 lanes, four of them, and blocks of 64; and two blocks and a bit.
const std::vector<size_t>& Lengths();

// The arrays of a kernel, each at the same side; their alignments differ, and each has every one at some offset.
struct Memory {
  GuardedMemory x{size_t{1} << 18}, y{size_t{1} << 18}, dy{size_t{1} << 18}, dx{size_t{1} << 18};
  GuardedMemory parameters[6] = {GuardedMemory(1 << 15), GuardedMemory(1 << 15), GuardedMemory(1 << 15),
                                 GuardedMemory(1 << 15), GuardedMemory(1 << 15), GuardedMemory(1 << 15)};

  bool IsIntact() const {
    bool intact = x.IsIntact() && y.IsIntact() && dy.IsIntact() && dx.IsIntact();
    for (const GuardedMemory& memory : parameters) intact &= memory.IsIntact();
    return intact;
  }
};

Memory& TheMemory();

struct Place {
  Side side;
  size_t gap;

  // The gap of another array: a permutation of the offsets, with 0 at another place.
  size_t Other(size_t k) const { return (gap * (2 * k + 1) + 3 * k) % kOffsets; }
};

std::string Text(const Place& place);

// How many elements its vectors have, and so how many alignments there are.
size_t Lanes(const std::string& target);

// Each alignment on an instruction set.
template <class Body>
void ForPlaces(const char* target, const Body& body) {
  const size_t lanes = Lanes(target);
  for (Side side : kSides) {
    for (size_t gap = 0; gap < lanes; ++gap) body(Place{side, gap});
  }
}

// A matrix's rows, `stride` apart; what is between them is not to be touched.
struct Matrix {
  size_t rows;
  size_t columns;
  size_t stride;

  size_t Elements() const { return (rows - 1) * stride + columns; }

  template <class Body>
  void ForAll(const Body& body) const {
    for (size_t row = 0; row < rows; ++row) {
      for (size_t j = 0; j < columns; ++j) body(row, j, row * stride + j);
    }
  }

  // Normal values; what is between rows stays.
  void Fill(Random& random, float* to, double mean, double deviation) const {
    ForAll([&](size_t, size_t, size_t i) { to[i] = static_cast<float>(mean + deviation * random.Normal()); });
  }
  // From numbers that are there: faster.
  void Copy(const float* from, float* to) const {
    ForAll([&](size_t, size_t, size_t i) { to[i] = from[i]; });
  }

  template <class T>
  bool GapsAreUntouched(const T* array) const {
    for (size_t row = 0; row + 1 < rows; ++row) {
      for (size_t j = columns; j < stride; ++j) {
        if (!GuardedMemory::IsUntouched(array[row * stride + j])) return false;
      }
    }
    return true;
  }
};

std::string Text(const Matrix& m);

// body(runs, step of their parameters, place, turn): every length at every place, and a few runs of it.
template <class Body>
void ForRuns(const char* target, const Body& body) {
  size_t turn = 0;
  for (size_t length : Lengths()) {
    ForPlaces(target, [&](Place place) { body(Matrix{1, length, 0}, 0, place, turn++); });
    for (size_t runs : {2, 3, 7}) {
      if (runs * (length + 5) > 8192) continue;
      for (size_t step : {0, 1, 3}) {
        body(Matrix{runs, length, length}, step, Place{Side::kEnd, 0}, turn);
        body(Matrix{runs, length, length + 5}, step, Place{Side::kBegin, turn % kOffsets}, turn);
        ++turn;
      }
    }
  }
}

// body(matrix, place) for matrices around each strip and block of rows, also with rows that non-temporal stores can be
// used for.
template <class Body>
void ForMatrices(const char* target, const Body& body) {
  size_t turn = 0;
  for (size_t columns :
       {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70, 127, 130}) {
    for (size_t rows : {1, 2, 3, 4, 5, 7, 23, 24, 25, 31, 32, 33, 49, 65}) {
      for (size_t stride : {columns, columns + 3, nn::PaddedColumns(columns)}) {
        const Matrix matrix = {rows, columns, stride};
        if (rows == 5) {
          ForPlaces(target, [&](Place place) { body(matrix, place); });
          continue;
        }
        for (Side side : kSides) {
          body(matrix, Place{side, 0});
          body(matrix, Place{side, ++turn % kOffsets});
        }
      }
    }
  }
  // Rows that are folded, by up to 16, with and without a tail; and a width too large for it with 16 lanes.
  std::vector<Matrix> more = {{64, 6, 6}, {256, 3, 3}, {300, 65, 65}};
  for (size_t columns : {1, 2, 3, 5, 7, 12, 15, 20, 30, 61}) more.push_back({259, columns, columns});
  // Rows of 4096 bytes, whose cache sets conflict.
  for (size_t rows : {1, 2, 3, 4, 5, 9}) more.push_back({rows, 1024, 1024});
  for (const Matrix& matrix : more) {
    for (Side side : kSides) body(matrix, Place{side, ++turn % kOffsets});
  }
}

// Arrays over columns are padded.
inline float* Parameter(GuardedMemory& memory, size_t columns, const float* values) {
  float* to = memory.Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
  std::copy_n(values, columns, to);
  return to;
}

// Which rows of how many; those before `first` are another part's.
struct Part {
  size_t rows;
  size_t period;
  size_t first;
};
constexpr Part kParts[] = {{1, 1, 0}, {2, 1, 1}, {5, 1, 0}, {9, 1, 3}, {1, 3, 2}, {5, 3, 1}, {8, 3, 0}};

// body(length, part, place, turn): all parts with no gap, and one in turn at every place.
template <class Body>
void ForRows(const char* target, const Body& body) {
  size_t turn = 0;
  for (size_t length : Lengths()) {
    for (const Part& part : kParts) {
      if (length * part.rows > 8192) continue;
      for (Side side : kSides) body(length, part, Place{side, 0}, turn++);
    }
    ForPlaces(target, [&](Place place) {
      const Part& part = kParts[turn % std::size(kParts)];
      if (length * part.rows <= 8192) body(length, part, place, turn);
      ++turn;
    });
  }
}

// Enough for any array here, made once.
const std::vector<float>& Numbers(size_t which);

// The output of an activation: as many positive as not, with zeros, and one that is not a number, which passes dy.
const std::vector<float>& Outputs();

double Cut(const float* dy, const float* y, size_t i);
double Activated(double value, bool relu);

// What moments must cope with. Each is checked against two passes in doubles.
struct Distribution {
  const char* name;
  double mean;
  double deviation;
  double first;  // NaN: as the others
};
const std::vector<Distribution>& Distributions();

// In two passes, of all elements.
nn::Moments MomentsOf(const Matrix& m, const float* x);

// Both in units of what their roundings are proportional to.
void AddMoments(nn::Moments found, nn::Moments expected, double n, Distance* distance);

struct Sums {
  double dy = 0, product = 0, residual = 0;
  double dy_scale = 1e-300, product_scale = 1e-300, residual_scale = 1e-300;

  void Add(double g, double distance) {
    dy += g;
    product += g * distance;
    residual += distance;
    dy_scale += fabs(g);
    product_scale += fabs(g * distance);
    residual_scale += fabs(distance);
  }
  void Compare(nn::GradientSums found, Distance* distance) const {
    distance->Add(found.dy, dy, dy_scale);
    distance->Add(found.product, product, product_scale);
    distance->Add(found.residual, residual, residual_scale);
    distance->Next();
  }
};

bool Report(const char* kernel, const char* target, const Distance& distance, double tolerance, bool intact,
            const std::string& what);

}  // namespace nntest

#endif  // NATIVENORM_KERNEL_CASES_H_
