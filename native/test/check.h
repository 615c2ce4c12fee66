// Checks that count, and what else all tests need.
#ifndef NATIVENORM_CHECK_H_
#define NATIVENORM_CHECK_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vector>

#include "platform/printf.h"

namespace nntest {

// Counts a check and prints a line if it fails. To be called by the main thread only.
__attribute__((format(NN_PRINTF, 2, 3))) bool Check(bool good, const char* format, ...);

// Notes an error of a kind; `nativenorm_test --errors` prints the largest of each.
__attribute__((format(NN_PRINTF, 2, 3))) void Note(double error, const char* format, ...);

// The largest distance between what came out and what should have.
class Distance {
 public:
  // In units of `scale`. NaN and infinities must be where they are expected, or a value beyond the largest float.
  void Add(double actual, double expected, double scale) {
    if (actual == expected || (isnan(actual) && isnan(expected))) return;
    if (isinf(actual) && static_cast<float>(expected) == actual) return;
    const double distance = fabs(actual - expected) / scale;
    if (!(distance <= largest_)) {
      largest_ = isnan(distance) ? INFINITY : distance;
      at_ = count_;
    }
  }
  void Next() { ++count_; }

  double Largest() const { return largest_; }
  size_t At() const { return at_; }

 private:
  double largest_ = 0;
  size_t at_ = 0;
  size_t count_ = 0;
};

// The environment's NATIVENORM_SEED, for random tests to go another way or to go one again, else this.
uint64_t SeedOr(uint64_t usual);

// Numbers that are the same in every run: splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Above 0, up to 1.
  double Uniform() { return static_cast<double>((Bits() >> 11) + 1) * 0x1p-53; }

  // Two at a time, by Marsaglia's polar method: by a logarithm and a cosine for each, a third of the time to test whole
  // problems went into their numbers.
  double Normal() {
    if (has_second_) {
      has_second_ = false;
      return second_;
    }
    double u, v, square;
    do {
      u = 2 * Uniform() - 1;
      v = 2 * Uniform() - 1;
      square = u * u + v * v;
    } while (square >= 1 || square == 0);
    const double length = sqrt(-2 * log(square) / square);
    second_ = v * length;
    has_second_ = true;
    return u * length;
  }

  void Fill(float* to, size_t n, double mean, double deviation) {
    for (size_t i = 0; i < n; ++i) to[i] = static_cast<float>(mean + deviation * Normal());
  }
  std::vector<float> Normals(size_t n, double mean, double deviation) {
    std::vector<float> result(n);
    Fill(result.data(), n, mean, deviation);
    return result;
  }

 private:
  uint64_t state_;
  double second_ = 0;
  bool has_second_ = false;
};

// The groups of tests, of which some may be compiled and not the others.
namespace groups {
void kernels();
void problems();
void extremes();
void determinism();
void phases();
void workers();
void system();
void prepare();
void hostile();
void execute();
void memory();
void answers();
void storage();
void conversions();
void transpositions();
void running();
void apart();
void wanted();
void masked();
void openmp();
}  // namespace groups

// How long each body of an instruction set, or of all, takes.
void Benchmark(const char* target);

// The hashes of all answers of an instruction set.
void PrintAnswers(const char* target);

}  // namespace nntest

#endif  // NATIVENORM_CHECK_H_
