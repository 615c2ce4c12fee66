#include "answers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <iterator>

#include "check.h"
#include "nativenorm.h"
#include "run.h"

namespace nntest {
namespace {

const Shape kFixed[] = {{NN_BATCH, NN_CHANNELS_FIRST, 32, 64, 784, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_LAST, 32, 64, 784, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_FIRST, 16, 256, 196, 1, 1e-5, true},
                        {NN_BATCH, NN_CHANNELS_LAST, 16, 256, 196, 1, 1e-5, true},
                        {NN_BATCH, NN_CHANNELS_FIRST, 1, 64, 3136, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_LAST, 1, 64, 3136, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_FIRST, 256, 1024, 1, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_FIRST, 340, 1024, 1, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_FIRST, 8, 61, 221, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_LAST, 8, 61, 221, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_FIRST, 5, 1, 40001, 1, 1e-5, false},
                        {NN_BATCH, NN_CHANNELS_LAST, 3, 3, 60001, 1, 1e-5, false},
                        {NN_LAYER, NN_CHANNELS_FIRST, 512, 768, 1, 1, 1e-5, false},
                        {NN_LAYER, NN_CHANNELS_FIRST, 128, 768, 1, 1, 1e-12, false},
                        {NN_LAYER, NN_CHANNELS_FIRST, 1, 4096, 1, 1, 1e-5, false},
                        {NN_LAYER, NN_CHANNELS_FIRST, 127, 769, 1, 1, 1e-5, false},
                        {NN_LAYER, NN_CHANNELS_FIRST, 4096, 64, 1, 1, 1e-5, true},
                        {NN_LAYER, NN_CHANNELS_FIRST, 2500, 40, 1, 1, 1e-5, false},
                        {NN_LAYER, NN_CHANNELS_FIRST, 2, 70001, 1, 1, 1e-5, false},
                        {NN_RMS, NN_CHANNELS_FIRST, 1, 4096, 1, 1, 1e-6, false},
                        {NN_RMS, NN_CHANNELS_FIRST, 128, 4096, 1, 1, 1e-6, false},
                        {NN_GROUP, NN_CHANNELS_FIRST, 2, 320, 1024, 32, 1e-6, false},
                        {NN_GROUP, NN_CHANNELS_LAST, 2, 320, 1024, 32, 1e-6, false},
                        {NN_GROUP, NN_CHANNELS_FIRST, 2, 1280, 256, 32, 1e-6, false},
                        {NN_GROUP, NN_CHANNELS_LAST, 2, 1280, 256, 32, 1e-6, true},
                        {NN_GROUP, NN_CHANNELS_FIRST, 3, 30, 35, 3, 1e-5, false},
                        {NN_GROUP, NN_CHANNELS_LAST, 3, 30, 35, 3, 1e-5, false},
                        {NN_GROUP, NN_CHANNELS_FIRST, 4, 16, 16384, 16, 1e-5, false},
                        {NN_GROUP, NN_CHANNELS_LAST, 4, 16, 16384, 16, 1e-5, false},
                        {NN_GROUP, NN_CHANNELS_FIRST, 1, 3, 200001, 1, 1e-5, false},
                        {NN_GROUP, NN_CHANNELS_LAST, 1, 3, 200001, 1, 1e-5, false},
                        {NN_GROUP, NN_CHANNELS_FIRST, 9, 512, 1, 8, 1e-5, false}};

size_t Pick(Random& random, size_t n) { return random.Bits() % n; }

template <size_t kCount>
size_t PickOf(Random& random, const size_t (&values)[kCount]) {
  return values[Pick(random, kCount)];
}

// Up to that many elements, around the sizes of accumulators, blocks, pieces and folds.
Shape RandomShape(Random& random) {
  const size_t most = Pick(random, 32) == 0 ? 600000 : Pick(random, 8) == 0 ? 70000 : 4000;
  constexpr size_t kLengths[] = {1,   2,   3,   5,   7,   8,   15,  16,  17,   31,   32,   33,   49,    63,
                                 64,  65,  100, 127, 196, 255, 256, 257, 480,  481,  511,  512,  513,   768,
                                 769, 993, 997, 1024, 1025, 1500, 2047, 4096, 16383, 16385, 33001};
  constexpr size_t kChannels[] = {1,  2,  3,  4,  5,  6,  7,  8,  10, 12, 15,  16,  17,  20,  24,  30,
                                  31, 32, 33, 40, 48, 61, 63, 64, 65, 96, 100, 128, 130, 320, 1024, 1030};
  constexpr double kEps[] = {1e-5, 1e-3, 1e-12, 1e-25};
  Shape shape = {};
  shape.operation = static_cast<int>(Pick(random, 4));
  shape.layout = Pick(random, 2) == 0 ? NN_CHANNELS_FIRST : NN_CHANNELS_LAST;
  shape.eps = kEps[Pick(random, 4)];
  shape.relu = Pick(random, 4) == 0;
  shape.groups = 1;
  shape.spatial = 1;
  if (shape.operation == NN_LAYER || shape.operation == NN_RMS) {
    shape.layout = NN_CHANNELS_FIRST;
    shape.channels = std::min(PickOf(random, kLengths), most);
    shape.batch = 1 + Pick(random, std::min<size_t>(most / shape.channels, 700));
    return shape;
  }
  shape.channels = PickOf(random, kChannels);
  if (shape.operation == NN_GROUP) {
    for (shape.groups = 1 + Pick(random, shape.channels); shape.channels % shape.groups != 0;) --shape.groups;
  }
  shape.spatial = std::min(PickOf(random, kLengths), std::max<size_t>(most / shape.channels, 1));
  const size_t sample = shape.channels * shape.spatial;
  shape.batch = 1 + Pick(random, std::min<size_t>(std::max<size_t>(most / sample, 1), 600));
  return shape;
}

// Nearly normal, of mean 0 and deviation 1: the sum of four uniform numbers.
double Bell(Random& random) {
  const uint64_t bits = random.Bits();
  const uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
  return static_cast<double>(static_cast<int64_t>(sum) - 131070) * (1.0 / 37837);
}

struct Kind {
  const char* name;
  double mean;
  double deviation;
};
constexpr Kind kKinds[] = {{"usual", 0.3, 1},  {"usual", 0.3, 1}, {"mean 4", 4, 1},         {"mean 100", 100, 1},
                           {"mean 1e4", 1e4, 1}, {"constant", 3.3, 0}, {"tiny", 0, 1e-20},     {"large", 0, 1e20},
                           {"huge", 1e30, 1e25}, {"outliers", 0.3, 1}, {"half zeros", 0, 1},   {"zeros", 0, 0},
                           {"not finite", 0.3, 1}, {"one a unit", 2, 1e-7}};

std::vector<float> Values(Random& random, const Kind& kind, size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(kind.mean + kind.deviation * Bell(random));
  const std::string name = kind.name;
  if (name == "outliers") {
    for (size_t i = 0; i < count; i += 1 + Pick(random, 300)) values[i] *= 1e6f;
  } else if (name == "half zeros") {
    for (float& value : values) value = value > 0 ? value : 0;
  } else if (name == "not finite") {
    const float other[] = {NAN, INFINITY, -INFINITY};
    const size_t at = Pick(random, count);
    values[at] = other[Pick(random, 3)];
  }
  return values;
}

template <class Bits, class T>
uint64_t HashOf(const std::vector<T>& values, uint64_t hash) {
  static_assert(sizeof(Bits) == sizeof(T));
  for (T value : values) {
    const T one = isnan(value) ? static_cast<T>(NAN) : value;
    Bits bits;
    memcpy(&bits, &one, sizeof bits);
    hash = (hash ^ bits) * 0x100000001b3;
  }
  return hash;
}

template <class T>
bool Same(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  if (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0) return true;
  return std::equal(a.begin(), a.end(), b.begin(), [](const T& one, const T& other) {
    return memcmp(&one, &other, sizeof one) == 0 || (isnan(one) && isnan(other));
  });
}

constexpr uint64_t kHashOfNothing = 0xcbf29ce484222325;

// Results whose rows may begin where non-temporal stores can be used.
class AlignedFloats {
 public:
  explicit AlignedFloats(std::vector<float>* values) : values_(*values), room_(values->size() + kFloats) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(room_.data());
    begin_ = room_.data() + (kBytes - address % kBytes) % kBytes / sizeof(float);
  }
  ~AlignedFloats() { std::copy_n(begin_, values_.size(), values_.begin()); }
  AlignedFloats(const AlignedFloats&) = delete;
  AlignedFloats& operator=(const AlignedFloats&) = delete;

