// The kernels of row_normalize-inl.h and row_gradient-inl.h.
#include <algorithm>
#include <iterator>
#include <string>

#include "kernel_cases.h"
#include "kernels/exact.h"

namespace nntest {
namespace {

std::string Text(const Part& part, size_t length) {
  return std::to_string(part.rows) + " rows of " + std::to_string(length) + " period " + std::to_string(part.period) +
         " first " + std::to_string(part.first);
}

using RowGradient = std::remove_extent_t<decltype(Table::row_gradient)>;

// Also those rows at which the kernel stops, and whether there were any.
bool BackwardByRows(RowGradient row_gradient, const float* x, const float* dy, const float* y, float* dx,
                    nn::RowsToDifferentiate rows) {
  bool stopped = false;
  const size_t parameters = rows.length * rows.period;
  for (;;) {
    const size_t done = row_gradient(x, dy, y, dx, rows);
    if (done == rows.rows) return stopped;
    stopped = true;
    const size_t at = done * rows.length;
    std::vector<double> sums[2] = {std::vector<double>(parameters), std::vector<double>(parameters)};
    nn::ExactRowBackward(x + at, dy + at, y == nullptr ? y : y + at, dx + at, rows, rows.first_row + done,
                         {sums[0].data(), sums[1].data(), 1});
    for (size_t j = 0; rows.weight_gradient != nullptr && j < parameters; ++j) {
      rows.weight_gradient[j] += static_cast<float>(sums[0][j]);
      if (rows.bias_gradient != nullptr) rows.bias_gradient[j] += static_cast<float>(sums[1][j]);
    }
    if (done + 1 == rows.rows) return stopped;
    const size_t next = at + rows.length;
    rows.first_row += done + 1;
    rows.rows -= done + 1;
    x += next;
    dy += next;
    if (y != nullptr) y += next;
    dx += next;
  }
}

// Rows that go together, in the caches or beside memory, have the bits that they have alone. The second piece of a row
// is the first one's opposite, of numbers so far apart that doubles round: in another order the mean is not 0. One row
// is around 100.
void CheckTogether(const Table& table, const char* target) {
  constexpr size_t kRows = 9, kPiece = 16384;
  for (const size_t length : {size_t{24}, size_t{700}, size_t{5000}, 2 * kPiece}) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool centered = flags & 1, stream = flags & 4;
      std::vector<float> x(kRows * length);
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t row = i / length, at = i % length;
        x[i] =
            Numbers(0)[(row + at % kPiece) % 4001] * (at < kPiece ? 1.0f : -1.0f) * (at / 512 % 2 == 0 ? 1e12f : 1e-6f);
        if (row == 2) x[i] = 100 + at % 7;
      }
      std::vector<float> results[2] = {std::vector<float>(x.size() + 2 * kRows),
                                       std::vector<float>(x.size() + 2 * kRows)};
      for (const bool together : {false, true}) {
        float* y = results[together].data();
        float *mean = y + x.size(), *variance = mean + kRows;
        nn::RowsToNormalize rows = {centered, length, length,           length, 1,       0,
                                    kRows,    kEps,   nullptr,          -0.f,   nullptr, centered ? mean : nullptr,
                                    variance, false,  (flags & 2) != 0, stream};
        const auto body = BodyOf(table.row_normalize, OptionIf(centered, nn::kCentered));
        if (together) {
          body(x.data(), y, rows);
        } else {
          for (rows.rows = 1; rows.first_row < kRows; ++rows.first_row) {
            body(x.data() + rows.first_row * length, y + rows.first_row * length, rows);
          }
        }
      }
      Distance none;
      Report("row_normalize", target, none, 1, results[0] == results[1],
             "together: rows of " + std::to_string(length) + " flags " + std::to_string(flags));
    }
  }
}

}  // namespace

