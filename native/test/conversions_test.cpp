// Each number of a 16-bit storage type, and floats around it, converted one by one and by kernels.
#include <algorithm>
#include <string>
#include <vector>

#include "kernel_cases.h"
#include "kernels/targets.h"
#include "platform/system.h"
#include "storage.h"

namespace nntest {
namespace {

constexpr size_t kNumbers = 1 << 16;

template <class T>
T NumberOf(size_t bits) {
  T number;
  number.bits = static_cast<uint16_t>(bits);
  return number;
}

// What is rounded to infinity is half as far as this from the largest number.
double BeyondLargest(nn::bf16) { return 0x1p128; }
double BeyondLargest(nn::f16) { return 0x1p16; }

// The sizes of a number and of the next one, further from 0.
struct Neighbours {
  double size;
  double next;

  double Middle() const { return (size + next) / 2; }
};
template <class T>
Neighbours NeighboursOf(size_t bits) {
  const double next = fabs(float{NumberOf<T>(bits + 1)});
  return {fabs(float{NumberOf<T>(bits)}), std::isfinite(next) ? next : BeyondLargest(T())};
}

// A float, and the bits of the number of a type that is the nearest one, or the nearer one to 0.
struct Case {
  float value;
  size_t below;
};

// Each number, with what is between it and the next: next to both, and around the middle, which is exact in floats.
template <class T>
std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (size_t bits = 0; bits < kNumbers; ++bits) {
    const float number = NumberOf<T>(bits), away = std::signbit(number) ? -INFINITY : INFINITY;
    cases.push_back({number, bits});
    if (!std::isfinite(number)) continue;
    const Neighbours sizes = NeighboursOf<T>(bits);
    const float middle = static_cast<float>(copysign(sizes.Middle(), number));
    const float next = static_cast<float>(copysign(sizes.next, number));
    for (float value :
         {nextafterf(number, away), nextafterf(middle, 0), middle, nextafterf(middle, away), nextafterf(next, 0)}) {
      cases.push_back({value, bits});
    }
  }
  for (uint32_t bits :
       {0x7F800001u, 0xFF800001u, 0x7FBFFFFFu, 0x7FC00000u, 0x7FFF8000u, 0x7FFFFFFFu, 0xFFFF8000u, 0xFFFFFFFFu}) {
    float value;
    memcpy(&value, &bits, sizeof value);
    cases.push_back({value, 0});
  }
  return cases;
}

template <class T>
float Nearest(const Case& of) {
  if (!std::isfinite(of.value)) return of.value;
  const Neighbours sizes = NeighboursOf<T>(of.below);
  const double size = fabs(double{of.value});
  const bool up = size > sizes.Middle() || (size == sizes.Middle() && of.below % 2 == 1);
  return NumberOf<T>(up ? of.below + 1 : of.below);
}

// Every NaN of a type of 16 bits, and floats that become it, as bits: all stay but the one that makes it quiet.
template <class T>
void TestNans(const std::string& target) {
  const uint32_t quiet = 0x400000;
  const int infinity = T(INFINITY).bits, shift = TypeOf(T()) == NN_BF16 ? 16 : 13;
  std::vector<T> numbers;
  std::vector<uint32_t> floats;
  for (int bits = 0; bits < 1 << 16; ++bits) {
    if ((bits & 0x7FFF) <= infinity) continue;
    numbers.push_back(NumberOf<T>(static_cast<size_t>(bits)));
    const uint32_t fraction = static_cast<uint32_t>(bits & 0x7FFF & ~infinity) << shift;
    floats.push_back(static_cast<uint32_t>(bits & 0x8000) << 16 | 0x7F800000 | fraction);
  }
  const int64_t n = static_cast<int64_t>(numbers.size());
  std::vector<uint32_t> wide(numbers.size());
  std::vector<T> narrow(numbers.size());
  nn_convert(numbers.data(), TypeOf(T()), wide.data(), NN_F32, n, 1);
  nn_convert(floats.data(), NN_F32, narrow.data(), TypeOf(T()), n, 1);
  bool good = true;
  for (size_t i = 0; i < numbers.size(); ++i) {
    good &= wide[i] == (floats[i] | quiet);
    // SSE4's binary16 has one NaN of each sign.
    const bool is_one = target == "sse4" && TypeOf(T()) == NN_F16;
    good &= narrow[i].bits == (is_one ? (numbers[i].bits & 0x8000) | 0x7E00 : numbers[i].bits | quiet >> shift);
  }
  Check(good, "%s: NaNs of type %d", target.c_str(), TypeOf(T()));
  // Those that are cut off or rounded stay NaN, of the same sign.
  for (uint32_t& value : floats) value |= (1u << shift) - 1;
  nn_convert(floats.data(), NN_F32, narrow.data(), TypeOf(T()), n, 1);
  for (size_t i = 0; i < numbers.size(); ++i) {
    good &= (narrow[i].bits & 0x7FFF) > infinity && (narrow[i].bits & 0x8000) == (numbers[i].bits & 0x8000);
  }
  Check(good, "%s: longer NaNs to type %d", target.c_str(), TypeOf(T()));
}

// Every type to every other one: long arrays by several threads, with one element after the last chunk.
void TestConvert() {
  std::vector<std::vector<float>> numbers(nn::kStorageTypes);  // of each type
  std::vector<std::vector<char>> stored;
  const size_t n = (size_t{1} << 17) + 1;
  const auto store = [&](auto number) {
    using T = decltype(number);
    std::vector<char> bytes(n * sizeof(T));
    for (size_t i = 0; i < n; ++i) {
      const T element = T(Numbers(0)[i % 30000] * 100);
      memcpy(bytes.data() + i * sizeof(T), &element, sizeof(T));
      numbers[static_cast<size_t>(TypeOf(T()))].push_back(element);
    }
    stored.push_back(bytes);
  };
#define NN_EACH_STORAGE(T) store(nn::T());
  NN_STORAGES
#undef NN_EACH_STORAGE
  const auto check = [&](auto number) {
    using T = decltype(number);
    for (int type = 0; type < nn::kStorageTypes; ++type) {
      for (int threads : {1, 3}) {
        std::vector<T> found(n + 1);
        found[n] = T(7.0f);
        const size_t from = static_cast<size_t>(type);
        const int status =
            nn_convert(stored[from].data(), type, found.data(), TypeOf(T()), static_cast<int64_t>(n), threads);
        Check(status == NN_OK && IsRounded(found.data(), numbers[from]) && found[n] == T(7.0f),
              "from type %d to %d, %d threads", type, TypeOf(T()), threads);
      }
    }
  };
#define NN_EACH_STORAGE(T) check(nn::T());
  NN_STORAGES
#undef NN_EACH_STORAGE
  float one = 1, other = 2;
  Check(nn_convert(&one, NN_F32, &other, NN_S8, 1, 1) == NN_WRONG_OPERANDS && other == 2, "S8 was converted");
  Check(nn_convert(&one, -1, &other, NN_F32, 1, 1) == NN_WRONG_OPERANDS && other == 2, "type -1 was converted");
  Check(nn_convert(nullptr, NN_F32, &other, NN_F32, 1, 1) == NN_WRONG_OPERANDS, "null was converted");
  Check(nn_convert(&one, NN_F32, &other, NN_F32, -1, 1) == NN_OK && other == 2, "-1 elements");
}

}  // namespace

