// Problems for which every instruction set, every number of threads and pure Java give the same bits, and a hash of
// what they give. The Java tests make the same ones, so there is nothing here but whole numbers and single operations
// on doubles: a library's logarithm may be another one.
#ifndef NATIVENORM_ANSWERS_H_
#define NATIVENORM_ANSWERS_H_

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "oracle.h"

namespace nntest {

// The fixed ones first: what programs have, and cells that are hard on the order of sums.
constexpr size_t kAnswers = 5120;

struct Question {
  Shape shape;
  bool given;
  bool weighted;
  bool biased;
  std::string values;  // what kind of numbers
  std::vector<float> x, dy, weight, bias, mean, variance;

  explicit Question(size_t number);
  std::string Text() const;
};

// What comes out of it, forward (training, or inference from given statistics) and backward; gradients of what there
// is.
struct Answer {
  std::vector<float> y, mean, variance, dx, dweight, dbias;
  // What the phases of batch normalization give: moments and sums, of which another order hardly ever shows in floats,
  // y and dx.
  std::vector<double> phases;

  // FNV-1a over the bits of all numbers, with one NaN for all.
  uint64_t Hash() const;
  uint64_t HashOfPhases() const;

  // Whether all bits are the same, with one NaN for all. Hashes, which files have, took a fifth of the test's time.
  bool IsSame(const Answer& other) const;
};

Answer Ask(const Question& question, int threads);

// Of an answer, as the files have them.
struct Hashes {
  unsigned long long answer;
  unsigned long long phases;

  bool operator==(const Hashes& other) const { return answer == other.answer && phases == other.phases; }
};
Hashes HashesOf(const Answer& answer);

// Of each sample, or row, by itself: y, statistics and dx. False for what is normalized over the batch.
bool AskAlone(const Question& question, Answer* answer);

}  // namespace nntest

#endif  // NATIVENORM_ANSWERS_H_