  float* Begin() const { return begin_; }

 private:
  static constexpr size_t kBytes = 64, kFloats = kBytes / sizeof(float);
  std::vector<float>& values_;
  std::vector<float> room_;
  float* begin_;
};

// The phases of batch normalization over one worker's whole batch.
bool RunPhases(const Question& q, int threads, const float* y, std::vector<double>* phases) {
  const size_t channels = q.shape.channels, elements = q.shape.Elements();
  const double n = static_cast<double>(q.shape.Values());
  const auto plan = [&](int task) { return Prepare(q.shape, task, false, threads); };
  const float* weight = q.weighted ? q.weight.data() : nullptr;
  std::vector<double> mean(channels), m2(channels), variance(channels), dy(channels), product(channels);
  std::vector<float> results(elements);
  if (Measure(plan(NN_MEASURE), q.x.data(), mean.data(), m2.data()) != NN_OK ||
      SumGradients(plan(NN_SUM_GRADIENTS), q.x.data(), y, q.dy.data(), mean.data(), dy.data(), product.data()) !=
          NN_OK) {
    return false;
  }
  for (size_t c = 0; c < channels; ++c) variance[c] = m2[c] / n;
  for (const auto* part : {&mean, &m2, &dy, &product}) phases->insert(phases->end(), part->begin(), part->end());
  {
    const AlignedFloats to(&results);
    if (Apply(plan(NN_APPLY), q.x.data(), to.Begin(), weight, q.biased ? q.bias.data() : nullptr, mean.data(),
              variance.data()) != NN_OK) {
      return false;
    }
  }
  phases->insert(phases->end(), results.begin(), results.end());
  {
    const AlignedFloats to(&results);
    if (ApplyGradients(plan(NN_APPLY_GRADIENTS), q.x.data(), y, weight, mean.data(), variance.data(), q.dy.data(),
                       dy.data(), product.data(), n, to.Begin()) != NN_OK) {
      return false;
    }
  }
  phases->insert(phases->end(), results.begin(), results.end());
  return true;
}

int Run(const Question& q, int threads, Answer* a) {
  const bool rms = q.shape.operation == NN_RMS;
  const Plan forward = Prepare(q.shape, q.given ? NN_INFER : NN_TRAIN, q.given, threads);
  const Plan backward = Prepare(q.shape, NN_BACKWARD, q.given, threads);
  const float* weight = q.weighted ? q.weight.data() : nullptr;
  const AlignedFloats to(&a->y), dx(&a->dx);
  const int status = Forward(forward, q.x.data(), to.Begin(), weight, q.biased ? q.bias.data() : nullptr,
                             rms ? nullptr : a->mean.data(), a->variance.data());
  if (status != NN_OK) return status;
  const float* y = q.shape.relu ? to.Begin() : nullptr;
  if (q.shape.operation == NN_BATCH && !q.given && !RunPhases(q, threads, y, &a->phases)) return NN_OUT_OF_MEMORY;
  return Backward(backward, q.x.data(), y, weight, rms ? nullptr : a->mean.data(), a->variance.data(), q.dy.data(),
                  dx.Begin(), q.weighted ? a->dweight.data() : nullptr, q.biased ? a->dbias.data() : nullptr);
}

Answer Room(const Question& q) {
  Answer a;
  a.y.resize(q.shape.Elements());
  a.dx.resize(q.shape.Elements());
  a.mean = q.given ? q.mean : std::vector<float>(q.shape.operation == NN_RMS ? 0 : q.shape.Units());
  a.variance = q.given ? q.variance : std::vector<float>(q.shape.Units());
  if (q.weighted) a.dweight.resize(q.shape.channels);
  if (q.biased) a.dbias.resize(q.shape.channels);
  return a;
}

}  // namespace

