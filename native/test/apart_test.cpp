// Rows that do not follow each other, a part of the rows, and weights with an offset: bit by bit what the same rows
// give where they lie close together, all at once, with the sums as weights. What is between rows is not touched.
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "guarded_memory.h"
#include "kernels/kernels.h"
#include "nativenorm.h"
#include "platform/system.h"

namespace nntest {
namespace {

// Where an operand's rows lie; the next ones begin so many elements after those together.
struct Places {
  size_t rows;
  size_t length;
  size_t together;
  size_t stride;

  size_t operator[](size_t row) const { return row / together * stride + row % together * length; }
  size_t Elements() const { return (*this)[rows - 1] + length; }
};

// Memory of rows that lie apart, from or beside others' in the same memory.
template <class T>
struct Apart {
  GuardedMemory memory;
  Places places;
  T* at;

  Apart(const Places& places, Side side)
      : memory(places.Elements() * sizeof(T)), places(places), at(memory.Place<T>(places.Elements(), side, 0)) {}

  void Spread(const std::vector<T>& close) {
    for (size_t row = 0; row < places.rows; ++row) {
      std::copy_n(close.data() + row * places.length, places.length, at + places[row]);
    }
  }
  // Whether these are the rows, and nothing else was written.
  bool Are(const std::vector<T>& close) const {
    bool good = memory.IsIntact();
    size_t end = 0;
    for (size_t row = 0; row < places.rows; ++row) {
      const size_t begin = places[row];
      for (; end < begin; ++end) good &= GuardedMemory::IsUntouched(at[end]);
      good &= memcmp(at + begin, close.data() + row * places.length, places.length * sizeof(T)) == 0;
      end = begin + places.length;
    }
    return good;
  }
};

struct Case {
  int operation;
  size_t rows, length, together;
  size_t gaps[4];  // of src, dst, diff_dst, diff_src
  bool relu, weighted, biased, in_place;
  double eps, offset;
  int threads;
  bool overflows;  // what is added up over rows, though not the sums of a row: weights are small