void groups::conversions() {
  ForStorages([](auto number) {
    using T = decltype(number);
    for (const Case& c : Cases<T>()) {
      Check(IsSame(T(c.value), Nearest<T>(c)), "type %d of %a", TypeOf(T()), double{c.value});
      Check(IsSame(T(double{c.value}), Nearest<T>(c)), "type %d of the double %a", TypeOf(T()), double{c.value});
    }
  });
  nn_set_workers(2);
  for (size_t bytes : {size_t{0}, size_t{1}}) {  // within the last-level cache, and beyond
    nn::SetLastLevelCacheBytes(bytes);
    for (int target = 0; target < nn_targets(); ++target) {
      nn_use_target(target);
      TestConvert();
      ForStorages([&](auto number) { TestNans<decltype(number)>(nn_target_name(target)); });
    }
  }
  nn::SetLastLevelCacheBytes(0);
  nn_set_workers(0);
}

namespace {

// What the kernels of a type write where their parameters alone make a result: the nearest number, be it in the first
// row, among rows that are written by several vectors at once, or in the last.
template <class T>
class Stores {
 public:
  explicit Stores(const nn::Target& target) : target_(target), table_(target.tables[TypeOf(T())]), cases_(Cases<T>()) {}

  void Test() const {
    for (size_t begin = 0; begin < cases_.size(); begin += kLength) {
      const size_t n = std::min(kLength, cases_.size() - begin);
      std::vector<float> values;
      for (size_t i = begin; i < begin + n; ++i) values.push_back(cases_[i].value);
      const bool good = Rows(begin, values) && RowGradients(begin, values) && Narrowed(begin, values);
      Check(good, "%s type %d: floats from %zu on", target_.name, TypeOf(T()), begin);
    }
    TestRuns();
    TestLoneMiddles();
    TestNumbers();
  }

