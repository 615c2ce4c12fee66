// A problem with data for it, and its results compared with the oracle.
#ifndef NATIVENORM_RUN_H_
#define NATIVENORM_RUN_H_

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "calls.h"
#include "nativenorm.h"
#include "oracle.h"

namespace nntest {

struct Problem {
  Shape shape;
  uint64_t seed;
  bool weighted;
  bool biased;
  bool given;
  std::string values;  // what they are
  std::vector<float> x, dy, weight, bias;

  // Normal values.
  Problem(const Shape& shape, uint64_t seed, double mean = 0, double deviation = 1);

  const float* Weight() const { return weighted ? weight.data() : nullptr; }
  const float* Bias() const { return biased ? bias.data() : nullptr; }
  std::string Text() const;
};

// What should come out. Given statistics are near those of the data.
struct Truth {
  Statistics statistics;
  std::vector<float> mean, variance;  // in floats, as they are handed over
  std::vector<double> y;
  std::vector<float> output;  // y in floats
  Gradients gradients;

  explicit Truth(const Problem& problem);
  Truth(const Problem& problem, const Statistics& given);
};

struct Tolerances {
  double y = 3e-6;         // of 1 + |y|
  double gradient = 1e-6;  // of the norm, or of the sum of absolute values
};

// Runs a problem in all directions, on an instruction set, and checks what comes out and that nothing else is written.
// `turn` chooses where the arrays lie, which optional ones there are, and whether results overwrite inputs. `kind`
// names the errors that are noted.
void CheckForward(const Problem& problem, const Truth& truth, int target, int threads, size_t turn,
                  const Tolerances& tolerances, const std::string& kind);
void CheckBackward(const Problem& problem, const Truth& truth, int target, int threads, size_t turn,
                   const Tolerances& tolerances, const std::string& kind);

// Both, on all instruction sets.
void CheckProblem(const Problem& problem, const std::vector<int>& threads, const Tolerances& tolerances,
                  const std::string& kind);

}  // namespace nntest

#endif  // NATIVENORM_RUN_H_
