// Kernels of 16-bit storage types. Each result is what F32's kernel of the same instruction set gives for the same
// numbers, rounded once; sums are the same. F32's are held against doubles by the other tests of kernels.
#include "storage.h"

#include <algorithm>
#include <string>
#include <vector>

#include "kernel_cases.h"
#include "kernels/targets.h"

namespace nntest {
namespace {

// The kernels of F32 and of a 16-bit type, and whose they are.
struct Tables {
  const Table& wide;
  const Table& stored;
  const char* target;
  std::string name;
};

// Elements as they are stored, in guarded memory, and the same numbers as floats; or no array.
template <class T>
struct Twin {
  const T* stored = nullptr;
  std::vector<float> numbers;

  Twin() = default;
  Twin(T* at, const Matrix& m, const float* from) : stored(at), numbers(m.Elements(), NAN) {
    m.ForAll([&](size_t, size_t, size_t i) { numbers[i] = at[i] = T(from[i]); });
  }

  const float* Wide() const { return stored == nullptr ? nullptr : numbers.data(); }
};

// What kernels read and write. Some results take the place of x, or of dy if there is one.
template <class T>
struct Arrays {
  Matrix m;
  T* result;
  std::vector<float> expected;
  Twin<T> x, dy, y;

  Arrays(const Matrix& m, Place place, size_t turn, bool backward, bool relu)
      : m(m), result(At(TheMemory().dx, m, place, 0)), expected(m.Elements()) {
    Memory& memory = TheMemory();
    const bool in_place = turn % 3 == 1;
    const size_t from = turn % 1000;
    x = {in_place && !backward ? result : At(memory.x, m, place, 1), m, Numbers(0).data() + from};
    if (!backward) return;
    dy = {in_place ? result : At(memory.dy, m, place, 2), m, Numbers(1).data() + from};
    if (relu) y = {At(memory.y, m, place, 3), m, Outputs().data() + from};
  }

  bool IsRight() const {
    bool right = TheMemory().IsIntact() && m.GapsAreUntouched(result);
    m.ForAll([&](size_t, size_t, size_t i) { right &= IsSame(result[i], T(expected[i])); });
    return right;
  }

