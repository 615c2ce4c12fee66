// Runs all tests, or those that are named. The exit status is 1 if a check failed. `--errors`, first, also prints the
// largest error of each kind, and how long each file's tests took. `--answers TARGET` prints the file of hashes of an
// instruction set, src/test/resources/io/nativenorm/answers.txt or answers-sse4.txt, and does nothing else.
// `--benchmark [TARGET]` times each body of the kernels, of all instruction sets or of one, and checks its result.
//
// NN_GROUPS is a line NN_GROUP(kernels) NN_GROUP(problems) ... of the groups that were compiled.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "check.h"
#include "nativenorm.h"
#include "threads/workers.h"

namespace nntest {
namespace {

// A kernel that is wrong is wrong in many places; more lines than this help nobody.
constexpr int kMostLines = 200;

int passed = 0;
int failed = 0;
std::map<std::string, double> largest;

}  // namespace

bool Check(bool good, const char* format, ...) {
  if (good) {
    ++passed;
    return true;
  }
  if (++failed <= kMostLines) {
    va_list arguments;
    va_start(arguments, format);
    printf("failed: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
  }
  return false;
}

void Note(double error, const char* format, ...) {
  char kind[200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(kind, sizeof kind, format, arguments);
  va_end(arguments);
  double& most = largest[kind];
  most = std::max(most, error);
}

uint64_t SeedOr(uint64_t usual) {
  const char* wanted = getenv("NATIVENORM_SEED");
  return wanted == nullptr ? usual : strtoull(wanted, nullptr, 10);
}

}  // namespace nntest

int main(int count, char** arguments) {
  nn::WakeForAll(true);  // small problems, too, are to be those of several threads
  if (count == 3 && strcmp(arguments[1], "--answers") == 0) {
    nntest::PrintAnswers(arguments[2]);
    return 0;
  }
  if (count > 1 && strcmp(arguments[1], "--benchmark") == 0) {
    nntest::Benchmark(count > 2 ? arguments[2] : nullptr);
    return nntest::failed == 0 ? 0 : 1;
  }
  const bool errors = count > 1 && strcmp(arguments[1], "--errors") == 0;
  const struct {
    const char* name;
    void (*run)();
  } kTests[] = {
#define NN_GROUP(name) {#name, nntest::groups::name},
      NN_GROUPS
#undef NN_GROUP
  };
  nntest::Check(nn_targets() > 0, "no kernels for this CPU");
  const std::vector<std::string> wanted(arguments + (errors ? 2 : 1), arguments + count);
  for (const std::string& name : wanted) {
    nntest::Check(
        std::any_of(std::begin(kTests), std::end(kTests), [&](const auto& test) { return name == test.name; }),
        "there are no tests %s", name.c_str());
  }
  for (const auto& test : kTests) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), test.name) == wanted.end()) continue;
    const auto begin = std::chrono::steady_clock::now();
    test.run();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (errors) printf("%s: %.2f s\n", test.name, seconds.count());
  }
  if (errors) {
    for (const auto& [kind, error] : nntest::largest) printf("%8.2g %s\n", error, kind.c_str());
  }
  printf("%d passed, %d failed\n", nntest::passed, nntest::failed);
  return nntest::failed == 0 ? 0 : 1;
}