 private:
  static constexpr size_t kLength = 4091, kRows = 9;

  bool IsRight(T y, size_t i) const { return IsSame(y, cases_[i].value == 0 ? 0 : Nearest<T>(cases_[i])); }

  // Every float as a bias: 0 * 0 + -0 is 0.
  bool Rows(size_t begin, const std::vector<float>& bias) const {
    const size_t n = bias.size();
    const std::vector<T> zeros(kRows * n);
    const std::vector<float> weight(n);
    bool good = true;
    for (size_t count : {size_t{1}, kRows}) {
      std::vector<T> y(kRows * n);
      const nn::RowsToNormalize rows = {true,          n,    n,           n,       1,       0,     count, kEps,
                                        weight.data(), -0.f, bias.data(), nullptr, nullptr, false, false, false};
      BodyOf(table_.row_normalize, nn::kCentered | nn::kWeight | nn::kBias)(zeros.data(), y.data(), rows);
      for (size_t i = 0; i < count * n; ++i) good &= IsRight(y[i], begin + i % n);
    }
    return good;
  }

  // Every finite float but 0 as a weight. Where a variance is NaN, so is all of its row.
  bool RowGradients(size_t begin, const std::vector<float>& values) const {
    const size_t n = values.size();
    std::vector<T> x(kRows * n);
    const std::vector<T> dy(kRows * n, T(1.0f));
    const std::vector<float> mean(kRows);
    std::vector<float> variance(kRows, 1);
    std::vector<T> dx(kRows * n);
    std::vector<float> weight = values, weight_gradient(n);
    bool finite = true, good = true;
    const nn::RowsToDifferentiate rows = {
        false,   n,     1,       0,    kRows, 0, weight.data(), mean.data(), variance.data(), weight_gradient.data(),
        nullptr, false, &finite, false};
    const auto differentiate = [&] {
      return BodyOf(table_.row_gradient, nn::kWeight | nn::kParameterSums)(x.data(), dy.data(), nullptr, dx.data(),
                                                                           rows) == kRows;
    };
    const auto is_used = [](float w) { return std::isfinite(w) && w != 0; };
    for (float& w : weight) w = is_used(w) ? w : 1;
    good &= differentiate();
    for (size_t i = 0; i < kRows * n; ++i) {
      good &= is_used(values[i % n]) ? IsRight(dx[i], begin + i % n) : IsSame(dx[i], 1);
    }
    std::fill(x.begin(), x.end(), T(1.0f));
    std::fill(weight.begin(), weight.end(), 1.0f);
    for (size_t i = 0; i < n; ++i) {
      if (!std::isnan(values[i])) continue;
      std::fill(variance.begin(), variance.end(), values[i]);
      good &= differentiate() && std::all_of(dx.begin(), dx.end(), [](T v) { return std::isnan(float{v}); });
    }
    return good;
  }