namespace test_of {

void row_normalize(const Table& table, const char* target) {
  CheckTogether(table, target);
  Memory& memory = TheMemory();
  ForRows(target, [&](size_t length, const Part& part, Place place, size_t turn) {
    for (int flags = 0; flags < 32; ++flags) {
      if (length > 300 && (flags ^ turn) % 4 != 0) continue;
      const bool centered = flags & 1, weighted = flags & 2, biased = flags & 4, relu = flags & 8, stream = flags & 16;
      const bool in_place = turn % 3 == 1, with_statistics = turn % 4 != 2, prefetch = turn % 2 == 0;
      const size_t parameters = length * part.period, last = part.first + part.rows;
      const Matrix to = {part.rows, length, length + (turn % 5 == 2 ? 1 + turn % 19 : 0)};
      const Matrix of = {part.rows, length, in_place ? to.stride : length + (turn % 7 == 3 ? 1 + turn % 23 : 0)};
      const float offset = weighted && turn % 4 == 3 ? 1.5f : -0.f;
      float* y = memory.y.Place<float>(to.Elements(), place.side, place.gap);
      float* x = in_place ? y : memory.x.Place<float>(of.Elements(), place.side, place.Other(1));
      of.ForAll([&](size_t row, size_t i, size_t at) { x[at] = Numbers(0)[row * length + i]; });
      float* weight = weighted ? memory.parameters[0].Place<float>(parameters, place.side, place.Other(2)) : nullptr;
      float* bias = biased ? memory.parameters[1].Place<float>(parameters, place.side, place.Other(3)) : nullptr;
      if (weighted) std::copy_n(Numbers(3).data(), parameters, weight);
      if (biased) std::copy_n(Numbers(2).data(), parameters, bias);
      float* mean = with_statistics ? memory.parameters[2].Place<float>(last, Side::kEnd, 0) : nullptr;
      float* variance = with_statistics ? memory.parameters[3].Place<float>(last, Side::kEnd, 0) : nullptr;
      const unsigned options = OptionIf(relu, nn::kRelu) | OptionIf(centered, nn::kCentered) |
                               OptionIf(weighted, nn::kWeight) | OptionIf(biased, nn::kBias);
      BodyOf(table.row_normalize, options)(
          x, y,
          {centered, length, of.stride, to.stride, part.period, part.first, part.rows, kEps, weight, offset, bias,
           centered ? mean : nullptr, variance, relu, prefetch, stream});
      Distance distance;
      bool others = to.GapsAreUntouched(y);  // whether what is between rows and other rows' statistics stayed
      for (size_t r = 0; with_statistics && r < part.first; ++r) {
        others &= GuardedMemory::IsUntouched(mean[r]) && GuardedMemory::IsUntouched(variance[r]);
      }
      for (size_t r = 0; r < part.rows; ++r) {
        const float* from = Numbers(0).data() + r * length;
        const size_t row = part.first + r;
        nn::Moments found = MomentsOf({1, length, 0}, from);
        if (!centered) {
          found = {0, 0};
          for (size_t i = 0; i < length; ++i) found.m2 += double{from[i]} * from[i];
        }
        found.m2 /= static_cast<double>(length);
        if (with_statistics && centered) distance.Add(mean[row], found.mean, 1 + fabs(found.mean));
        if (with_statistics) distance.Add(variance[row], found.m2, 10 * found.m2 + 1e-30);
        for (size_t i = 0; i < length; ++i, distance.Next()) {
          const size_t at = row % part.period * length + i;
          double value = (from[i] - found.mean) / sqrt(found.m2 + kEps);
          value = value * (weighted ? double{weight[at]} + offset : 1) + (biased ? bias[at] : 0);
          distance.Add(y[r * to.stride + i], Activated(value, relu), 1 + fabs(value));
        }
      }
      Report(
          "row_normalize", target, distance, 2 * kValue, memory.IsIntact() && others,
          Text(part, length) + " " + Text(place) + " flags " + std::to_string(flags) + " turn " + std::to_string(turn));
    }
  });
}

void row_gradient(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForRows(target, [&](size_t length, const Part& part, Place place, size_t turn) {
    for (int flags = 0; flags < 32; ++flags) {
      if (length > 300 && (flags ^ turn) % 4 != 0) continue;
      const bool centered = flags & 1, weighted = flags & 2, sums = flags & 4, relu = flags & 8, stream = flags & 16;
      const bool in_place = turn % 3 == 1;
      const size_t n = length * part.rows, parameters = length * part.period, last = part.first + part.rows;
      float* dx = memory.dx.Place<float>(n, place.side, place.gap);
      float* x = memory.x.Place<float>(n, place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(n, place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(n, place.side, place.Other(3)) : nullptr;
      std::copy_n(Numbers(0).data(), n, x);
      // Some rows are constant, some only as far as floats tell.
      for (size_t i = 0; centered && turn % 4 == 3 && i < n; ++i) {
        if (i / length % 3 == 0) x[i] = 0.3f;
        if (i / length % 3 == 1) x[i] *= 1e-30f;
      }
      std::copy_n(Numbers(1).data(), n, dy);
      if (relu) std::copy_n(Outputs().data(), n, y);
      float* weight = weighted ? memory.parameters[0].Place<float>(parameters, place.side, place.Other(4)) : nullptr;
      if (weighted) std::copy_n(Numbers(3).data(), parameters, weight);
      float* gradients[2] = {nullptr, nullptr};  // of weight and bias, which have something to be added to
      const size_t wanted = !sums ? 0 : !centered && turn % 3 == 0 ? 1 : 2;
      std::vector<double> expected[2], scale[2];
      for (size_t k = 0; k < wanted; ++k) {
        gradients[k] = memory.parameters[k + 1].Place<float>(parameters, place.side, place.Other(5 + k));
        std::copy_n(Numbers(2).data() + 100 * k, parameters, gradients[k]);
        expected[k].assign(gradients[k], gradients[k] + parameters);
        scale[k].assign(parameters, 1);
      }
      float* mean = memory.parameters[3].Place<float>(last, Side::kEnd, 0);
      float* variance = memory.parameters[4].Place<float>(last, Side::kEnd, 0);
      std::vector<double> values(n);
      double direct_square = 0;
      bool stops = false;
      for (size_t r = 0; r < part.rows; ++r) {
        const float* from = x + r * length;
        const float* from_dy = Numbers(1).data() + r * length;
        const float* from_y = relu ? y + r * length : nullptr;
        const size_t row = part.first + r, parameter = row % part.period * length;
        nn::Moments found = MomentsOf({1, length, 0}, from);
        if (!centered) found = {0, 1.5 * static_cast<double>(length)};
        // A row's variance need not be its own here; its mean is, to a float.
        mean[row] = static_cast<float>(found.mean);
        variance[row] = static_cast<float>(found.m2 / static_cast<double>(length));
        const double inverse = 1 / sqrt(variance[row] + kEps), count = static_cast<double>(length);
        double sum = 0, product = 0;
        const auto gradient = [&](size_t i) {
          return Cut(from_dy, from_y, i) * (weighted ? weight[parameter + i] : 1);
        };
        const auto xhat = [&](size_t i) { return (from[i] - found.mean) * inverse; };
        for (size_t i = 0; i < length; ++i) {
          sum += gradient(i);
          product += gradient(i) * xhat(i);
          direct_square += inverse * gradient(i) * inverse * gradient(i);
          const double dy_i = Cut(from_dy, from_y, i), parts[] = {dy_i * xhat(i), dy_i};
          for (size_t k = 0; k < wanted; ++k) {
            expected[k][parameter + i] += parts[k];
            scale[k][parameter + i] += fabs(parts[k]);
          }
        }
        for (size_t i = 0; i < length; ++i) {
          values[r * length + i] = inverse * (gradient(i) - (centered ? sum / count : 0) - xhat(i) * product / count);
        }
        stops |= centered && variance[row] == 0 && found.m2 != 0 && sum != 0;
        if (!centered) mean[row] = NAN;  // not to be read
      }
      // A single row may begin the gradients of weight and bias.
      const bool begins = part.rows == 1 && flags % 3 == 0 && variance[part.first] != 0;
      for (size_t k = 0; begins && k < wanted; ++k) {
        const size_t first = part.first % part.period * length;
        for (size_t i = first; i < first + length; ++i) expected[k][i] -= gradients[k][i];
        std::fill_n(gradients[k] + first, length, NAN);
      }
      bool finite = true;
      const unsigned options = OptionIf(relu, nn::kRelu) | OptionIf(centered, nn::kCentered) |
                               OptionIf(weighted, nn::kWeight) | OptionIf(sums, nn::kParameterSums);
      const nn::RowsToDifferentiate rows = {centered, length,   part.period,  part.first,   part.rows, kEps,    weight,
                                            mean,     variance, gradients[0], gradients[1], stream,    &finite, begins};
      const bool stopped = BackwardByRows(BodyOf(table.row_gradient, options), x, dy, y, dx, rows);
      Distance distance;
      const double typical = sqrt(direct_square / static_cast<double>(n)) + 1e-30;
      for (size_t i = 0; i < n; ++i, distance.Next()) distance.Add(dx[i], values[i], 5 * typical + fabs(values[i]));
      for (size_t k = 0; k < wanted; ++k) {
        for (size_t i = 0; i < parameters; ++i) distance.Add(gradients[k][i], expected[k][i], scale[k][i]);
      }
      Report(
          "row_gradient", target, distance, 2 * kValue, memory.IsIntact() && stopped == stops && finite,
          Text(part, length) + " " + Text(place) + " flags " + std::to_string(flags) + " turn " + std::to_string(turn));
    }
  });
}

}  // namespace test_of
}  // namespace nntest