  std::string Text(int target, int task) const {
    char text[300];
    snprintf(
        text, sizeof text,
        "%s task %d operation %d, %zu rows of %zu, %zu together, gaps %zu %zu %zu %zu, relu %d weight %d bias %d in "
        "place %d eps %g offset %g threads %d",
        nn_target_name(target), task, operation, rows, length, together, gaps[0], gaps[1], gaps[2], gaps[3], relu,
        weighted, biased, in_place, eps, offset, threads);
    return text;
  }
  Places Of(size_t operand) const { return {rows, length, together, together * length + gaps[operand]}; }
};

nn_problem ProblemOf(const Case& c, int task, int type) {
  const Shape shape = {c.operation, NN_CHANNELS_LAST, c.rows, c.length, 1, 1, c.eps, c.relu};
  nn_problem problem = nntest::ProblemOf(shape, task, false, c.threads);
  problem.src_type = problem.dst_type = type;
  problem.affine = (c.weighted ? NN_WEIGHT : 0) + (c.biased ? NN_BIAS : 0);
  return problem;
}

nn_problem ApartOf(const Case& c, int task, int type) {
  nn_problem problem = ProblemOf(c, task, type);
  problem.unit_offset = c.offset;
  problem.rows_together = static_cast<int64_t>(c.together);
  problem.src_stride = static_cast<int64_t>(c.Of(0).stride);
  problem.dst_stride = static_cast<int64_t>(c.Of(1).stride);
  if (task != NN_BACKWARD) return problem;
  problem.diff_dst_stride = static_cast<int64_t>(c.Of(2).stride);
  problem.diff_src_stride = static_cast<int64_t>(c.Of(3).stride);
  return problem;
}

// Normal values; some rows are constant, some so large or so small that they are outside of what floats can do.
template <class T>
std::vector<T> Values(Random& random, const Case& c, bool gradient) {
  std::vector<T> values(c.rows * c.length);
  for (size_t row = 0; row < c.rows; ++row) {
    const uint64_t kind = gradient ? 9 : random.Bits() % 12;
    const double factor = kind == 1 ? 1e25 : kind == 2 ? 1e-30 : 1;
    for (size_t i = 0; i < c.length; ++i) {
      const double number = gradient && c.overflows ? 1e38 * (1 + random.Uniform()) : random.Normal() * factor;
      const float value = kind == 0 ? 0.5f : static_cast<float>(number);
      if constexpr (sizeof(T) == sizeof(float)) {
        values[row * c.length + i] = value;
      } else {
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        values[row * c.length + i] = static_cast<T>(bits >> 16);
      }
    }
  }
  return values;
}

bool AreSame(const std::vector<float>& a, const std::vector<float>& b) {
  return memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class T>
class Runs {
 public:
  Runs(const Case& c, int type, int target, Random& random)
      : c_(c),
        type_(type),
        target_(target),
        x_(Values<T>(random, c, false)),
        dy_(Values<T>(random, c, true)),
        weight_(random.Normals(c.length, 1, 0.5)),
        bias_(random.Normals(c.length, 0, 1)),
        sums_(weight_),
        y_(x_.size()),
        mean_(c.rows),
        variance_(c.rows) {
    for (float& w : weight_) w *= c.overflows ? 1e-20f : 1;
    for (size_t j = 0; j < c.length; ++j) sums_[j] = weight_[j] + static_cast<float>(c.offset);
  }

  void Infer(Random& random) {
    for (int task : {NN_INFER, NN_TRAIN}) {
      const bool rms = c_.operation == NN_RMS;
      const Prepared close(ProblemOf(c_, task, type_)), apart(ApartOf(c_, task, type_));
      if (!Check(apart.plan != nullptr, "%s: %s", Text(task).c_str(), apart.reason.c_str())) return;
      nn_operands operands = ForwardOperands(nullptr, nullptr, sums_.data(), bias_.data(),
                                             task == NN_TRAIN && !rms ? mean_.data() : nullptr,
                                             task == NN_TRAIN ? variance_.data() : nullptr);
      operands.src = x_.data();
      operands.dst = y_.data();
      nn_execute(close.plan.get(), &operands);
      for (const bool in_parts : {false, true}) {
        const Side side = kSides[random.Bits() % 2];
        Apart<T> src(c_.Of(c_.in_place ? 1 : 0), side), dst(c_.Of(1), side);
        src.Spread(x_);
        std::vector<float> mean(c_.rows), variance(c_.rows);
        operands.src = src.at;
        operands.dst = c_.in_place ? src.at : dst.at;
        operands.weight = weight_.data();
        if (task == NN_TRAIN) {
          if (!rms) operands.mean = mean.data();
          operands.variance = variance.data();
        }
        const Prepared in_place(InPlace(task));
        const nn_plan* plan = c_.in_place ? in_place.plan.get() : apart.plan.get();
        int status = NN_OK;
        for (size_t row = 0, rows; row < c_.rows; row += rows) {
          rows = in_parts ? std::min(c_.rows - row, size_t{1 + random.Bits() % c_.rows}) : c_.rows;
          operands.first_unit = in_parts ? static_cast<int64_t>(row) : 0;
          operands.units = in_parts ? static_cast<int64_t>(rows) : 0;
          status |= nn_execute(plan, &operands);
        }
        Check(status == NN_OK && (c_.in_place ? src.Are(y_) : dst.Are(y_) && src.Are(x_)), "%s parts %d: y",
              Text(task).c_str(), in_parts);
        Check(task == NN_INFER || ((rms || AreSame(mean, mean_)) && AreSame(variance, variance_)),
              "%s parts %d: statistics", Text(task).c_str(), in_parts);
      }
    }
  }

  // After Infer.
  void Differentiate(Random& random) {
    const Prepared close(ProblemOf(c_, NN_BACKWARD, type_)), apart(ApartOf(c_, NN_BACKWARD, type_));
    if (!Check(apart.plan != nullptr, "%s: %s", Text(NN_BACKWARD).c_str(), apart.reason.c_str())) return;
    nn_operands operands = ForwardOperands(nullptr, nullptr, sums_.data(), nullptr, mean_.data(), variance_.data());
    std::vector<T> dx(x_.size());
    std::vector<float> sums[2][2];
    for (auto& pair : sums) pair[0] = pair[1] = std::vector<float>(c_.length);
    const uint64_t wanted = random.Bits() % 4;
    const auto want = [&](std::vector<float>* pair) {
      operands.diff_weight = wanted & 1 ? pair[0].data() : nullptr;
      operands.diff_bias = wanted & 2 ? pair[1].data() : nullptr;
    };
    want(sums[0]);
    operands.src = x_.data();
    operands.dst = y_.data();
    // In place a piece whose sums overflow is not summed up again: the same on both sides.
    if (c_.in_place) dx = dy_;
    operands.diff_dst = c_.in_place ? dx.data() : dy_.data();
    operands.diff_src = dx.data();
    nn_execute(close.plan.get(), &operands);
    const Side side = kSides[random.Bits() % 2];
    Apart<T> src(c_.Of(0), side), dst(c_.Of(1), side), diff_dst(c_.Of(c_.in_place ? 3 : 2), side),
        diff_src(c_.Of(3), side);
    src.Spread(x_);
    dst.Spread(y_);
    diff_dst.Spread(dy_);
    operands.src = src.at;
    operands.dst = dst.at;
    operands.weight = weight_.data();
    operands.diff_dst = diff_dst.at;
    operands.diff_src = c_.in_place ? diff_dst.at : diff_src.at;
    want(sums[1]);
    const Prepared in_place(InPlace(NN_BACKWARD));
    const int status = nn_execute(c_.in_place ? in_place.plan.get() : apart.plan.get(), &operands);
    Check(status == NN_OK && (c_.in_place ? diff_dst.Are(dx) : diff_src.Are(dx) && diff_dst.Are(dy_)) && src.Are(x_) &&
              dst.Are(y_),
          "%s: dx", Text(NN_BACKWARD).c_str());
    Check(AreSame(sums[0][0], sums[1][0]) && AreSame(sums[0][1], sums[1][1]), "%s: sums %d", Text(NN_BACKWARD).c_str(),
          static_cast<int>(wanted));
  }

 private:
  std::string Text(int task) const { return c_.Text(target_, task) + " type " + std::to_string(type_); }

  // The result's rows lie where those do that it overwrites.
  nn_problem InPlace(int task) const {
    nn_problem problem = ApartOf(c_, task, type_);
    if (task == NN_BACKWARD) {
      problem.diff_dst_stride = problem.diff_src_stride;
    } else {
      problem.src_stride = problem.dst_stride;
    }
    return problem;
  }

  const Case& c_;
  int type_, target_;
  std::vector<T> x_, dy_;
  std::vector<float> weight_, bias_, sums_;
  std::vector<T> y_;
  std::vector<float> mean_, variance_;
};

void Run(const Case& c, int target, Random& random) {
  nn_use_target(target);
  Runs<float> floats(c, NN_F32, target, random);
  floats.Infer(random);
  floats.Differentiate(random);
  if (nn::kStorageTypes == 1) return;  // instrumented there are fewer
  Runs<uint16_t> halves(c, NN_BF16, target, random);
  halves.Infer(random);
  halves.Differentiate(random);
}

Case Next(Random& random) {
  Case c = {};
  c.operation = random.Bits() % 2 == 0 ? NN_LAYER : NN_RMS;
  const size_t lengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 64, 65, 128, 130, 513};
  c.length = lengths[random.Bits() % 13];
  c.rows = 1 + random.Bits() % 40;
  c.together = random.Bits() % 3 == 0 ? 1 : 1 + random.Bits() % c.rows;
  for (size_t& gap : c.gaps) gap = random.Bits() % 3 == 0 ? 0 : random.Bits() % 70;
  c.relu = random.Bits() % 2 == 0;
  c.weighted = random.Bits() % 4 != 0;
  c.biased = random.Bits() % 2 == 0;
  c.in_place = random.Bits() % 3 == 0;
  const double eps[] = {1e-5, 1e-5, 1e-5, 1e-30, 0};
  c.eps = eps[random.Bits() % 5];
  const double offsets[] = {0, 1, -0.5, 1.0 / 3};
  c.offset = c.weighted ? offsets[random.Bits() % 4] : 0;
  c.overflows = c.weighted && random.Bits() % 3 == 0;
  if (c.overflows) c.offset = random.Bits() % 2 == 0 ? 0 : 1e-20;
  c.threads = 1 + static_cast<int>(random.Bits() % 3);
  return c;
}

// Heads of queries and keys inside packed rows, in one call each: in place, and from one to the place of the other.
void TestPacked(int target) {
  nn_use_target(target);
  const size_t tokens = 5, heads = 3, length = 64, packed = 4 * heads * length + 7;
  Random random(99);
  const std::vector<float> before = random.Normals(tokens * packed, 0, 1);
  for (size_t to : {size_t{0}, heads * length, 2 * heads * length + 7}) {
    const Case c = {NN_RMS,
                    tokens * heads,
                    length,
                    heads,
                    {packed - heads * length, packed - heads * length, 0, 0},
                    false,
                    true,
                    false,
                    false,
                    1e-6,
                    1,
                    1,
                    false};
    const Prepared apart(ApartOf(c, NN_INFER, NN_F32));
    Case close = c;
    close.rows = heads;
    const Prepared one(ProblemOf(close, NN_INFER, NN_F32));
    std::vector<float> found = before, expected = before, weight = random.Normals(length, 0, 0.1), sums = weight;
    for (float& w : sums) w += 1;
    nn_operands operands = ForwardOperands(found.data(), found.data() + to, weight.data(), nullptr, nullptr, nullptr);
    Check(nn_execute(apart.plan.get(), &operands) == NN_OK, "packed rows");
    for (size_t token = 0; token < tokens; ++token) {
      const float* from = before.data() + token * packed;
      operands = ForwardOperands(from, expected.data() + token * packed + to, sums.data(), nullptr, nullptr, nullptr);
      nn_execute(one.plan.get(), &operands);
    }
    Check(AreSame(found, expected), "%s packed rows to %zu", nn_target_name(target), to);
  }
}

void TestWrongParts() {
  const Case c = {NN_RMS, 6, 16, 6, {0, 0, 0, 0}, false, true, false, false, 1e-5, 0, 1, false};
  std::vector<float> x(96, 1), y(96), weight(16, 1);
  const Prepared rows(ProblemOf(c, NN_INFER, NN_F32));
  const Plan channels = Prepare({NN_BATCH, NN_CHANNELS_LAST, 6, 16, 1, 1, 1e-5, false}, NN_INFER, false, 1);
  const Plan apart = Prepare({NN_BATCH, NN_CHANNELS_FIRST, 2, 16, 3, 1, 1e-5, false}, NN_TRAIN, false, 1);
  const Plan groups = Prepare({NN_GROUP, NN_CHANNELS_FIRST, 2, 16, 3, 8, 1e-5, false}, NN_TRAIN, false, 1);
  nn_problem two = ProblemOf(c, NN_INFER, NN_F32);
  two.dst_type = NN_BF16;
  const Prepared converted(two);
  const struct {
    const nn_plan* plan;
    int64_t first, rows;
    bool right;
  } parts[] = {{rows.plan.get(), 0, 6, true},
               {rows.plan.get(), 5, 1, true},
               {rows.plan.get(), -1, 1, false},
               {rows.plan.get(), 0, 7, false},
               {rows.plan.get(), 5, 2, false},
               {rows.plan.get(), 6, 1, false},
               {rows.plan.get(), 1, 0, false},
               {rows.plan.get(), 2, -1, false},
               {rows.plan.get(), 1, INT64_MAX, false},
               {rows.plan.get(), INT64_MAX, 1, false},
               {channels.get(), 0, 1, false},
               {converted.plan.get(), 0, 1, false},
               {apart.get(), 0, 16, true},
               {apart.get(), 15, 1, true},
               {apart.get(), 15, 2, false},
               {apart.get(), 16, 1, false},
               {apart.get(), 1, 0, false},
               {groups.get(), 0, 1, false}};
  for (const auto& part : parts) {
    if (part.plan == nullptr) continue;  // instrumented there are fewer types
    std::fill(y.begin(), y.end(), 7.0f);
    nn_operands operands = ForwardOperands(x.data(), y.data(), weight.data(), nullptr, nullptr, nullptr);
    operands.first_unit = part.first;
    operands.units = part.rows;
    const int status = nn_execute(part.plan, &operands);
    const bool written = std::any_of(y.begin(), y.end(), [](float v) { return v != 7; });
    Check(status == (part.right ? NN_OK : NN_WRONG_OPERANDS) && written == part.right, "%s rows %lld from %lld: %d",
          nn_name(part.plan), static_cast<long long>(part.rows), static_cast<long long>(part.first), status);
  }
}

}  // namespace

void groups::apart() {
  nn_set_workers(3);
  Random random(SeedOr(20261127));
  for (int target = 0; target < nn_targets(); ++target) {
    TestPacked(target);
    for (int i = 0; i < 400; ++i) Run(Next(random), target, random);
    // As many as threads are worth, of which a part may begin within rows that are together; and for prefetches.
    for (const size_t cache_bytes : {size_t{0}, size_t{1} << 18}) {
      nn::SetLastLevelCacheBytes(cache_bytes);
      for (const bool in_place : {false, true}) {
        Run({NN_RMS, 1021, 128, 16, {256, 0, 7, 1}, false, true, false, in_place, 1e-6, 1, 3, false}, target, random);
        Run({NN_LAYER, 300, 512, 1, {3, 512, 0, 64}, true, true, true, in_place, 1e-5, -0.25, 3, false}, target,
            random);
      }
    }
    nn::SetLastLevelCacheBytes(0);
  }
  TestWrongParts();
  nn_set_workers(0);
}

}  // namespace nntest
