// The kernels of spans-inl.h.
#include <string>

#include "kernel_cases.h"
#include "kernels/order.h"

namespace nntest {
namespace {

// A unit's moments, as the drivers measure them.
nn::Moments Measured(const Table& table, const Matrix& m, const float* x) {
  const double n = static_cast<double>(m.rows * m.columns);
  return nn::MeasureUnit(
      n, 1 / n, [&](float pivot) { return BodyOf(table.pivot_sums)(x, m.rows, m.columns, m.stride, pivot); },
      [&] { return MomentsOf(m, x); });
}

}  // namespace

namespace test_of {

void normalize(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRuns(target, [&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (int flags = 0; flags < 8; ++flags) {
      if (m.Elements() > 300 && (flags ^ turn) % 2 != 0) continue;
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* y = memory.y.Place<float>(m.Elements(), place.side, place.gap);
      float* x = in_place ? y : memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      m.Copy(Numbers(0).data(), x);
      const size_t count = (m.rows - 1) * step + 1;
      nn::Affine* affines = memory.parameters[0].Place<nn::Affine>(count, Side::kEnd, 0);
      for (size_t run = 0; run < m.rows; ++run) {
        const float r = static_cast<float>(run * step);
        affines[run * step] = {0.3f + r / 4, 1.7f - r / 4, -0.2f + r / 8};
      }
      BodyOf(table.normalize, OptionIf(relu, nn::kRelu) | OptionIf(stream, nn::kStream))(
          x, y, m.rows, m.columns, m.stride, affines, step, m.stride);
      Distance distance;
      m.ForAll([&](size_t run, size_t, size_t i) {
        const nn::Affine& affine = affines[run * step];
        const double value = (Numbers(0)[i] - double{affine.center}) * affine.scale + affine.shift;
        distance.Add(y[i], Activated(value, relu), 1 + fabs(value));
        distance.Next();
      });
      Report("normalize", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(y),
             Text(m) + " step " + std::to_string(step) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
  float values[] = {NAN, -INFINITY, INFINITY, -1, 1, NAN, NAN, 0, -2, 2, 3};
  const nn::Affine same = {0, 1, 0};
  for (bool stream : {false, true}) {  // max(v, 0) keeps what is not a number
    float y[11];
    BodyOf(table.normalize, nn::kRelu | OptionIf(stream, nn::kStream))(values, y, 1, 11, 0, &same, 0, 0);
    Distance distance;
    for (size_t i = 0; i < 11; ++i, distance.Next()) distance.Add(y[i], Activated(values[i], true), 1);
    Report("normalize", target, distance, 0, true, "not finite");
  }
}

void plain_pass(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    ForPlaces(target, [&](Place place) {
      for (bool in_place : {false, true}) {
        float* y = memory.y.Place<float>(length, place.side, place.gap);
        float* x = in_place ? y : memory.x.Place<float>(length, place.side, place.Other(1));
        const float* from = Numbers(0).data();
        std::copy_n(from, length, x);
        BodyOf(table.plain_pass)(x, y, length, 1.25f, -0.75f);
        Distance distance;
        for (size_t i = 0; i < length; ++i, distance.Next()) distance.Add(y[i], from[i] * 1.25 - 0.75, 1 + fabs(y[i]));
        Report("plain_pass", target, distance, kValue, memory.IsIntact(), std::to_string(length) + " " + Text(place));
      }
    });
  }
}

// Every pattern of 16, and what follows it.
template <class Element>
void Pack(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    for (size_t pattern = length; pattern < length + 8; ++pattern) {
      Element* from = memory.x.Place<Element>(length, Side::kEnd, 0);
      auto* mask = memory.parameters[0].Place<unsigned char>(length, Side::kEnd, 0);
      std::vector<Element> expected;
      for (size_t i = 0; i < length; ++i) {
        from[i] = static_cast<Element>(0x9e3779b9u * (i + 1));
        mask[i] = static_cast<unsigned char>((pattern * 2654435761u >> (i % 29)) % 3 == 0 ? 0 : 1 + i % 255);
        if (mask[i] != 0) expected.push_back(from[i]);
      }
      const size_t room = expected.size() + 1 + 64 / sizeof(Element);
      Element* to = memory.y.Place<Element>(room, Side::kEnd, 0);
      const size_t count = BodyOf(table.pack)(from, mask, length, sizeof(Element), to);
      Check(count == expected.size() && std::equal(expected.begin(), expected.end(), to) && memory.IsIntact(),
            "%s pack: %zu of %zu bytes, pattern %zu", target, length, sizeof(Element), pattern);
    }
  }
}

void pack(const Table& table, const char* target) {
  Pack<uint16_t>(table, target);
  Pack<uint32_t>(table, target);
}

template <class From>
void AddInto(void (*add)(const From*, size_t, double*), const char* name, const char* target) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    From* from = memory.x.Place<From>(length, Side::kEnd, 0);
    double* to = memory.y.Place<double>(length, Side::kBegin, length % kOffsets);
    for (size_t i = 0; i < length; ++i) {
      from[i] = Numbers(0)[i];
      to[i] = Numbers(1)[i] / 3.0;
    }
    add(from, length, to);
    Distance distance;
    for (size_t i = 0; i < length; ++i, distance.Next()) {
      distance.Add(to[i], double{Numbers(0)[i]} + Numbers(1)[i] / 3.0, 1);
    }
    Report(name, target, distance, 0, memory.IsIntact(), std::to_string(length));
  }
}

void add_doubles(const Table& table, const char* target) { AddInto(BodyOf(table.add_doubles), "add_doubles", target); }
void add_floats(const Table& table, const char* target) { AddInto(BodyOf(table.add_floats), "add_floats", target); }

void round_doubles(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    double* from = memory.x.Place<double>(length, Side::kEnd, 0);
    float* to = memory.y.Place<float>(length, Side::kBegin, length % kOffsets);
    for (size_t i = 0; i < length; ++i) from[i] = Numbers(1)[i] / 3.0;
    BodyOf(table.round_doubles)(from, length, to);
    Distance distance;
    for (size_t i = 0; i < length; ++i, distance.Next()) {
      distance.Add(to[i], static_cast<float>(Numbers(1)[i] / 3.0), 1);
    }
    Report("round_doubles", target, distance, 0, memory.IsIntact(), std::to_string(length));
  }
}

// One number that is not finite, at every place.
void all_finite(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t length : Lengths()) {
    float* values = memory.x.Place<float>(length, Side::kEnd, 0);
    std::copy_n(Numbers(0).data(), length, values);
    values[length / 2] = 3.4028235e38f;
    bool good = BodyOf(table.all_finite)(values, length);
    for (size_t i = 0; i < length; ++i) {
      const float usual = values[i];
      values[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
      good &= !BodyOf(table.all_finite)(values, length);
      values[i] = usual;
    }
    Check(good && memory.IsIntact(), "%s all_finite: %zu", target, length);
  }
}

void gradient(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRuns(target, [&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (int flags = 0; flags < 8; ++flags) {
      if (m.Elements() > 300 && (flags ^ turn) % 2 != 0) continue;
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* dx = memory.dx.Place<float>(m.Elements(), place.side, place.gap);
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(m.Elements(), place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(3)) : nullptr;
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      const size_t count = (m.rows - 1) * step + 1;
      nn::Gradient* gradients = memory.parameters[0].Place<nn::Gradient>(count, Side::kEnd, 0);
      for (size_t run = 0; run < m.rows; ++run) {
        const float r = static_cast<float>(run * step);
        gradients[run * step] = {0.3f + r / 4, 1.7f - r / 4, -0.6f + r / 8, 0.2f - r / 8, turn % 3 == 0 ? 0.9f - r : 0};
      }
      BodyOf(table.gradient, OptionIf(relu, nn::kRelu) | OptionIf(stream, nn::kStream))(x, dy, y, dx, m.rows, m.columns,
                                                                                        m.stride, gradients, step);
      Distance distance;
      m.ForAll([&](size_t run, size_t, size_t i) {
        const nn::Gradient& g = gradients[run * step];
        const double direct = g.dy_factor * (Cut(Numbers(1).data(), y, i) - g.dy_center);
        const double rest = double{g.x_factor} * (x[i] - double{g.center});
        distance.Add(dx[i], direct + rest + g.constant, 1 + fabs(direct) + fabs(rest));
        distance.Next();
      });
      Report("gradient", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(dx),
             Text(m) + " step " + std::to_string(step) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
}

// Of what does not count x is no number.
void masked_gradient(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  size_t turn = 0;
  for (size_t length : Lengths()) {
    ForPlaces(target, [&](Place place) {
      const bool in_place = ++turn % 2 == 0, relu = turn / 2 % 2 == 0;
      const Matrix m = {1, length, 0};
      float* dx = memory.dx.Place<float>(length, place.side, place.gap);
      float* x = memory.x.Place<float>(length, place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(length, place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(length, place.side, place.Other(3)) : nullptr;
      auto* mask = memory.parameters[0].Place<unsigned char>(length, place.side, place.Other(4));
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      for (size_t i = 0; i < length; ++i) {
        mask[i] = static_cast<unsigned char>(((i + turn) * 2654435761u >> 7) % 3 == 0 ? 0 : 1 + i % 255);
        if (mask[i] == 0) x[i] = i % 2 == 0 ? NAN : INFINITY;
      }
      const nn::Gradient g = {0.3f, 1.7f, -0.6f, 0.2f, turn % 3 == 0 ? 0.9f : 0};
      BodyOf(table.masked_gradient, OptionIf(relu, nn::kRelu))(x, dy, y, mask, dx, length, g);
      Distance distance;
      for (size_t i = 0; i < length; ++i, distance.Next()) {
        const double cut = Cut(Numbers(1).data(), y, i);
        const double direct = g.dy_factor * (mask[i] == 0 ? cut : cut - g.dy_center);
        const double rest = mask[i] == 0 ? 0 : double{g.x_factor} * (x[i] - double{g.center}) + g.constant;
        distance.Add(dx[i], direct + rest, 1 + fabs(direct) + fabs(rest));
      }
      Report("masked_gradient", target, distance, kValue, memory.IsIntact(),
             std::to_string(length) + " " + Text(place) + (relu ? " relu" : "") + (in_place ? " in place" : ""));
    });
  }
}

void pivot_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  Random random(kSeed);
  const auto test = [&](const Matrix& m, const Distribution& values, Place place) {
    float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
    m.Copy(Numbers(0).data() + random.Bits() % 4096, x);
    m.ForAll([&](size_t, size_t, size_t i) { x[i] = static_cast<float>(values.mean + values.deviation * x[i]); });
    if (!isnan(values.first)) x[0] = static_cast<float>(values.first);
    const nn::Moments found = Measured(table, m, x);
    Distance distance;
    AddMoments(found, MomentsOf(m, x), static_cast<double>(m.rows * m.columns), &distance);
    Report("pivot_sums", target, distance, kSum, memory.IsIntact(), Text(m) + " " + values.name + " " + Text(place));
  };
  for (size_t length : Lengths()) {
    size_t turn = 0;
    ForPlaces(target, [&](Place place) {
      test({1, length, 0}, Distributions()[turn++ % Distributions().size()], place);
    });
    for (size_t rows : {2, 3, 7}) {
      if (rows * (length + 5) > 8192) continue;
      for (const Distribution& values : Distributions()) {
        test({rows, length, length}, values, {Side::kEnd, 0});
        test({rows, length, length + 5}, values, {Side::kBegin, random.Bits() % kOffsets});
      }
    }
  }
  const Matrix m = {1, kLong, 0};
  float* x = memory.x.Place<float>(kLong, Side::kEnd, 0);
  for (size_t i = 0; i < kLong; ++i) x[i] = i % 3 == 0 ? 0.1f : 0.3f;
  Distance distance;
  AddMoments(Measured(table, m, x), MomentsOf(m, x), kLong, &distance);
  Report("pivot_sums", target, distance, kLongSum, memory.IsIntact(), "long");
}

void gradient_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRuns(target, [&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (bool relu : {false, true}) {
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
      float* dy = memory.dy.Place<float>(m.Elements(), place.side, place.Other(1));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(2)) : nullptr;
      m.Copy(Numbers(0).data() + turn, x);
      m.Copy(Numbers(1).data() + turn, dy);
      if (relu) m.Copy(Outputs().data() + turn, y);
      const float center = 0.4f;
      const size_t count = (m.rows - 1) * step + 1;
      nn::GradientSums* found = memory.parameters[0].Place<nn::GradientSums>(count, Side::kEnd, 0);
      BodyOf(table.gradient_sums, OptionIf(relu, nn::kRelu))(x, dy, y, m.rows, m.columns, m.stride, center, found, step,
                                                             m.stride);
      std::vector<Sums> expected(count);
      m.ForAll([&](size_t run, size_t, size_t i) { expected[run * step].Add(Cut(dy, y, i), x[i] - double{center}); });
      Distance distance;
      bool others = true;  // whether what is between the sums stayed
      for (size_t i = 0; i < count; ++i) {
        if (step == 0 || i % step == 0) {
          expected[i].Compare(found[i], &distance);
        } else {
          others &= GuardedMemory::IsUntouched(found[i]);
        }
      }
      Report("gradient_sums", target, distance, kSum, memory.IsIntact() && others,
             Text(m) + " step " + std::to_string(step) + (relu ? " relu " : " ") + Text(place));
    }
  });
  float* x = memory.x.Place<float>(kLong, Side::kEnd, 0);
  float* dy = memory.dy.Place<float>(kLong, Side::kEnd, 0);
  Sums expected;
  for (size_t i = 0; i < kLong; ++i) {
    x[i] = 0.7f;
    dy[i] = 0.1f;
    expected.Add(dy[i], x[i] - double{0.1f});
  }
  nn::GradientSums found;
  BodyOf(table.gradient_sums)(x, dy, nullptr, 1, kLong, 0, 0.1f, &found, 0, 0);
  Distance distance;
  expected.Compare(found, &distance);
  Report("gradient_sums", target, distance, kLongSum, memory.IsIntact(), "long");
}

// Around a center that all x are but, in every other case, one.
void constant_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  const float center = 0.4f;
  ForRuns(target, [&](const Matrix& m, size_t step, Place place, size_t turn) {
    for (int flags = 0; flags < 4; ++flags) {
      const bool relu = flags & 1, all_same = flags & 2;
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
      float* dy = memory.dy.Place<float>(m.Elements(), place.side, place.Other(1));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(2)) : nullptr;
      m.ForAll([&](size_t, size_t, size_t i) { x[i] = center; });
      const size_t other_run = turn % m.rows;
      if (!all_same) x[other_run * m.stride + turn % m.columns] = 0.40000004f;
      m.Copy(Numbers(1).data() + turn, dy);
      if (relu) m.Copy(Outputs().data() + turn, y);
      const size_t count = (m.rows - 1) * step + 1;
      nn::GradientSums* found = memory.parameters[0].Place<nn::GradientSums>(count, Side::kEnd, 0);
      BodyOf(table.constant_sums, OptionIf(relu, nn::kRelu))(x, dy, y, m.rows, m.columns, m.stride, center, found, step,
                                                             m.stride);
      std::vector<Sums> expected(count);
      m.ForAll([&](size_t run, size_t, size_t i) { expected[run * step].Add(Cut(dy, y, i), 0); });
      Distance distance;
      bool good = true;
      for (size_t i = 0; i < count; ++i) {
        if (step > 0 && i % step != 0) {
          good &= GuardedMemory::IsUntouched(found[i]);
          continue;
        }
        const bool same = all_same || i != other_run * step;
        good &= found[i].residual == 0 && (same ? found[i].product == 0 : isnan(found[i].product));
        distance.Add(found[i].dy, expected[i].dy, expected[i].dy_scale);
        distance.Next();
      }
      Report("constant_sums", target, distance, kExactSum, memory.IsIntact() && good,
             Text(m) + " step " + std::to_string(step) + " flags " + std::to_string(flags) + " " + Text(place));
    }
  });
  float* x = memory.x.Place<float>(kLong, Side::kEnd, 0);
  float* dy = memory.dy.Place<float>(kLong, Side::kEnd, 0);
  for (size_t i = 0; i < kLong; ++i) {
    x[i] = center;
    dy[i] = 0.1f;
  }
  nn::GradientSums found;
  BodyOf(table.constant_sums)(x, dy, nullptr, 1, kLong, 0, center, &found, 0, 0);
  Check(found.dy == kLong * double{0.1f} && found.product == 0, "%s constant_sums: %.17g of %zu times 0.1f", target,
        found.dy, kLong);
}

}  // namespace test_of
}  // namespace nntest