Question::Question(size_t number) {
  Random random(number);
  const bool fixed = number < std::size(kFixed);
  shape = fixed ? kFixed[number] : RandomShape(random);
  given = !fixed && shape.operation == NN_BATCH && Pick(random, 4) == 0;
  weighted = fixed || Pick(random, 4) != 0;
  biased = fixed || Pick(random, 4) != 0;
  const Kind& kind = kKinds[fixed ? number % 5 : Pick(random, std::size(kKinds))];
  const Kind& gradients = kKinds[fixed || Pick(random, 2) == 0 ? 0 : Pick(random, std::size(kKinds))];
  values = std::string(kind.name) + ", gradients " + gradients.name;
  x = Values(random, kind, shape.Elements());
  dy = Values(random, gradients, shape.Elements());
  weight = Values(random, {"", 1, 0.5}, shape.channels);
  bias = Values(random, {"", 0, 1}, shape.channels);
  if (!given) return;
  mean = Values(random, {"", kind.mean, 0.5}, shape.channels);
  variance = Values(random, {"", 0, 1}, shape.channels);
  for (float& value : variance) value = fabsf(value);
}

std::string Question::Text() const {
  return shape.Name() + (weighted ? " weight" : "") + (biased ? " bias" : "") + (given ? " given" : "") + " " + values;
}

