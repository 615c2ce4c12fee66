// How long each body of variants.def takes, with a check of what it computed: nativenorm_test --benchmark [TARGET].
// Wrong results fail the run; the figures compare the bodies of one run, no more.
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <type_traits>

#include "benchmark_elements.h"
#include "kernel_cases.h"
#include "kernels/targets.h"
#include "nativenorm.h"
#include "storage.h"

namespace nntest {
namespace {

using namespace nn;

// The first call is checked, the best of some more is the time.
struct Timed {
  double microseconds;
  double error;
};
template <class Run, class Check>
Timed Time(const Run& run, const Check& check) {
  run();
  Timed timed = {INFINITY, check()};
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    timed.microseconds = std::min(timed.microseconds, took.count());
  }
  return timed;
}

// What the bodies read and write, aligned for non-temporal stores.
struct alignas(64) Arrays {
  float center[kColumns], first[kColumns], second[kColumns], third[kColumns], dy_center[kColumns];
  double sums[5][kColumns], mean[kColumns], variance[kColumns];
};
Arrays& A() {
  static Arrays arrays;
  return arrays;
}

// A sum of n values, relative to what they add up to without signs.
template <class Value>
double ErrorOfSum(double found, size_t n, const Value& value) {
  double sum = 0, scale = 1e-300;
  for (size_t i = 0; i < n; ++i) {
    sum += value(i);
    scale += fabs(value(i));
  }
  return fabs(found - sum) / scale;
}

// The mean of a row, and its variance around it; or of RMS.
Moments OfRow(size_t row, bool centered) {
  Moments found = MomentsOf({1, kColumns, 0}, x.numbers.data() + row * kColumns);
  if (!centered) found = {0, found.m2 + kColumns * found.mean * found.mean};
  return {found.mean, found.m2 / kColumns};
}

// One for each entry of NN_KERNELS, of the same name: a kernel without does not link.
namespace benchmark_of {
#define NN_BENCHMARK(options, result, name, parameters) \
  Timed name(std::remove_extent_t<decltype(Table::name)> body, unsigned options_of_body);
NN_KERNELS(NN_BENCHMARK)
#undef NN_BENCHMARK

Timed pivot_sums(PivotSums (*body)(const void*, size_t, size_t, size_t, float), unsigned) {
  PivotSums found;
  return Time([&] { found = body(x.stored, kRows, kColumns, kColumns, 0.5f); },
              [&] { return ErrorOfSum(found.squares, kAll, [](size_t i) { return (x[i] - 0.5) * (x[i] - 0.5); }); });
}

Timed normalize(std::remove_extent_t<decltype(Table::normalize)> body, unsigned options) {
  const Affine affine = {0.3f, 1.7f, -0.6f};
  return Time([&] { body(x.stored, result, kRows, kColumns, kColumns, &affine, 0, kColumns); },
              [&] {
                return LargestOfResult([&](size_t i) {
                  return Activated((x[i] - double{0.3f}) * 1.7f - double{0.6f}, Has(options, kRelu));
                });
              });
}

Timed gradient_sums(std::remove_extent_t<decltype(Table::gradient_sums)> body, unsigned options) {
  GradientSums found;
  return Time(
      [&] { body(x.stored, dy.stored, StoredY(options), kRows, kColumns, kColumns, 0.5f, &found, 0, 0); },
      [&] { return ErrorOfSum(found.product, kAll, [&](size_t i) { return CutDy(options, i) * (x[i] - 0.5); }); });
}

Timed constant_sums(std::remove_extent_t<decltype(Table::constant_sums)> body, unsigned options) {
  GradientSums found;
  return Time(
      [&] { body(constant.stored, dy.stored, StoredY(options), kRows, kColumns, kColumns, 0.5f, &found, 0, 0); },
      [&] {
        const double error = ErrorOfSum(found.dy, kAll, [&](size_t i) { return CutDy(options, i); });
        return found.product == 0 ? error : INFINITY;
      });
}

Timed gradient(std::remove_extent_t<decltype(Table::gradient)> body, unsigned options) {
  const Gradient g = {0.5f, 1.75f, -0.5f, 0.25f, 0};
  return Time(
      [&] { body(x.stored, dy.stored, StoredY(options), result, kRows, kColumns, kColumns, &g, 0); },
      [&] { return LargestOfResult([&](size_t i) { return 1.75 * CutDy(options, i) - 0.5 * (x[i] - 0.5) + 0.25; }); });
}

Timed masked_gradient(std::remove_extent_t<decltype(Table::masked_gradient)> body, unsigned options) {
  const Gradient g = {0.5f, 1.75f, -0.5f, 0.25f, 0};
  static unsigned char mask[kAll];
  for (size_t i = 0; i < kAll; ++i) mask[i] = static_cast<unsigned char>(i % 3 == 0 ? 0 : i | 1);
  return Time([&] { body(x.stored, dy.stored, StoredY(options), mask, result, kAll, g); },
              [&] {
                return LargestOfResult([&](size_t i) {
                  return 1.75 * CutDy(options, i) + (mask[i] == 0 ? 0 : -0.5 * (x[i] - 0.5) + 0.25);
                });
              });
}

Timed column_sums(std::remove_extent_t<decltype(Table::column_sums)> body, unsigned) {
  return Time([&] { body(x.stored, kRows, kColumns, kColumns, nullptr, false, A().sums[0], A().sums[1]); },
              [&] {
                return Largest(A().sums[1], kColumns, [](size_t j) {
                  double sum = 0;
                  for (size_t i = j; i < kAll; i += kColumns) sum += x[i] * x[i];
                  return sum;
                });
              });
}

Timed column_moments(std::remove_extent_t<decltype(Table::column_moments)> body, unsigned) {
  const auto run = [&] {
    std::fill_n(A().sums[0], kColumns, 8.0);
    std::fill_n(A().sums[1], kColumns, 20.0);
    body(kColumns, 1.0 / 8, A().sums[0], A().sums[1]);
  };
  return Time(run, [&] { return Largest(A().sums[1], kColumns, [](size_t) { return 12.0; }); });
}

ColumnAffine Columns() {
  std::copy_n(Numbers(2).data(), kColumns, A().center);
  std::copy_n(Numbers(3).data(), kColumns, A().first);
  std::copy_n(Numbers(2).data() + 1000, kColumns, A().second);
  std::copy_n(Numbers(2).data() + 2000, kColumns, A().third);
  std::copy_n(Numbers(2).data() + 3000, kColumns, A().dy_center);
  for (size_t j = 0; j < kColumns; ++j) {
    A().mean[j] = A().center[j];
    A().variance[j] = 0.5 + fabs(A().third[j]);
  }
  return {A().center, A().first, A().second};
}

Timed column_normalize(std::remove_extent_t<decltype(Table::column_normalize)> body, unsigned options) {
  const ColumnAffine a = Columns();
  return Time([&] { body(x.stored, result, kRows, kColumns, kColumns, a); },
              [&] {
                return LargestOfResult([&](size_t i) {
                  const size_t j = i % kColumns;
                  const double value = (x[i] - double{a.center[j]}) * a.scale[j] + a.shift[j];
                  return Activated(value, Has(options, kRelu));
                });
              });
}

Timed column_gradient_sums(std::remove_extent_t<decltype(Table::column_gradient_sums)> body, unsigned options) {
  Columns();
  auto& sums = A().sums;
  const ColumnGradientSums to = {sums[0], sums[1], sums[2], nullptr, nullptr};
  return Time([&] { body(x.stored, dy.stored, StoredY(options), kRows, kColumns, kColumns, A().center, false, to); },
              [&] {
                return Largest(to.dy, kColumns, [&](size_t j) {
                  double sum = 0;
                  for (size_t i = j; i < kAll; i += kColumns) sum += CutDy(options, i);
                  return sum;
                });
              });
}

Timed column_gradient(std::remove_extent_t<decltype(Table::column_gradient)> body, unsigned options) {
  Columns();
  const Arrays& a = A();
  const ColumnGradient g = {a.center, a.first, a.second, a.third, nullptr};
  return Time([&] { body(x.stored, dy.stored, StoredY(options), result, kRows, kColumns, kColumns, g); },
              [&] {
                return LargestOfResult([&](size_t i) {
                  const size_t j = i % kColumns;
                  return a.first[j] * CutDy(options, i) + a.second[j] * (x[i] - double{a.center[j]}) + a.third[j];
                });
              });
}

Timed column_affines(std::remove_extent_t<decltype(Table::column_affines)> body, unsigned) {
  Columns();
  Arrays& a = A();
  return Time([&] { body(a.mean, a.variance, kColumns, kEps, nullptr, nullptr, a.center, a.first, a.second); },
              [&] { return Largest(a.first, kColumns, [&](size_t j) { return 1 / sqrt(a.variance[j] + kEps); }); });
}

Timed update_running(std::remove_extent_t<decltype(Table::update_running)> body, unsigned) {
  Columns();
  Arrays& a = A();
  std::fill_n(a.first, kColumns, 0.5f);
  return Time([&] { body(a.first, a.center, 1, kColumns, 1, 2); },
              [&] { return Largest(a.first, kColumns, [&](size_t j) { return 2.0 * a.center[j]; }); });
}

Timed column_gradients(std::remove_extent_t<decltype(Table::column_gradients)> body, unsigned) {
  Columns();
  Arrays& a = A();
  const auto run = [&] {
    for (size_t k = 0; k < 3; ++k) std::copy_n(Numbers(1).data() + 1000 * k, kColumns, a.sums[k]);
    const ColumnGradientSums sums = {a.sums[0], a.sums[1], a.sums[2], nullptr, nullptr};
    body(sums, a.mean, a.variance, kColumns, kEps, nullptr, 32, false, a.center, a.first, a.second, a.third, nullptr);
  };
  return Time(run,
              [&] { return Largest(a.first, kColumns, [&](size_t j) { return 1 / sqrt(a.variance[j] + kEps); }); });
}

Timed row_normalize(std::remove_extent_t<decltype(Table::row_normalize)> body, unsigned options) {
  const float* weight = Has(options, kWeight) ? Numbers(3).data() : nullptr;
  const float* bias = Has(options, kBias) ? Numbers(2).data() : nullptr;
  const bool centered = Has(options, kCentered), relu = Has(options, kRelu);
  const RowsToNormalize rows = {centered, kColumns, kColumns, kColumns, 1,       0,    kRows, kEps,
                                weight,   -0.f,     bias,     nullptr,  nullptr, relu, false, false};
  return Time([&] { body(x.stored, result, rows); },
              [&] {
                Moments of_row = {0, 1};
                return LargestOfResult([&](size_t i) {
                  const size_t j = i % kColumns;
                  if (j == 0) of_row = OfRow(i / kColumns, centered);
                  const double xhat = (x[i] - of_row.mean) / sqrt(of_row.m2 + kEps);
                  return Activated(xhat * (weight ? weight[j] : 1) + (bias ? bias[j] : 0), relu);
                });
              });
}

Timed row_gradient(std::remove_extent_t<decltype(Table::row_gradient)> body, unsigned options) {
  const float* weight = Has(options, kWeight) ? Numbers(3).data() : nullptr;
  const bool centered = Has(options, kCentered), sums = Has(options, kParameterSums);
  float mean[kRows], variance[kRows];
  for (size_t row = 0; row < kRows; ++row) {
    const Moments found = OfRow(row, centered);
    mean[row] = static_cast<float>(found.mean);
    variance[row] = static_cast<float>(found.m2);
  }
  std::fill_n(A().first, kColumns, 0.0f);
  std::fill_n(A().second, kColumns, 0.0f);
  bool finite = true;
  const RowsToDifferentiate rows = {centered,
                                    kColumns,
                                    1,
                                    0,
                                    kRows,
                                    kEps,
                                    weight,
                                    mean,
                                    variance,
                                    sums ? A().first : nullptr,
                                    sums ? A().second : nullptr,
                                    false,
                                    &finite,
                                    false};
  return Time([&] { body(x.stored, dy.stored, StoredY(options), result, rows); },
              [&] {
                double sum = 0, product = 0, inverse = 0;
                const auto g = [&](size_t i) { return CutDy(options, i) * (weight ? weight[i % kColumns] : 1); };
                const auto xhat = [&](size_t i) { return (x[i] - (centered ? mean[i / kColumns] : 0)) * inverse; };
                return LargestOfResult([&](size_t i) {
                  if (i % kColumns == 0) {
                    sum = product = 0;
                    inverse = 1 / sqrt(variance[i / kColumns] + kEps);
                    for (size_t k = i; k < i + kColumns; ++k) {
                      sum += centered ? g(k) : 0;
                      product += g(k) * xhat(k);
                    }
                  }
                  return inverse * (g(i) - sum / kColumns - xhat(i) * product / kColumns);
                });
              });
}

template <class From>
Timed Added(void (*body)(const From*, size_t, double*), const From* from) {
  Arrays& a = A();
  std::fill_n(a.mean, kColumns, 0.0);
  return Time([&] { body(from, kColumns, a.mean); },
              [&] { return Largest(a.mean, kColumns, [&](size_t j) { return double{from[j]}; }); });
}
Timed add_doubles(void (*body)(const double*, size_t, double*), unsigned) {
  std::copy_n(x.numbers.data(), kColumns, A().sums[0]);
  return Added(body, A().sums[0]);
}
Timed add_floats(void (*body)(const float*, size_t, double*), unsigned) { return Added(body, x.numbers.data()); }
Timed round_doubles(void (*body)(const double*, size_t, float*), unsigned) {
  Arrays& a = A();
  std::copy_n(x.numbers.data(), kColumns, a.sums[0]);
  return Time([&] { body(a.sums[0], kColumns, a.first); },
              [&] { return Largest(a.first, kColumns, [&](size_t j) { return a.sums[0][j]; }); });
}

Timed all_finite(bool (*body)(const float*, size_t), unsigned) {
  bool finite;
  return Time([&] { finite = body(x.numbers.data(), kAll); }, [&] { return finite ? 0 : INFINITY; });
}

Timed widen(std::remove_extent_t<decltype(Table::widen)> body, unsigned) {
  struct alignas(64) Aligned {
    float floats[kAll];
  };
  static Aligned to;
  return Time([&] { body(x.stored, kAll, to.floats); },
              [&] { return Largest(to.floats, kAll, [](size_t i) { return x[i]; }); });
}

Timed narrow(std::remove_extent_t<decltype(Table::narrow)> body, unsigned) {
  return Time([&] { body(x.numbers.data(), kAll, result); },
              [&] { return LargestOfResult([](size_t i) { return x[i]; }); });
}

Timed plain_pass(std::remove_extent_t<decltype(Table::plain_pass)> body, unsigned) {
  return Time([&] { body(x.stored, result, kAll, 1.25f, -0.75f); },
              [&] { return LargestOfResult([](size_t i) { return x[i] * 1.25 - 0.75; }); });
}

Timed pack(std::remove_extent_t<decltype(Table::pack)> body, unsigned) {
  static unsigned char mask[kAll];
  for (size_t i = 0; i < kAll; ++i) mask[i] = static_cast<unsigned char>(i % 3 == 0 ? 0 : i);
  static float to[kAll + 17];
  size_t count = 0;
  return Time([&] { count = body(x.numbers.data(), mask, kAll, sizeof(float), to); },
              [&] {
                size_t k = 0;
                bool good = true;
                for (size_t i = 0; i < kAll; ++i) good &= mask[i] == 0 || to[k++] == x.numbers[i];
                return good && k == count ? 0 : INFINITY;
              });
}

Timed transpose(std::remove_extent_t<decltype(Table::transpose)> body, unsigned) {
  return Time([&] { body(x.stored, kColumns, result, kRows, kRows, kColumns, sizeof(float)); },
              [&] { return LargestOfResult([](size_t i) { return x[i % kRows * kColumns + i / kRows]; }); });
}

}  // namespace benchmark_of
}  // namespace

void Benchmark(const char* wanted) {
  constexpr double kTolerances[] = {2e-6, 0x1p-8, 0x1p-10};  // by type; a unit in the last place of 16 bits
  for (int i = 0; i < nn::TargetCount(); ++i) {
    const nn::Target& target = nn::TargetAt(i);
    if (wanted != nullptr && strcmp(wanted, target.name) != 0) continue;
    const auto report = [&](const char* body, const char* options, int type, const Timed& timed) {
      printf("%-7s %-25s %-45s %9.3f us\n", target.name, body, options, timed.microseconds);
      Check(timed.error <= kTolerances[type], "%s %s %s: error %g", target.name, body, options, timed.error);
    };
#define NN_VARIANT(storage, kernel, options)                                                                          \
  if (const int type = TypeOf(storage()); type < kStorageTypes) {                                                     \
    Store<storage>();                                                                                                 \
    report(#storage " " #kernel, #options, type, benchmark_of::kernel(target.tables[type].kernel[options], options)); \
  }
#include "kernels/variants.def"
  }
}

}  // namespace nntest