 private:
  static T* At(GuardedMemory& memory, const Matrix& m, Place place, size_t k) {
    return memory.Place<T>(m.Elements(), place.side, k == 0 ? place.gap : place.Other(k));
  }
};

bool AreSame(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

// Parameters that differ from each other.
float Number(size_t which, size_t i) { return Numbers(which)[i % 1000]; }

template <class T>
void TestSpans(const Tables& t) {
  ForRuns(t.target, [&](const Matrix& m, size_t step, Place place, size_t turn) {
    const std::string text = Text(m) + " step " + std::to_string(step) + " " + Text(place);
    const auto check = [&](bool good, const char* kernel) {
      Check(good, "%s %s: %s, turn %zu", t.name.c_str(), kernel, text.c_str(), turn);
    };
    const size_t last = (m.rows - 1) * step;
    const bool relu = turn % 2 == 1;
    const unsigned cuts = OptionIf(relu, nn::kRelu), writes = cuts | OptionIf(turn / 2 % 2 == 1, nn::kStream);
    {
      Arrays<T> a(m, place, turn, false, relu);
      const float pivot = turn % 4 < 2 ? 0 : 0.4f;
      const nn::PivotSums wanted = BodyOf(t.wide.pivot_sums)(a.x.Wide(), m.rows, m.columns, m.stride, pivot);
      const nn::PivotSums found = BodyOf(t.stored.pivot_sums)(a.x.stored, m.rows, m.columns, m.stride, pivot);
      check(found.sum == wanted.sum && found.squares == wanted.squares, "pivot_sums");
      std::vector<nn::Affine> affines;
      for (size_t i = 0; i <= last; ++i) affines.push_back({Number(1, i), Number(3, i), Number(2, i)});
      BodyOf(t.wide.normalize, writes)(a.x.Wide(), a.expected.data(), m.rows, m.columns, m.stride, affines.data(), step,
                                       0);
      BodyOf(t.stored.normalize, writes)(a.x.stored, a.result, m.rows, m.columns, m.stride, affines.data(), step,
                                         m.stride);
      check(a.IsRight(), "normalize");
    }
    Arrays<T> a(m, place, turn, true, relu);
    const auto sum = [&](const auto& wide, const auto& stored, float center, const char* kernel) {
      std::vector<nn::GradientSums> wanted(last + 1), found(last + 1);
      wide(a.x.Wide(), a.dy.Wide(), a.y.Wide(), m.rows, m.columns, m.stride, center, wanted.data(), step, 0);
      stored(a.x.stored, a.dy.stored, a.y.stored, m.rows, m.columns, m.stride, center, found.data(), step, 0);
      check(std::equal(wanted.begin(), wanted.end(), found.begin(),
                       [](const nn::GradientSums& left, const nn::GradientSums& right) {
                         return left.dy == right.dy && AreSame(left.product, right.product) &&
                                left.residual == right.residual;
                       }),
            kernel);
    };
    sum(BodyOf(t.wide.gradient_sums, cuts), BodyOf(t.stored.gradient_sums, cuts), 0.4f, "gradient_sums");
    sum(BodyOf(t.wide.constant_sums, cuts), BodyOf(t.stored.constant_sums, cuts), a.x.numbers[0], "constant_sums");
    std::vector<nn::Gradient> gradients;
    for (size_t i = 0; i <= last; ++i) {
      gradients.push_back({Number(1, i), Number(3, i), Number(2, i), Number(0, i), turn % 5 == 0 ? Number(2, i) : 0});
    }
    BodyOf(t.wide.gradient, writes)(a.x.Wide(), a.dy.Wide(), a.y.Wide(), a.expected.data(), m.rows, m.columns, m.stride,
                                    gradients.data(), step);
    BodyOf(t.stored.gradient, writes)(a.x.stored, a.dy.stored, a.y.stored, a.result, m.rows, m.columns, m.stride,
                                      gradients.data(), step);
    check(a.IsRight(), "gradient");
    if (m.rows > 1) return;
    Arrays<T> b(m, place, turn, true, relu);
    std::vector<unsigned char> mask(m.columns);
    for (size_t i = 0; i < m.columns; ++i) mask[i] = static_cast<unsigned char>((i + turn) % 3);
    BodyOf(t.wide.masked_gradient, cuts)(b.x.Wide(), b.dy.Wide(), b.y.Wide(), mask.data(), b.expected.data(), m.columns,
                                         gradients[0]);
    BodyOf(t.stored.masked_gradient, cuts)(b.x.stored, b.dy.stored, b.y.stored, mask.data(), b.result, m.columns,
                                           gradients[0]);
    check(b.IsRight(), "masked_gradient");
  });
}

template <class T>
void TestConversions(const Tables& t) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    ForPlaces(t.target, [&](Place place) {
      for (unsigned options : {nn::kPlain, nn::kStream}) {
        const Matrix m = {1, length, 0};
        const Twin<T> x(memory.x.Place<T>(length, place.side, place.gap), m, Numbers(0).data());
        float* wide = memory.dx.Place<float>(length, place.side, place.Other(1));
        BodyOf(t.stored.widen, options)(x.stored, length, wide);
        bool good = std::equal(wide, wide + length, x.numbers.begin());
        std::copy_n(Numbers(1).data(), length, wide);
        T* y = memory.y.Place<T>(length, place.side, place.Other(2));
        BodyOf(t.stored.narrow, options)(wide, length, y);
        good &= IsRounded(y, std::vector<float>(wide, wide + length));
        Check(good && memory.IsIntact(), "%s widen or narrow: %zu %s", t.name.c_str(), length, Text(place).c_str());
      }
    });
  }
}

// Sums of columns, by either kernel.
struct ColumnSums {
  std::vector<double> arrays[5];

