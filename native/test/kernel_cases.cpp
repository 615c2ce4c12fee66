#include "kernel_cases.h"

#include <algorithm>

namespace nntest {

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

size_t Lanes(const std::string& target) { return target == "avx512" ? 16 : target == "avx2" ? 8 : 4; }

std::string Text(const Place& place) {
  return std::string("side ") + NameOf(place.side) + " gap " + std::to_string(place.gap);
}

std::string Text(const Matrix& m) {
  return std::to_string(m.rows) + " x " + std::to_string(m.columns) + " stride " + std::to_string(m.stride);
}

const std::vector<float>& Numbers(size_t which) {
  static const std::vector<float> numbers[] = {
      Random(kSeed).Normals(1 << 15, 0, 1), Random(kSeed + 1).Normals(1 << 15, 0, 1),
      Random(kSeed + 2).Normals(1 << 15, 0, 1), Random(kSeed + 3).Normals(1 << 15, 1, 0.5)};
  return numbers[which];
}

const std::vector<float>& Outputs() {
  static const std::vector<float> outputs = [] {
    std::vector<float> values = Random(kSeed + 4).Normals(1 << 15, 0, 1);
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

const std::vector<Distribution>& Distributions() {
  static const std::vector<Distribution> distributions = {
      {"normal", 0, 1, NAN},          {"mean 1e4", 1e4, 1, NAN},
      {"outlier first", 0, 1, 1e6},   {"far outlier first", 5, 1, 1e25},
      {"constant", 3.3, 0, NAN},      {"huge", 0, 1e30, NAN},
      {"tiny", 0, 1e-20, NAN},        {"tiny around 1e-18", 1e-18, 1e-20, NAN},
      {"huge mean", 1e30, 1e25, NAN}, {"rather far first", 2, 1, 30}};
  return distributions;
}

nn::Moments MomentsOf(const Matrix& m, const float* x) {
  double n = 0, sum = 0, m2 = 0;
  m.ForAll([&](size_t, size_t, size_t i) {
    sum += x[i];
    n += 1;
  });
  m.ForAll([&](size_t, size_t, size_t i) { m2 += (x[i] - sum / n) * (x[i] - sum / n); });
  return {sum / n, m2};
}

// A pivot is at most 4 standard deviations from the mean: the sum of squares around it is at most 17 times m2. Squares
// below the smallest float may be 0.
void AddMoments(nn::Moments found, nn::Moments expected, double n, Distance* distance) {
  const double deviation = sqrt(expected.m2 / n);
  distance->Add(found.mean, expected.mean, 4 * deviation + 1e-9 * fabs(expected.mean) + 1e-300);
  distance->Add(found.m2, expected.m2, 17 * expected.m2 + n * 1e-38);
}

}  // namespace nntest