uint64_t Answer::Hash() const {
  uint64_t hash = kHashOfNothing;
  for (const auto* part : {&y, &mean, &variance, &dx, &dweight, &dbias}) hash = HashOf<uint32_t>(*part, hash);
  return hash;
}

uint64_t Answer::HashOfPhases() const { return HashOf<uint64_t>(phases, kHashOfNothing); }

bool Answer::IsSame(const Answer& other) const {
  return Same(y, other.y) && Same(mean, other.mean) && Same(variance, other.variance) && Same(dx, other.dx) &&
         Same(dweight, other.dweight) && Same(dbias, other.dbias) && Same(phases, other.phases);
}

Answer Ask(const Question& question, int threads) {
  Answer answer = Room(question);
  Check(Run(question, threads, &answer) == NN_OK, "%s: no memory", question.Text().c_str());
  return answer;
}

bool AskAlone(const Question& question, Answer* answer) {
  if (question.shape.operation == NN_BATCH) return false;
  *answer = Room(question);
  const size_t sample = question.shape.channels * question.shape.spatial;
  const size_t units = question.shape.Units() / question.shape.batch;
  Question one = question;
  one.shape.batch = 1;
  for (size_t n = 0; n < question.shape.batch; ++n) {
    const auto part = [&](const std::vector<float>& all, size_t length) {
      return std::vector<float>(all.begin() + static_cast<std::ptrdiff_t>(n * length),
                                all.begin() + static_cast<std::ptrdiff_t>((n + 1) * length));
    };
    one.x = part(question.x, sample);
    one.dy = part(question.dy, sample);
    const Answer of_one = Ask(one, 1);
    std::copy(of_one.y.begin(), of_one.y.end(), answer->y.begin() + static_cast<std::ptrdiff_t>(n * sample));
    std::copy(of_one.dx.begin(), of_one.dx.end(), answer->dx.begin() + static_cast<std::ptrdiff_t>(n * sample));
    std::copy(of_one.mean.begin(), of_one.mean.end(), answer->mean.begin() + static_cast<std::ptrdiff_t>(n * units));
    std::copy(of_one.variance.begin(), of_one.variance.end(),
              answer->variance.begin() + static_cast<std::ptrdiff_t>(n * units));
  }
  return true;
}

Hashes HashesOf(const Answer& answer) { return {answer.Hash(), answer.HashOfPhases()}; }

void PrintAnswers(const char* target) {
  for (int i = 0; i < nn_targets(); ++i) {
    if (strcmp(nn_target_name(i), target) == 0) nn_use_target(i);
  }
  for (size_t i = 0; i < kAnswers; ++i) {
    const Hashes hashes = HashesOf(Ask(Question(i), 1));
    printf("%016llx %016llx\n", hashes.answer, hashes.phases);
  }
}

}  // namespace nntest
