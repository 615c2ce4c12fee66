// What nn_prepare takes and what it refuses, and why.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "calls.h"
#include "check.h"
#include "kernels/kernels.h"
#include "run.h"

namespace nntest {
namespace {

constexpr double kEps = 1e-5;
constexpr Shape kGood = {NN_BATCH, NN_CHANNELS_FIRST, 2, 6, 5, 1, kEps, false};

// Each thing that can be wrong by itself, with its reason.
void TestReasons() {
  const nn_problem good = ProblemOf(kGood, NN_TRAIN, false, 1);
  const Prepared prepared(good);
  Check(prepared.plan != nullptr && prepared.reason.empty(), "a good problem: %s", prepared.reason.c_str());
  const auto refuses = [&](const char* reason, auto change) {
    nn_problem bad = good;
    change(bad);
    const Prepared refused(bad);
    Check(refused.plan == nullptr && refused.reason == reason, "%s instead of %s",
          refused.plan != nullptr ? "prepared" : refused.reason.c_str(), reason);
  };
  refuses("operation is 4, expected 0 to 3", [](nn_problem& p) { p.operation = NN_GROUP + 1; });
  refuses("operation is -1, expected 0 to 3", [](nn_problem& p) { p.operation = -1; });
  refuses("statistics is 2, expected 0 to 1", [](nn_problem& p) { p.statistics = NN_GIVEN + 1; });
  refuses("layout is 2, expected 0 to 1", [](nn_problem& p) { p.layout = NN_CHANNELS_LAST + 1; });
  refuses("src_type is 6, expected 0 to 5", [](nn_problem& p) { p.src_type = NN_I64 + 1; });
  refuses("dst_type is -3, expected 0 to 5", [](nn_problem& p) { p.dst_type = -3; });
  refuses("parameters_type is 7, expected 0 to 5", [](nn_problem& p) { p.parameters_type = 7; });
  refuses("computes F32, BF16 and F16 only, not S8", [](nn_problem& p) { p.src_type = NN_S8; });
  refuses("computes F32, BF16 and F16 only, not U8", [](nn_problem& p) { p.dst_type = NN_U8; });
  if (nn::kStorageTypes > 2) {  // instrumented there are fewer
    refuses("computes two types only where one is F32, not BF16 to F16", [](nn_problem& p) {
      p.src_type = NN_BF16;
      p.dst_type = NN_F16;
    });
  }
  refuses("computes with parameters in F32 only, not I64", [](nn_problem& p) { p.parameters_type = NN_I64; });
  refuses("affine is 4, expected 0 to 3", [](nn_problem& p) { p.affine = 4; });
  refuses("activation is 2, expected 0 to 1", [](nn_problem& p) { p.activation = NN_RELU + 1; });
  refuses("task is 7, expected 0 to 6", [](nn_problem& p) { p.task = NN_APPLY_GRADIENTS + 1; });
  refuses("threads is 0, expected 1 to 65536", [](nn_problem& p) { p.threads = 0; });
  refuses("batch is 0, expected 1 or more", [](nn_problem& p) { p.batch = 0; });
  refuses("channels is 0, expected 1 or more", [](nn_problem& p) { p.channels = 0; });
  refuses("spatial is -5, expected 1 or more", [](nn_problem& p) { p.spatial = -5; });
  refuses("groups is 0, expected 1 or more", [](nn_problem& p) { p.groups = 0; });
  refuses("1099511627776 x 6 x 8192 elements are more than 2^53", [](nn_problem& p) {
    p.batch = int64_t{1} << 40;
    p.spatial = 1 << 13;
  });
  refuses("6 channels cannot be divided into 4 groups", [](nn_problem& p) { p.groups = 4; });
  refuses("eps is -1, expected a finite number, 0 or more", [](nn_problem& p) { p.eps = -1; });
  refuses("eps is inf, expected a finite number, 0 or more", [](nn_problem& p) { p.eps = INFINITY; });
  refuses("statistics are given to batch normalization only", [](nn_problem& p) {
    p.operation = NN_GROUP;
    p.statistics = NN_GIVEN;
  });
  refuses("spatial is 5, but rows have no more than a batch and channels", [](nn_problem& p) { p.operation = NN_RMS; });
  for (int task = NN_MEASURE; task <= NN_APPLY_GRADIENTS; ++task) {
    refuses("only batch normalization is computed in phases", [&](nn_problem& p) {
      p.operation = NN_GROUP;
      p.task = task;
    });
    refuses("statistics are given to none of the phases", [&](nn_problem& p) {
      p.statistics = NN_GIVEN;
      p.task = task;
    });
  }
  const auto rows = [](nn_problem& p) {
    p.operation = NN_RMS;
    p.spatial = 1;
    p.batch = 7;
    p.rows_together = 3;
  };
  refuses("rows_together is 1, expected 0 to 0", [](nn_problem& p) { p.rows_together = 1; });
  refuses("src_stride is 12, expected 0 where all rows are together", [](nn_problem& p) { p.src_stride = 12; });
  refuses("rows_together is 8, expected 0 to 7", [&](nn_problem& p) {
    rows(p);
    p.rows_together = 8;
  });
  refuses("rows_together is -1, expected 0 to 7", [&](nn_problem& p) {
    rows(p);
    p.rows_together = -1;
  });
  refuses("dst_stride is 17, expected 18 to 4503599627370496", [&](nn_problem& p) {
    rows(p);
    p.dst_stride = 17;
  });
  refuses("src_stride is 4503599627370497, expected 18 to 4503599627370496", [&](nn_problem& p) {
    rows(p);
    p.src_stride = (int64_t{1} << 52) + 1;
  });
  refuses("diff_src_stride is 18, expected 0 of a task that has no gradient", [&](nn_problem& p) {
    rows(p);
    p.diff_src_stride = 18;
  });
  if (nn::kStorageTypes > 1) {
    refuses("rows lie apart in one type only", [&](nn_problem& p) {
      rows(p);
      p.dst_type = NN_BF16;
    });
  }
  refuses("unit_offset is of rows only", [](nn_problem& p) { p.unit_offset = 1; });
  refuses("unit_offset is 1, but there is no weight", [&](nn_problem& p) {
    rows(p);
    p.unit_offset = 1;
    p.affine = NN_BIAS;
  });
  for (const char* text : {"nan", "inf", "1e+39"}) {
    refuses(("unit_offset is " + std::string(text) + ", expected a finite float").c_str(), [&](nn_problem& p) {
      rows(p);
      p.unit_offset = strtod(text, nullptr);
    });
  }
  refuses("masked is 2, expected 0 or 1", [](nn_problem& p) { p.masked = 2; });
  for (const auto change :
       {+[](nn_problem& p) { p.statistics = NN_GIVEN; }, +[](nn_problem& p) { p.task = NN_MEASURE; },
        +[](nn_problem& p) {
          p.operation = NN_LAYER;
          p.spatial = 1;
        }}) {
    refuses("masked are only computed statistics of batch and group normalization, and no phases", [&](nn_problem& p) {
      change(p);
      p.masked = 1;
    });
  }
  refuses("masked are samples of fewer than 2^32 positions", [](nn_problem& p) {
    p.masked = 1;
    p.spatial = int64_t{1} << 32;
  });
  refuses("the size of nn_problem is 0, expected 152", [](nn_problem& p) { p.size = 0; });
  refuses("the size of nn_problem is 7, expected 152", [](nn_problem& p) { p.size = 7; });
  refuses("the size of nn_problem is 4097, expected 152", [](nn_problem& p) { p.size = 4097; });
}

// There may be no room for a reason, or for a part of it.
void TestRoom() {
  nn_problem bad = ProblemOf(kGood, NN_TRAIN, false, 1);
  bad.batch = 0;
  const std::string whole = Prepared(bad).reason;
  for (size_t room = 0; room <= whole.size() + 2; ++room) {
    char text[100];
    memset(text, '#', sizeof text);
    Check(nn_prepare(&bad, text, room) == nullptr, "prepared");
    Check(room == 0 || text == whole.substr(0, room - 1), "a room of %zu has %s", room, text);
    Check(std::all_of(text + room, text + sizeof text, [](char c) { return c == '#'; }), "behind a room of %zu", room);
  }
  Check(nn_prepare(&bad, nullptr, 100) == nullptr, "prepared");
}

// Callers that were compiled with a header of another version.
void TestSizes() {
  struct {
    nn_problem problem;
    char more[40];
  } later = {ProblemOf(kGood, NN_TRAIN, false, 1), {}};
  for (size_t more = 0; more <= sizeof later.more; ++more) {
    later.problem.size = sizeof(nn_problem) + more;
    Check(Prepared(&later.problem).plan != nullptr, "refused with %zu zeros that are not known", more);
    if (more == 0) continue;
    later.more[more - 1] = 1;
    const Prepared refused(&later.problem);
    Check(refused.plan == nullptr &&
              refused.reason == "nn_problem has something behind the 152 bytes that are known here",
          "byte %zu that is not known is 1: %s", more - 1, refused.reason.c_str());
    later.more[more - 1] = 0;
  }
  later.problem.size = sizeof(nn_problem);
  later.more[0] = 1;
  Check(Prepared(&later.problem).plan != nullptr, "what is behind a problem was looked at");

  // What an older caller does not have is 0: here inference, of floats, without parameters and activation.
  nn_problem earlier = ProblemOf(kGood, 99, false, 1);
  earlier.size = offsetof(nn_problem, src_type);
  earlier.src_type = earlier.dst_type = earlier.parameters_type = earlier.affine = earlier.activation = 99;
  const Prepared prepared(earlier);
  if (!Check(prepared.plan != nullptr, "an earlier problem: %s", prepared.reason.c_str())) return;
  const Problem data(kGood, 1);
  std::vector<float> y(kGood.Elements()), expected(kGood.Elements());
  Check(Forward(prepared.plan, data.x.data(), y.data(), data.Weight(), data.Bias(), nullptr, nullptr) == NN_OK,
        "an earlier problem is not run");
  Forward(Prepare(kGood, NN_INFER, false, 1), data.x.data(), expected.data(), nullptr, nullptr, nullptr, nullptr);
  Check(y == expected, "an earlier problem has weight, bias or activation");
  for (size_t size = sizeof earlier.size; size <= offsetof(nn_problem, threads); ++size) {
    earlier.size = size;
    Check(Prepared(earlier).plan == nullptr, "prepared %zu bytes, without threads", size);
  }
}

void TestThreadsAndNames() {
  Shape large = kGood;
  large.spatial = 100000;
  const auto threads = [](const Shape& shape) { return nn_threads(Prepare(shape, NN_TRAIN, false, 3).get()); };
  Check(threads(large) == 3, "a large problem has %d threads", threads(large));
  large.spatial = 10;
  Check(threads(large) == 1, "a small problem has %d threads", threads(large));
  for (int target = 0; target < nn_targets(); ++target) {
    nn_use_target(target);
    const std::string name = std::string(nn_target_name(target)) + " batch_channels_first_f32";
    const Plan plan = Prepare(kGood, NN_TRAIN, false, 1);
    Check(nn_name(plan.get()) == name, "%s is called %s", name.c_str(), nn_name(plan.get()));
  }
}

}  // namespace

void groups::prepare() {
  TestReasons();
  TestRoom();
  TestSizes();
  TestThreadsAndNames();
}

}  // namespace nntest
