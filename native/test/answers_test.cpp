// One answer: the same bits on every instruction set and for every number of threads, with non-temporal stores too, and
// of what is normalized within a sample alone and in its batch.
#include "answers.h"

#include <stdio.h>
#include <string.h>

#include <string>
#include <vector>

#include "check.h"
#include "nativenorm.h"
#include "platform/system.h"

namespace nntest {
namespace {

constexpr int kThreads[] = {1, 2, 3, 5, 16};

// SSE4 has no multiply-add that rounds once, and so a file of its own.
std::string FileOf(const char* target) {
  return std::string(NN_ANSWERS) + "/answers" + (strcmp(target, "sse4") == 0 ? "-sse4" : "") + ".txt";
}

std::vector<Hashes> Read(const std::string& path) {
  std::vector<Hashes> hashes;
  FILE* file = fopen(path.c_str(), "r");
  Hashes line;
  while (file != nullptr && fscanf(file, "%llx %llx", &line.answer, &line.phases) == 2) hashes.push_back(line);
  if (file != nullptr) fclose(file);
  Check(hashes.size() == kAnswers, "%s has %zu hashes, not %zu", path.c_str(), hashes.size(), kAnswers);
  hashes.resize(kAnswers);
  return hashes;
}

// A row of which dy / sqrt(variance + eps) leaves the range of floats and a small weight brings it back goes by
// doubles, whatever the rows beside it are.
void TestLeavingRange(const char* target) {
  Question q(0);
  q.shape = {NN_LAYER, NN_CHANNELS_FIRST, 9, 37, 1, 1, 1e-14, false};
  Random random(7);
  q.x = random.Normals(q.shape.Elements(), 0, 1e-6);
  q.dy = random.Normals(q.shape.Elements(), 0, 1);
  for (size_t i = 3 * 37; i < 4 * 37; ++i) q.dy[i] *= 1e34f;
  q.weight.assign(37, 1e-30f);
  q.bias.assign(37, 0);
  const Answer together = Ask(q, 1);
  Answer alone;
  AskAlone(q, &alone);
  bool finite = true;
  for (float value : together.dx) finite &= isfinite(value);
  alone.dweight = together.dweight;
  alone.dbias = together.dbias;
  Check(finite && alone.Hash() == together.Hash(), "%s: a row whose dy * scale leaves floats", target);
}

void TestQuestion(const Question& question, const std::string& name, const Hashes& expected) {
  const std::string text = name + " " + question.Text();
  const Answer first = Ask(question, 1);
  const Hashes found = HashesOf(first);
  Check(found == expected, "%s: %016llx %016llx instead of %016llx %016llx", text.c_str(), found.answer, found.phases,
        expected.answer, expected.phases);
  for (int threads : kThreads) {
    if (threads == 1 || question.shape.Elements() < (1 << 16)) continue;  // else there is one
    Check(Ask(question, threads).IsSame(first), "%s: others with %d threads", text.c_str(), threads);
  }
  nn::SetLastLevelCacheBytes(1);
  Check(Ask(question, 1).IsSame(first), "%s: others with non-temporal stores", text.c_str());
  nn::SetLastLevelCacheBytes(0);
  Answer alone;
  if (!AskAlone(question, &alone)) return;
  alone.dweight = first.dweight;
  alone.dbias = first.dbias;
  Check(alone.IsSame(first), "%s: others for each sample alone", text.c_str());
}

}  // namespace

void groups::answers() {
  // A tenth is for instruction sets that are emulated.
  const char* share = getenv("NATIVENORM_ANSWERS_SHARE");
  const size_t step = share == nullptr ? 1 : strtoull(share, nullptr, 10);
  nn_set_workers(2);
  std::vector<std::vector<Hashes>> hashes;
  for (int target = 0; target < nn_targets(); ++target) {
    hashes.push_back(Read(FileOf(nn_target_name(target))));
    nn_use_target(target);
    TestLeavingRange(nn_target_name(target));
  }
  for (size_t i = 0; i < kAnswers; i += step) {
    const Question question(i);
    for (int target = 0; target < nn_targets(); ++target) {
      nn_use_target(target);
      TestQuestion(question, std::string(nn_target_name(target)) + " answer " + std::to_string(i), hashes[target][i]);
    }
  }
  nn_set_workers(0);
}

}  // namespace nntest