  explicit ColumnSums(size_t columns) {
    for (std::vector<double>& array : arrays) array.resize(nn::PaddedColumns(columns));
  }
  nn::ColumnGradientSums OfGradients(bool constants) {
    return {arrays[0].data(), arrays[1].data(), arrays[2].data(), constants ? arrays[3].data() : nullptr,
            constants ? arrays[4].data() : nullptr};
  }
  bool AreSame(const ColumnSums& other, size_t columns) const {
    bool same = true;
    for (size_t k = 0; k < 5; ++k) {
      same &=
          std::equal(arrays[k].begin(), arrays[k].begin() + static_cast<ptrdiff_t>(columns), other.arrays[k].begin());
    }
    return same;
  }
};

template <class T>
void TestColumns(const Tables& t) {
  size_t turn = 0;
  ForMatrices(t.target, [&](const Matrix& m, Place place) {
    ++turn;
    const auto check = [&](bool good, const char* kernel) {
      Check(good, "%s %s: %s %s, turn %zu", t.name.c_str(), kernel, Text(m).c_str(), Text(place).c_str(), turn);
    };
    Memory& memory = TheMemory();
    const bool relu = turn % 2 == 1, constants = turn / 4 % 2 == 1, prefetch = turn % 5 == 0;
    const unsigned cuts = OptionIf(relu, nn::kRelu), writes = cuts | OptionIf(turn / 2 % 2 == 1, nn::kStream);
    const float* p[5];
    for (size_t k = 0; k < 5; ++k) p[k] = Parameter(memory.parameters[k], m.columns, Numbers(2).data() + 1000 * k);
    ColumnSums wanted(m.columns), found(m.columns);
    {
      Arrays<T> a(m, place, turn, false, relu);
      const float* pivot = constants ? p[0] : nullptr;
      BodyOf(t.wide.column_sums)(a.x.Wide(), m.rows, m.columns, m.stride, pivot, prefetch, wanted.arrays[0].data(),
                                 wanted.arrays[1].data());
      BodyOf(t.stored.column_sums)(a.x.stored, m.rows, m.columns, m.stride, pivot, prefetch, found.arrays[0].data(),
                                   found.arrays[1].data());
      check(found.AreSame(wanted, m.columns), "column_sums");
      const nn::ColumnAffine affine = {p[0], p[1], p[2]};
      BodyOf(t.wide.column_normalize, writes)(a.x.Wide(), a.expected.data(), m.rows, m.columns, m.stride, affine);
      BodyOf(t.stored.column_normalize, writes)(a.x.stored, a.result, m.rows, m.columns, m.stride, affine);
      check(a.IsRight(), "column_normalize");
    }
    Arrays<T> a(m, place, turn, true, relu);
    BodyOf(t.wide.column_gradient_sums, cuts)(a.x.Wide(), a.dy.Wide(), a.y.Wide(), m.rows, m.columns, m.stride, p[0],
                                              prefetch, wanted.OfGradients(constants));
    BodyOf(t.stored.column_gradient_sums, cuts)(a.x.stored, a.dy.stored, a.y.stored, m.rows, m.columns, m.stride, p[0],
                                                prefetch, found.OfGradients(constants));
    check(found.AreSame(wanted, m.columns), "column_gradient_sums");
    const nn::ColumnGradient g = {p[0], p[1], p[2], p[3], constants ? p[4] : nullptr};
    BodyOf(t.wide.column_gradient, writes)(a.x.Wide(), a.dy.Wide(), a.y.Wide(), a.expected.data(), m.rows, m.columns,
                                           m.stride, g);
    BodyOf(t.stored.column_gradient, writes)(a.x.stored, a.dy.stored, a.y.stored, a.result, m.rows, m.columns, m.stride,
                                             g);
    check(a.IsRight(), "column_gradient");
  });
}

// A row's parameters, of which some are null, and what is measured or added to.
struct RowArrays {
  const float* weight;
  const float* bias;
  std::vector<float> mean, variance, weight_gradient, bias_gradient;
  bool finite = true;

