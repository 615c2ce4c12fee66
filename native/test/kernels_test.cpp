// Every kernel on every instruction set, at sizes around each unroll and block, at every alignment, against pages that
// cannot be touched.
#include "kernels.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "check.h"
#include "guarded_memory.h"
#include "targets.h"

namespace nntest {
namespace {

using Table = nn::KernelTable<float>;

constexpr uint64_t kSeed = 20240607;
constexpr size_t kOffsets = 16;  // elements of the widest vector

// Around vectors of 4, 8 and 16 lanes, four of them, and blocks of 64; and two blocks and a bit.
const std::vector<size_t>& Lengths() {
  static const std::vector<size_t> lengths = [] {
    std::vector<size_t> found = {1, 2, 3, 11, 13, 23, 47, 79, 95, 2 * 256 + 3, 2 * 512 + 3, 2 * 1024 + 3};
    for (size_t lanes : {4, 8, 16}) {
      for (size_t n : {lanes, 2 * lanes, 4 * lanes, 8 * lanes, 64 * lanes}) {
        for (size_t length : {n - 1, n, n + 1}) found.push_back(length);
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }();
  return lengths;
}

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

Memory& TheMemory() {
  static Memory memory;
  static const bool placed = [] {  // so that IsIntact holds for those a kernel does not take
    for (GuardedMemory* unused : {&memory.x, &memory.y, &memory.dy, &memory.dx}) unused->Place<float>(1, Side::kEnd, 0);
    for (GuardedMemory& unused : memory.parameters) unused.Place<float>(1, Side::kEnd, 0);
    return true;
  }();
  (void)placed;
  return memory;
}

struct Place {
  Side side;
  size_t gap;

  // The gap of another array: a permutation of the offsets, with 0 at another place.
  size_t Other(size_t k) const { return (gap * (2 * k + 1) + 3 * k) % kOffsets; }
};

std::string Text(const Place& place) {
  return std::string("side ") + NameOf(place.side) + " gap " + std::to_string(place.gap);
}

template <class Body>
void ForPlaces(const Body& body) {
  for (Side side : kSides) {
    for (size_t gap = 0; gap < kOffsets; ++gap) body(Place{side, gap});
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

  bool GapsAreUntouched(const float* array) const {
    for (size_t row = 0; row + 1 < rows; ++row) {
      for (size_t j = columns; j < stride; ++j) {
        if (!GuardedMemory::IsUntouched(array[row * stride + j])) return false;
      }
    }
    return true;
  }
};

std::string Text(const Matrix& m) {
  return std::to_string(m.rows) + " x " + std::to_string(m.columns) + " stride " + std::to_string(m.stride);
}

// Enough for any array here, made once.
const std::vector<float>& Numbers(size_t which) {
  static const std::vector<float> numbers[] = {
      Random(kSeed).Normals(1 << 14, 0, 1), Random(kSeed + 1).Normals(1 << 14, 0, 1),
      Random(kSeed + 2).Normals(1 << 14, 0, 1), Random(kSeed + 3).Normals(1 << 14, 1, 0.5)};
  return numbers[which];
}

// The output of an activation: as many positive as not, with zeros, and one that is not a number, which passes dy.
const std::vector<float>& Outputs() {
  static const std::vector<float> outputs = [] {
    std::vector<float> values = Random(kSeed + 4).Normals(1 << 14, 0, 1);
    for (size_t i = 0; i < values.size(); ++i) {
      if (i % 7 == 3) values[i] = 0;
      if (i % 7 == 4) values[i] = -0.0f;
      if (i % 29 == 5) values[i] = NAN;
    }
    return values;
  }();
  return outputs;
}

double Cut(const float* dy, const float* y, size_t i) {
  return y != nullptr && y[i] <= 0 ? 0 : static_cast<double>(dy[i]);
}

double Activated(double value, bool relu) { return relu && value < 0 ? 0 : value; }

bool Report(const char* kernel, const char* target, const Distance& distance, double tolerance, bool intact,
            const std::string& what) {
  Note(distance.Largest(), "kernel %s %s", kernel, target);
  return Check(distance.Largest() <= tolerance && intact, "%s %s: %s: error %g at %zu%s (seed %llu)", target, kernel,
               what.c_str(), distance.Largest(), distance.At(), intact ? "" : ", memory around it changed",
               static_cast<unsigned long long>(kSeed));
}

// Tolerances. A value comes from at most four roundings; sums are relative to their absolute values.
constexpr double kValue = 1e-6;
constexpr double kSum = 1e-6;
constexpr double kLongSum = 4e-7;

// body(runs, step of their parameters, place, turn): every length at every place, and a few runs of it.
template <class Body>
void ForRuns(const Body& body) {
  size_t turn = 0;
  for (size_t length : Lengths()) {
    ForPlaces([&](Place place) { body(Matrix{1, length, 0}, 0, place, turn++); });
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

// One function for each entry of NN_KERNELS, of the same name: a kernel without does not compile.
namespace test_of {

void normalize(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRuns([&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (int flags = 0; flags < 8; ++flags) {
      if (m.Elements() > 300 && (flags ^ turn) % 2 != 0) continue;
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* y = memory.y.Place<float>(m.Elements(), place.side, place.gap);
      float* x = in_place ? y : memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      m.Copy(Numbers(0).data(), x);
      const size_t count = (m.rows - 1) * step + 1;
      nn::Affine* affines = memory.parameters[0].Place<nn::Affine>(count, Side::kEnd, 0);
      for (size_t run = 0; run < m.rows; ++run) {
        const float r = static_cast<float>(run * step);
        affines[run * step] = {0.3f + r / 4, 1.7f - r / 4, -0.2f + r / 8};
      }
      table.normalize(x, y, m.rows, m.columns, m.stride, affines, step, relu, stream);
      Distance distance;
      m.ForAll([&](size_t run, size_t, size_t i) {
        const nn::Affine& affine = affines[run * step];
        const double value = (Numbers(0)[i] - double{affine.center}) * affine.scale + affine.shift;
        distance.Add(y[i], Activated(value, relu), 1 + fabs(value));
        distance.Next();
      });
      Report("normalize", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(y),
             Text(m) + " step " + std::to_string(step) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
  float values[] = {NAN, -INFINITY, INFINITY, -1, 1, NAN, NAN, 0, -2, 2, 3};
  const nn::Affine same = {0, 1, 0};
  for (bool stream : {false, true}) {  // max(v, 0) keeps what is not a number
    float y[11];
    table.normalize(values, y, 1, 11, 0, &same, 0, true, stream);
    Distance distance;
    for (size_t i = 0; i < 11; ++i, distance.Next()) distance.Add(y[i], Activated(values[i], true), 1);
    Report("normalize", target, distance, 0, true, "not finite");
  }
}

void plain_pass(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    ForPlaces([&](Place place) {
      for (bool in_place : {false, true}) {
        float* y = memory.y.Place<float>(length, place.side, place.gap);
        float* x = in_place ? y : memory.x.Place<float>(length, place.side, place.Other(1));
        const float* from = Numbers(0).data();
        std::copy_n(from, length, x);
        table.plain_pass(x, y, length, 1.25f, -0.75f);
        Distance distance;
        for (size_t i = 0; i < length; ++i, distance.Next()) distance.Add(y[i], from[i] * 1.25 - 0.75, 1 + fabs(y[i]));
        Report("plain_pass", target, distance, kValue, memory.IsIntact(), std::to_string(length) + " " + Text(place));
      }
    });
  }
}

void gradient(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRuns([&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (int flags = 0; flags < 8; ++flags) {
      if (m.Elements() > 300 && (flags ^ turn) % 2 != 0) continue;
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* dx = memory.dx.Place<float>(m.Elements(), place.side, place.gap);
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(m.Elements(), place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(3)) : nullptr;
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      const size_t count = (m.rows - 1) * step + 1;
      nn::Gradient* gradients = memory.parameters[0].Place<nn::Gradient>(count, Side::kEnd, 0);
      for (size_t run = 0; run < m.rows; ++run) {
        const float r = static_cast<float>(run * step);
        gradients[run * step] = {0.3f + r / 4, 1.7f - r / 4, -0.6f + r / 8, 0.2f - r / 8};
      }
      table.gradient(x, dy, y, dx, m.rows, m.columns, m.stride, gradients, step, stream);
      Distance distance;
      m.ForAll([&](size_t run, size_t, size_t i) {
        const nn::Gradient& g = gradients[run * step];
        const double direct = g.dy_factor * Cut(Numbers(1).data(), y, i);
        const double rest = double{g.x_factor} * (x[i] - double{g.center});
        distance.Add(dx[i], direct + rest + g.constant, 1 + fabs(direct) + fabs(rest));
        distance.Next();
      });
      Report("gradient", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(dx),
             Text(m) + " step " + std::to_string(step) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
}

// Long sums of numbers whose roundings all go the same way: they show whether partial sums go into doubles in time.
constexpr size_t kLong = 60001;

// What moments must cope with. Each is checked against two passes in doubles.
struct Distribution {
  const char* name;
  double mean;
  double deviation;
  double first;  // NaN: as the others
};
const Distribution kDistributions[] = {{"normal", 0, 1, NAN},          {"mean 1e4", 1e4, 1, NAN},
                                       {"outlier first", 0, 1, 1e6},   {"far outlier first", 5, 1, 1e25},
                                       {"constant", 3.3, 0, NAN},      {"huge", 0, 1e30, NAN},
                                       {"tiny", 0, 1e-20, NAN},        {"tiny around 1e-18", 1e-18, 1e-20, NAN},
                                       {"huge mean", 1e30, 1e25, NAN}, {"rather far first", 2, 1, 30}};

nn::Moments MomentsOf(const Matrix& m, const float* x, bool of_column, size_t column) {
  double n = 0, sum = 0, m2 = 0;
  m.ForAll([&](size_t, size_t j, size_t i) {
    if (of_column && j != column) return;
    sum += x[i];
    n += 1;
  });
  m.ForAll([&](size_t, size_t j, size_t i) {
    if (of_column && j != column) return;
    m2 += (x[i] - sum / n) * (x[i] - sum / n);
  });
  return {sum / n, m2};
}

// Both in units of what their roundings are proportional to. A pivot is at most 4 standard deviations from the mean:
// the sum of squares around it is at most 17 times m2. Squares below the smallest float may be 0.
void AddMoments(nn::Moments found, nn::Moments expected, double n, Distance* distance) {
  const double deviation = sqrt(expected.m2 / n);
  distance->Add(found.mean, expected.mean, 4 * deviation + 1e-9 * fabs(expected.mean) + 1e-300);
  distance->Add(found.m2, expected.m2, 17 * expected.m2 + n * 1e-38);
}

void moments(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  Random random(kSeed);
  const auto test = [&](const Matrix& m, const Distribution& values, Place place) {
    float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
    m.Copy(Numbers(0).data() + random.Bits() % 4096, x);
    m.ForAll([&](size_t, size_t, size_t i) { x[i] = static_cast<float>(values.mean + values.deviation * x[i]); });
    if (!isnan(values.first)) x[0] = static_cast<float>(values.first);
    const nn::Moments found = table.moments(x, m.rows, m.columns, m.stride);
    Distance distance;
    AddMoments(found, MomentsOf(m, x, false, 0), static_cast<double>(m.rows * m.columns), &distance);
    Report("moments", target, distance, kSum, memory.IsIntact(), Text(m) + " " + values.name + " " + Text(place));
  };
  for (size_t length : Lengths()) {
    size_t turn = 0;
    ForPlaces([&](Place place) { test({1, length, 0}, kDistributions[turn++ % std::size(kDistributions)], place); });
    for (size_t rows : {2, 3, 7}) {
      if (rows * (length + 5) > 8192) continue;
      for (const Distribution& values : kDistributions) {
        test({rows, length, length}, values, {Side::kEnd, 0});
        test({rows, length, length + 5}, values, {Side::kBegin, random.Bits() % kOffsets});
      }
    }
  }
  const Matrix m = {1, kLong, 0};
  float* x = memory.x.Place<float>(kLong, Side::kEnd, 0);
  for (size_t i = 0; i < kLong; ++i) x[i] = i % 3 == 0 ? 0.1f : 0.3f;
  Distance distance;
  AddMoments(table.moments(x, 1, kLong, 0), MomentsOf(m, x, false, 0), kLong, &distance);
  Report("moments", target, distance, kLongSum, memory.IsIntact(), "long");
}

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

void gradient_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRuns([&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (bool relu : {false, true}) {
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
      float* dy = memory.dy.Place<float>(m.Elements(), place.side, place.Other(1));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(2)) : nullptr;
      m.Copy(Numbers(0).data() + turn, x);
      m.Copy(Numbers(1).data() + turn, dy);
      if (relu) m.Copy(Outputs().data() + turn, y);
      const float center = 0.4f;
      const size_t count = (m.rows - 1) * step + 1;
      nn::GradientSums* found = memory.parameters[0].Place<nn::GradientSums>(count, Side::kEnd, 0);
      table.gradient_sums(x, dy, y, m.rows, m.columns, m.stride, center, found, step);
      std::vector<Sums> expected(count);
      m.ForAll([&](size_t run, size_t, size_t i) { expected[run * step].Add(Cut(dy, y, i), x[i] - double{center}); });
      Distance distance;
      bool others = true;  // whether what is between the sums stayed
      for (size_t i = 0; i < count; ++i) {
        if (step == 0 || i % step == 0) {
          expected[i].Compare(found[i], &distance);
        } else {
          others &= GuardedMemory::IsUntouched(found[i]);
        }
      }
      Report("gradient_sums", target, distance, kSum, memory.IsIntact() && others,
             Text(m) + " step " + std::to_string(step) + (relu ? " relu " : " ") + Text(place));
    }
  });
  float* x = memory.x.Place<float>(kLong, Side::kEnd, 0);
  float* dy = memory.dy.Place<float>(kLong, Side::kEnd, 0);
  Sums expected;
  for (size_t i = 0; i < kLong; ++i) {
    x[i] = 0.7f;
    dy[i] = 0.1f;
    expected.Add(dy[i], x[i] - double{0.1f});
  }
  nn::GradientSums found;
  table.gradient_sums(x, dy, nullptr, 1, kLong, 0, 0.1f, &found, 0);
  Distance distance;
  expected.Compare(found, &distance);
  Report("gradient_sums", target, distance, kLongSum, memory.IsIntact(), "long");
}

// body(matrix, place) for matrices around each strip and block of rows, also with rows that can be streamed to.
template <class Body>
void ForMatrices(const Body& body) {
  size_t turn = 0;
  for (size_t columns :
       {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70, 127, 130}) {
    for (size_t rows : {1, 2, 3, 4, 5, 7, 31, 32, 33, 65}) {
      for (size_t stride : {columns, columns + 3, nn::PaddedColumns(columns)}) {
        const Matrix matrix = {rows, columns, stride};
        if (rows == 5) {
          ForPlaces([&](Place place) { body(matrix, place); });
          continue;
        }
        for (Side side : kSides) {
          body(matrix, Place{side, 0});
          body(matrix, Place{side, ++turn % kOffsets});
        }
      }
    }
  }
}

// Arrays over columns are padded.
float* Parameter(GuardedMemory& memory, size_t columns, const float* values) {
  float* to = memory.Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
  std::copy_n(values, columns, to);
  return to;
}

void column_moments(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  size_t turn = 0;
  ForMatrices([&](const Matrix& m, Place place) {
    // A distribution of its own for each column, which must not disturb its neighbours; now and then the same for all.
    const size_t shift = turn++;
    float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
    m.ForAll([&](size_t row, size_t j, size_t i) {
      const Distribution& values = kDistributions[(shift % 2 == 0 ? shift / 2 : shift + j) % std::size(kDistributions)];
      const bool outlier = row == 0 && !isnan(values.first);
      const double value = values.mean + values.deviation * Numbers(0)[shift + i];
      x[i] = static_cast<float>(outlier ? values.first : value);
    });
    const size_t padded = nn::PaddedColumns(m.columns);
    float* pivot = memory.parameters[0].Place<float>(padded, Side::kEnd, 0);
    double* mean = memory.parameters[1].Place<double>(padded, Side::kEnd, 0);
    double* m2 = memory.parameters[2].Place<double>(padded, Side::kEnd, 0);
    table.column_moments(x, m.rows, m.columns, m.stride, pivot, mean, m2);
    Distance distance;
    for (size_t j = 0; j < m.columns; ++j, distance.Next()) {
      AddMoments({mean[j], m2[j]}, MomentsOf({m.rows, 1, m.stride}, x + j, false, 0), static_cast<double>(m.rows),
                 &distance);
    }
    Report("column_moments", target, distance, kSum, memory.IsIntact() && m.GapsAreUntouched(x),
           Text(m) + " distribution " + std::to_string(shift) + " " + Text(place));
  });
}

void column_normalize(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForMatrices([&](const Matrix& m, Place place) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* y = memory.y.Place<float>(m.Elements(), place.side, place.gap);
      float* x = in_place ? y : memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      m.Copy(Numbers(0).data(), x);
      const float* center = Parameter(memory.parameters[0], m.columns, Numbers(1).data());
      const float* scale = Parameter(memory.parameters[1], m.columns, Numbers(3).data());
      const float* shift = Parameter(memory.parameters[2], m.columns, Numbers(2).data());
      table.column_normalize(x, y, m.rows, m.columns, m.stride, {center, scale, shift}, relu, stream);
      Distance distance;
      m.ForAll([&](size_t, size_t j, size_t i) {
        const double product = (Numbers(0)[i] - double{center[j]}) * scale[j];
        distance.Add(y[i], Activated(product + shift[j], relu), 1 + fabs(product));
        distance.Next();
      });
      Report("column_normalize", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(y),
             Text(m) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
}

void column_gradient_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForMatrices([&](const Matrix& m, Place place) {
    for (bool relu : {false, true}) {
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
      float* dy = memory.dy.Place<float>(m.Elements(), place.side, place.Other(1));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(2)) : nullptr;
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      const float* center = Parameter(memory.parameters[0], m.columns, Numbers(2).data());
      nn::ColumnGradientSums found;
      double** sums[] = {&found.dy, &found.product, &found.residual};
      for (size_t k = 0; k < 3; ++k) {
        *sums[k] = memory.parameters[k + 1].Place<double>(nn::PaddedColumns(m.columns), Side::kEnd, 0);
      }
      table.column_gradient_sums(x, dy, y, m.rows, m.columns, m.stride, center, found);
      std::vector<Sums> expected(m.columns);
      m.ForAll([&](size_t, size_t j, size_t i) { expected[j].Add(Cut(dy, y, i), x[i] - double{center[j]}); });
      Distance distance;
      for (size_t j = 0; j < m.columns; ++j) {
        expected[j].Compare({found.dy[j], found.product[j], found.residual[j]}, &distance);
      }
      Report("column_gradient_sums", target, distance, kSum, memory.IsIntact(),
             Text(m) + (relu ? " relu " : " ") + Text(place));
    }
  });
  const size_t rows = kLong / 3, padded = nn::PaddedColumns(3);
  const Matrix m = {rows, 3, 3};
  float* x = memory.x.Place<float>(m.Elements(), Side::kEnd, 0);
  float* dy = memory.dy.Place<float>(m.Elements(), Side::kEnd, 0);
  const float center[16] = {0.1f, 0.1f, 0.1f};
  std::vector<double> sum(padded), product(padded), residual(padded);
  Sums expected;
  m.ForAll([&](size_t, size_t j, size_t i) {
    x[i] = 0.7f;
    dy[i] = 0.1f;
    if (j == 0) expected.Add(dy[i], x[i] - double{center[j]});
  });
  table.column_gradient_sums(x, dy, nullptr, rows, 3, 3, center, {sum.data(), product.data(), residual.data()});
  Distance distance;
  for (size_t j = 0; j < 3; ++j) expected.Compare({sum[j], product[j], residual[j]}, &distance);
  Report("column_gradient_sums", target, distance, kLongSum, memory.IsIntact(), "long");
}

void column_gradient(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForMatrices([&](const Matrix& m, Place place) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* dx = memory.dx.Place<float>(m.Elements(), place.side, place.gap);
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(m.Elements(), place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(3)) : nullptr;
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      nn::ColumnGradient g;
      const float** parameters[] = {&g.center, &g.dy_factor, &g.x_factor, &g.constant};
      for (size_t k = 0; k < 4; ++k) {
        *parameters[k] = Parameter(memory.parameters[k], m.columns, Numbers(2).data() + 1000 * k);
      }
      table.column_gradient(x, dy, y, dx, m.rows, m.columns, m.stride, g, stream);
      Distance distance;
      m.ForAll([&](size_t, size_t j, size_t i) {
        const double direct = g.dy_factor[j] * Cut(Numbers(1).data(), y, i);
        const double rest = double{g.x_factor[j]} * (x[i] - double{g.center[j]});
        distance.Add(dx[i], direct + rest + g.constant[j], 1 + fabs(direct) + fabs(rest));
        distance.Next();
      });
      Report("column_gradient", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(dx),
             Text(m) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
}

// What a column's parameters are made of: means and variances that are ordinary, large, 0 and infinite.
double ParameterMean(size_t j) { return j % 5 == 1 ? 1e6 + 0.01 * Numbers(0)[j] : Numbers(0)[j]; }
double ParameterVariance(size_t j) {
  switch (j % 7) {
    case 2:
      return 0;
    case 4:
      return 1e60;  // as a float: infinite
    case 5:
      return 1e-12;
    default:
      return 0.1 + fabs(Numbers(1)[j]);
  }
}

constexpr double kEps = 1e-5;

// What the parameters make of an input is what counts: how they divide it into center and shift is their own affair.
void column_affines(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t columns = 1; columns <= 70; ++columns) {
    for (int flags = 0; flags < 4; ++flags) {
      double* mean = memory.parameters[0].Place<double>(columns, Side::kEnd, 0);
      double* variance = memory.parameters[1].Place<double>(columns, Side::kEnd, 0);
      float* weight = flags & 1 ? memory.parameters[2].Place<float>(columns, Side::kEnd, 0) : nullptr;
      float* bias = flags & 2 ? memory.dx.Place<float>(columns, Side::kEnd, 0) : nullptr;
      for (size_t j = 0; j < columns; ++j) {
        mean[j] = ParameterMean(j);
        variance[j] = ParameterVariance(j);
        if (weight != nullptr) weight[j] = Numbers(3)[j];
        if (bias != nullptr) bias[j] = Numbers(2)[j];
      }
      float* center = memory.parameters[3].Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
      float* scale = memory.parameters[4].Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
      float* shift = memory.parameters[5].Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
      table.column_affines(mean, variance, columns, kEps, weight, bias, center, scale, shift);
      Distance distance;
      for (size_t j = 0; j < columns; ++j, distance.Next()) {
        const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + kEps);
        for (double away : {0.0, 1.0, -3.0}) {
          const float x = static_cast<float>(mean[j] + away / (inverse == 0 ? 1 : inverse));
          const double xhat = (x - mean[j]) * inverse;
          const double value = xhat * (weight == nullptr ? 1 : weight[j]) + (bias == nullptr ? 0 : bias[j]);
          distance.Add((x - double{center[j]}) * scale[j] + shift[j], value, 1 + fabs(xhat) + fabs(value));
        }
      }
      Report("column_affines", target, distance, kValue, memory.IsIntact(),
             std::to_string(columns) + " flags " + std::to_string(flags));
    }
  }
}

void column_gradients(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t columns = 1; columns <= 70; ++columns) {
    for (int flags = 0; flags < 4; ++flags) {
      const bool weighted = flags & 1, given = flags & 2;
      const double n = 50;
      const size_t padded = nn::PaddedColumns(columns);
      double* mean = memory.parameters[0].Place<double>(columns, Side::kEnd, 0);
      double* variance = memory.parameters[1].Place<double>(columns, Side::kEnd, 0);
      float* weight = weighted ? memory.parameters[2].Place<float>(columns, Side::kEnd, 0) : nullptr;
      double* sum = memory.parameters[3].Place<double>(padded, Side::kEnd, 0);
      double* product = memory.parameters[4].Place<double>(padded, Side::kEnd, 0);
      double* residual = memory.parameters[5].Place<double>(padded, Side::kEnd, 0);
      float* center = memory.x.Place<float>(padded, Side::kEnd, 0);
      float* dy_factor = memory.y.Place<float>(padded, Side::kEnd, 0);
      float* x_factor = memory.dy.Place<float>(padded, Side::kEnd, 0);
      float* constant = memory.dx.Place<float>(padded, Side::kEnd, 0);
      std::vector<double> products(columns), deviations(columns);
      for (size_t j = 0; j < columns; ++j) {
        // The means handed over are floats; what they were before is told by the residuals.
        mean[j] = static_cast<float>(ParameterMean(j));
        variance[j] = ParameterVariance(j);
        deviations[j] = sqrt(variance[j]);
        if (weighted) weight[j] = Numbers(3)[j];
        sum[j] = n * Numbers(2)[j];
        products[j] = product[j] = n * Numbers(1)[j + 7] * (deviations[j] + 0.01);
        residual[j] = n * 0.03 * Numbers(0)[j + 7];
      }
      table.column_gradients({sum, product, residual}, mean, variance, columns, kEps, weight, n, given, center,
                             dy_factor, x_factor, constant);
      Distance distance;
      for (size_t j = 0; j < columns; ++j, distance.Next()) {
        const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + kEps), w = weighted ? weight[j] : 1;
        const double offset = given || inverse == 0 ? 0 : residual[j] / n, exact_mean = mean[j] + offset;
        const double centered = products[j] - offset * sum[j];  // sum(dy * (x - mean))
        distance.Add(product[j], inverse * centered, fabs(inverse * products[j]) + 1e-300);
        for (double away : {0.0, 1.0, -3.0}) {
          const float x = static_cast<float>(mean[j] + away / (inverse == 0 ? 1 : inverse));
          const double dy = 0.7, direct = w * inverse * dy;
          const double by_mean = w * inverse * sum[j] / n;
          const double by_variance = w * inverse * inverse * inverse * (x - exact_mean) * centered / n;
          const double value = given ? direct : direct - by_mean - by_variance;
          const double found = dy_factor[j] * dy + x_factor[j] * (x - double{center[j]}) + constant[j];
          const double rest = w * inverse * inverse * inverse * (fabs(x - mean[j]) + fabs(offset)) *
                              (fabs(products[j]) + fabs(offset * sum[j])) / n;
          distance.Add(found, value, fabs(direct) + fabs(by_mean) + rest + 1e-300);
        }
      }
      Report("column_gradients", target, distance, kValue, memory.IsIntact(),
             std::to_string(columns) + " flags " + std::to_string(flags));
    }
  }
}

// Which rows of how many; those before `first` are another part's.
struct Part {
  size_t rows;
  size_t period;
  size_t first;
};
const Part kParts[] = {{1, 1, 0}, {2, 1, 1}, {5, 1, 0}, {9, 1, 3}, {1, 3, 2}, {5, 3, 1}, {8, 3, 0}};

// body(length, part, place, turn): all parts with no gap, and one in turn at every place.
template <class Body>
void ForRows(const Body& body) {
  size_t turn = 0;
  for (size_t length : Lengths()) {
    for (const Part& part : kParts) {
      if (length * part.rows > 8192) continue;
      for (Side side : kSides) body(length, part, Place{side, 0}, turn++);
    }
    ForPlaces([&](Place place) {
      const Part& part = kParts[turn % std::size(kParts)];
      if (length * part.rows <= 8192) body(length, part, place, turn);
      ++turn;
    });
  }
}

std::string Text(const Part& part, size_t length) {
  return std::to_string(part.rows) + " rows of " + std::to_string(length) + " period " + std::to_string(part.period) +
         " first " + std::to_string(part.first);
}

void rows_forward(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRows([&](size_t length, const Part& part, Place place, size_t turn) {
    for (int flags = 0; flags < 32; ++flags) {
      if (length > 300 && (flags ^ turn) % 4 != 0) continue;
      const bool centered = flags & 1, weighted = flags & 2, biased = flags & 4, relu = flags & 8, stream = flags & 16;
      const bool in_place = turn % 3 == 1, with_statistics = turn % 4 != 2;
      const size_t n = length * part.rows, parameters = length * part.period, last = part.first + part.rows;
      float* y = memory.y.Place<float>(n, place.side, place.gap);
      float* x = in_place ? y : memory.x.Place<float>(n, place.side, place.Other(1));
      std::copy_n(Numbers(0).data(), n, x);
      float* weight = weighted ? memory.parameters[0].Place<float>(parameters, place.side, place.Other(2)) : nullptr;
      float* bias = biased ? memory.parameters[1].Place<float>(parameters, place.side, place.Other(3)) : nullptr;
      if (weighted) std::copy_n(Numbers(3).data(), parameters, weight);
      if (biased) std::copy_n(Numbers(2).data(), parameters, bias);
      float* mean = with_statistics ? memory.parameters[2].Place<float>(last, Side::kEnd, 0) : nullptr;
      float* variance = with_statistics ? memory.parameters[3].Place<float>(last, Side::kEnd, 0) : nullptr;
      table.rows_forward(x, y,
                         {centered, length, part.period, part.first, part.rows, kEps, weight, bias,
                          centered ? mean : nullptr, variance, relu, stream});
      Distance distance;
      bool others = true;  // whether other rows' statistics stayed
      for (size_t r = 0; with_statistics && r < part.first; ++r) {
        others &= GuardedMemory::IsUntouched(mean[r]) && GuardedMemory::IsUntouched(variance[r]);
      }
      for (size_t r = 0; r < part.rows; ++r) {
        const float* from = Numbers(0).data() + r * length;
        const size_t row = part.first + r;
        nn::Moments found = MomentsOf({1, length, 0}, from, false, 0);
        if (!centered) {
          found = {0, 0};
          for (size_t i = 0; i < length; ++i) found.m2 += double{from[i]} * from[i];
        }
        found.m2 /= static_cast<double>(length);
        if (with_statistics && centered) distance.Add(mean[row], found.mean, 1 + fabs(found.mean));
        if (with_statistics) distance.Add(variance[row], found.m2, 10 * found.m2 + 1e-30);
        for (size_t i = 0; i < length; ++i, distance.Next()) {
          const size_t at = row % part.period * length + i;
          double value = (from[i] - found.mean) / sqrt(found.m2 + kEps);
          value = value * (weighted ? weight[at] : 1) + (biased ? bias[at] : 0);
          distance.Add(y[r * length + i], Activated(value, relu), 1 + fabs(value));
        }
      }
      Report(
          "rows_forward", target, distance, 2 * kValue, memory.IsIntact() && others,
          Text(part, length) + " " + Text(place) + " flags " + std::to_string(flags) + " turn " + std::to_string(turn));
    }
  });
}

void rows_backward(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRows([&](size_t length, const Part& part, Place place, size_t turn) {
    for (int flags = 0; flags < 32; ++flags) {
      if (length > 300 && (flags ^ turn) % 4 != 0) continue;
      const bool centered = flags & 1, weighted = flags & 2, sums = flags & 4, relu = flags & 8, stream = flags & 16;
      const bool in_place = turn % 3 == 1;
      const size_t n = length * part.rows, parameters = length * part.period, last = part.first + part.rows;
      float* dx = memory.dx.Place<float>(n, place.side, place.gap);
      float* x = memory.x.Place<float>(n, place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(n, place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(n, place.side, place.Other(3)) : nullptr;
      std::copy_n(Numbers(0).data(), n, x);
      std::copy_n(Numbers(1).data(), n, dy);
      if (relu) std::copy_n(Outputs().data(), n, y);
      float* weight = weighted ? memory.parameters[0].Place<float>(parameters, place.side, place.Other(4)) : nullptr;
      if (weighted) std::copy_n(Numbers(3).data(), parameters, weight);
      float* gradients[2] = {nullptr, nullptr};  // of weight and bias, which have something to be added to
      std::vector<double> expected[2], scale[2];
      for (size_t k = 0; sums && k < 2; ++k) {
        gradients[k] = memory.parameters[k + 1].Place<float>(parameters, place.side, place.Other(5 + k));
        std::copy_n(Numbers(2).data() + 100 * k, parameters, gradients[k]);
        expected[k].assign(gradients[k], gradients[k] + parameters);
        scale[k].assign(parameters, 1);
      }
      float* mean = memory.parameters[3].Place<float>(last, Side::kEnd, 0);
      float* variance = memory.parameters[4].Place<float>(last, Side::kEnd, 0);
      std::vector<double> values(n);
      double direct_square = 0;
      for (size_t r = 0; r < part.rows; ++r) {
        const float* from = Numbers(0).data() + r * length;
        const float* from_dy = Numbers(1).data() + r * length;
        const float* from_y = relu ? y + r * length : nullptr;
        const size_t row = part.first + r, parameter = row % part.period * length;
        nn::Moments found = MomentsOf({1, length, 0}, from, false, 0);
        if (!centered) found = {0, 1.5 * static_cast<double>(length)};
        // A row's variance need not be its own here; its mean is, to a float.
        mean[row] = static_cast<float>(found.mean);
        variance[row] = static_cast<float>(found.m2 / static_cast<double>(length));
        const double inverse = 1 / sqrt(variance[row] + kEps), count = static_cast<double>(length);
        double sum = 0, product = 0;
        const auto gradient = [&](size_t i) {
          return Cut(from_dy, from_y, i) * (weighted ? weight[parameter + i] : 1);
        };
        const auto xhat = [&](size_t i) { return (from[i] - found.mean) * inverse; };
        for (size_t i = 0; i < length; ++i) {
          sum += gradient(i);
          product += gradient(i) * xhat(i);
          direct_square += inverse * gradient(i) * inverse * gradient(i);
          if (!sums) continue;
          const double dy_i = Cut(from_dy, from_y, i);
          expected[0][parameter + i] += dy_i * xhat(i);
          expected[1][parameter + i] += dy_i;
          scale[0][parameter + i] += fabs(dy_i * xhat(i));
          scale[1][parameter + i] += fabs(dy_i);
        }
        for (size_t i = 0; i < length; ++i) {
          values[r * length + i] = inverse * (gradient(i) - (centered ? sum / count : 0) - xhat(i) * product / count);
        }
        if (!centered) mean[row] = NAN;  // not to be read
      }
      table.rows_backward(x, dy, y, dx,
                          {centered, length, part.period, part.first, part.rows, kEps, weight,
                           centered ? mean : nullptr, variance, gradients[0], gradients[1], stream});
      Distance distance;
      const double typical = sqrt(direct_square / static_cast<double>(n)) + 1e-30;
      for (size_t i = 0; i < n; ++i, distance.Next()) distance.Add(dx[i], values[i], 5 * typical + fabs(values[i]));
      for (size_t k = 0; sums && k < 2; ++k) {
        for (size_t i = 0; i < parameters; ++i) distance.Add(gradients[k][i], expected[k][i], scale[k][i]);
      }
      Report(
          "rows_backward", target, distance, 2 * kValue, memory.IsIntact(),
          Text(part, length) + " " + Text(place) + " flags " + std::to_string(flags) + " turn " + std::to_string(turn));
    }
  });
}

}  // namespace test_of

}  // namespace

void TestKernels() {
  const struct {
    const char* name;
    void (*run)(const Table&, const char*);
  } kTests[] = {
#define NN_TEST(result, name, parameters) {#name, test_of::name},
      NN_KERNELS(NN_TEST)
#undef NN_TEST
  };
  for (int target = 0; target < nn::TargetCount(); ++target) {
    for (const auto& test : kTests) test.run(nn::TargetAt(target).f32, nn::TargetAt(target).name);
  }
}

}  // namespace nntest