  // By itself, as only then a NaN may be a signaling one.
  bool Narrowed(size_t begin, const std::vector<float>& values) const {
    std::vector<T> y(values.size());
    BodyOf(table_.narrow)(values.data(), values.size(), y.data());
    bool good = true;
    for (size_t i = 0; i < y.size(); ++i) {
      good &= IsSame(y[i], std::isnan(values[i]) ? NAN : Nearest<T>(cases_[begin + i]));
    }
    return good;
  }

  // Every float as what runs have as a constant, and NaN as their other parameters.
  void TestRuns() const {
    constexpr size_t kRun = 53;
    const std::vector<T> x(kRun), dy(kRun);
    std::vector<T> y(kRun);
    bool good = true;
    for (size_t i = 0; i < cases_.size(); ++i) {
      const float v = cases_[i].value;
      const auto check = [&] {
        for (T result : y) good &= IsRight(result, i);
      };
      const auto normalize = [&](const nn::Affine& affine) {
        BodyOf(table_.normalize)(x.data(), y.data(), 1, kRun, 0, &affine, 0, 0);
        check();
      };
      const auto differentiate = [&](const nn::Gradient& gradient) {
        BodyOf(table_.gradient)(x.data(), dy.data(), nullptr, y.data(), 1, kRun, 0, &gradient, 0);
        check();
      };
      normalize({0, 0, v});
      differentiate({0, 0, 0, v, 0});
      if (!std::isnan(v)) continue;
      for (const nn::Affine& affine : {nn::Affine{v, 1, 0}, nn::Affine{0, v, 0}}) normalize(affine);
      for (size_t k = 0; k < 4; ++k) {
        const auto of = [&](size_t which) { return k == which ? v : 1; };
        differentiate({of(0), of(1), of(2), 1, of(3)});
      }
    }
    Check(good, "%s type %d: floats as constants of runs", target_.name, TypeOf(T()));
  }

  // One result that lies in the middle of two numbers, at each place of a run: it becomes the even one, 1.
  void TestLoneMiddles() const {
    constexpr size_t kRun = 53;
    const nn::Affine plus = {0, 1, (NumberOf<T>(T(1.0f).bits + 1) - 1) / 2};
    bool good = true;
    for (size_t place = 0; place < kRun; ++place) {
      std::vector<T> x(kRun, T(4.0f)), y(kRun);
      x[place] = T(1.0f);
      BodyOf(table_.normalize)(x.data(), y.data(), 1, kRun, 0, &plus, 0, 0);
      good &= std::equal(y.begin(), y.end(), x.begin(), [](T a, T b) { return a.bits == b.bits; });
    }
    Check(good, "%s type %d: one middle", target_.name, TypeOf(T()));
  }

  void TestNumbers() const {
    std::vector<T> all, y(kNumbers);
    for (size_t bits = 0; bits < kNumbers; ++bits) all.push_back(NumberOf<T>(bits));
    const nn::Affine same = {0, 1, -0.0f};
    BodyOf(table_.normalize)(all.data(), y.data(), 1, kNumbers, 0, &same, 0, 0);
    bool good = true;
    for (size_t i = 0; i < kNumbers; ++i) good &= IsSame(y[i], all[i]);
    Check(good, "%s type %d: numbers", target_.name, TypeOf(T()));
  }

  const nn::Target& target_;
  const Table& table_;
  const std::vector<Case> cases_;
};

}  // namespace

void TestStores(const nn::Target& target) {
  ForStorages([&](auto number) { Stores<decltype(number)>(target).Test(); });
}

}  // namespace nntest