  RowArrays(const Part& part, size_t length, bool weighted, bool biased)
      : weight(weighted ? Numbers(3).data() : nullptr),
        bias(biased ? Numbers(2).data() : nullptr),
        mean(part.first + part.rows),
        variance(part.first + part.rows),
        weight_gradient(length * part.period, 0.5f),
        bias_gradient(length * part.period, 0.25f) {}

  bool AreSame(const RowArrays& other) const {
    return mean == other.mean && variance == other.variance && weight_gradient == other.weight_gradient &&
           bias_gradient == other.bias_gradient && finite == other.finite;
  }
};

template <class T>
void TestRows(const Tables& t) {
  ForRows(t.target, [&](size_t length, const Part& part, Place place, size_t turn) {
    // Two options sets of 32 in turn, so that within some lengths each comes at each place.
    for (size_t flags : {turn * 5 % 32, turn * 11 % 32}) {
      const bool centered = flags & 1, weighted = flags & 2, more = flags & 4, relu = flags & 8, stream = flags & 16;
      const Matrix m = {part.rows, length, length};
      const auto check = [&](bool good, const char* kernel) {
        Check(good, "%s %s: %zu rows of %zu %s, flags %zu, turn %zu", t.name.c_str(), kernel, part.rows, length,
              Text(place).c_str(), flags, turn);
      };
      RowArrays wanted(part, length, weighted, more), found(part, length, weighted, more);
      const unsigned kind =
          OptionIf(relu, nn::kRelu) | OptionIf(centered, nn::kCentered) | OptionIf(weighted, nn::kWeight);
      {
        Arrays<T> a(m, place, turn, false, relu);
        const auto rows = [&](RowArrays& to) {
          return nn::RowsToNormalize{centered,
                                     length,
                                     length,
                                     length,
                                     part.period,
                                     part.first,
                                     part.rows,
                                     kEps,
                                     to.weight,
                                     weighted && turn % 4 == 3 ? 1.0f : -0.0f,
                                     to.bias,
                                     centered ? to.mean.data() : nullptr,
                                     to.variance.data(),
                                     relu,
                                     turn % 2 == 0,
                                     stream};
        };
        const unsigned options = kind | OptionIf(more, nn::kBias);
        BodyOf(t.wide.row_normalize, options)(a.x.Wide(), a.expected.data(), rows(wanted));
        BodyOf(t.stored.row_normalize, options)(a.x.stored, a.result, rows(found));
        check(a.IsRight() && found.AreSame(wanted), "row_normalize");
      }
      Arrays<T> a(m, place, turn, true, relu);
      const auto rows = [&](RowArrays& to) {
        return nn::RowsToDifferentiate{centered,
                                       length,
                                       part.period,
                                       part.first,
                                       part.rows,
                                       kEps,
                                       to.weight,
                                       to.mean.data(),
                                       to.variance.data(),
                                       more ? to.weight_gradient.data() : nullptr,
                                       more ? to.bias_gradient.data() : nullptr,
                                       stream,
                                       &to.finite,
                                       false};
      };
      const unsigned options = kind | OptionIf(more, nn::kParameterSums);
      const size_t all =
          BodyOf(t.wide.row_gradient, options)(a.x.Wide(), a.dy.Wide(), a.y.Wide(), a.expected.data(), rows(wanted));
      const size_t done =
          BodyOf(t.stored.row_gradient, options)(a.x.stored, a.dy.stored, a.y.stored, a.result, rows(found));
      check(a.IsRight() && found.AreSame(wanted) && all == part.rows && done == part.rows, "row_gradient");
    }
  });
}

}  // namespace

void TestStorages(const nn::Target& target) {
  ForStorages([&](auto number) {
    using T = decltype(number);
    const int type = TypeOf(T());
    const Tables tables = {target.tables[NN_F32], target.tables[type], target.name,
                           std::string(target.name) + " type " + std::to_string(type)};
    TestSpans<T>(tables);
    TestConversions<T>(tables);
    TestColumns<T>(tables);
    TestRows<T>(tables);
  });
}

}  // namespace nntest
