// The kernels of column_sums-inl.h and columns-inl.h.
#include <algorithm>
#include <string>

#include "kernel_cases.h"
#include "plan/column_sums.h"

namespace nntest {
namespace {

// What a column's parameters are made of: means and variances that are ordinary, large, 0 and infinite.
// And, of each instruction set's first and last vectors, one that is outside (exact.h).
bool IsHuge(size_t j) { return j % 32 == 9 || j % 32 == 31; }
double ParameterMean(size_t j) { return IsHuge(j) ? 1e35 : j % 5 == 1 ? 1e6 + 0.01 * Numbers(0)[j] : Numbers(0)[j]; }
double ParameterVariance(size_t j) {
  switch (j % 7) {
    case 2:
      return 0;
    case 4:
      return 1e60;  // as a float: infinite
    case 5:
      return 1e-12;
    default:
      return 0.1 + fabs(Numbers(1)[j]);
  }
}

}  // namespace

namespace test_of {

void column_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  size_t turn = 0;
  ForMatrices(target, [&](const Matrix& m, Place place) {
    // A distribution of its own for each column, which must not disturb its neighbours; now and then the same for all.
    const size_t shift = turn++;
    const bool prefetch = shift % 3 == 0;
    float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
    m.ForAll([&](size_t row, size_t j, size_t i) {
      const Distribution& values = Distributions()[(shift % 2 == 0 ? shift / 2 : shift + j) % Distributions().size()];
      const bool outlier = row == 0 && !isnan(values.first);
      const double value = values.mean + values.deviation * Numbers(0)[shift + i];
      x[i] = static_cast<float>(outlier ? values.first : value);
    });
    const size_t padded = nn::PaddedColumns(m.columns);
    float* pivot = memory.parameters[0].Place<float>(padded, Side::kEnd, 0);
    double* mean = memory.parameters[1].Place<double>(padded, Side::kEnd, 0);
    double* m2 = memory.parameters[2].Place<double>(padded, Side::kEnd, 0);
    BodyOf(table.column_sums)(x, m.rows, m.columns, m.stride, nullptr, prefetch, mean, m2);
    if (!BodyOf(table.column_moments)(m.columns, 1 / static_cast<double>(m.rows), mean, m2)) {
      std::vector<double> sums(padded), squares(padded);
      for (size_t j = 0; j < padded; ++j) pivot[j] = j < m.columns ? static_cast<float>(mean[j]) : 0;
      BodyOf(table.column_sums)(x, m.rows, m.columns, m.stride, pivot, prefetch, sums.data(), squares.data());
      nn::FinishDistrusted(nn::PlainLoopsOf(NN_F32), {x, sizeof(float)}, {m.rows, 1, m.stride, 1, 0, 0, 0},
                           static_cast<double>(m.rows), m.columns, pivot, sums.data(), squares.data(), mean, m2);
    }
    Distance distance;
    for (size_t j = 0; j < m.columns; ++j, distance.Next()) {
      AddMoments({mean[j], m2[j]}, MomentsOf({m.rows, 1, m.stride}, x + j), static_cast<double>(m.rows), &distance);
    }
    Report("column_sums", target, distance, kSum, memory.IsIntact() && m.GapsAreUntouched(x),
           Text(m) + " distribution " + std::to_string(shift) + " " + Text(place));
  });
}

// Sums that are trusted, too far from 0, infinite and NaN.
void column_moments(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t columns = 1; columns <= 70; ++columns) {
    double* sums = memory.parameters[1].Place<double>(columns, Side::kEnd, 0);
    double* squares = memory.parameters[2].Place<double>(columns, Side::kEnd, 0);
    constexpr double kSquares[] = {40, 15.5, INFINITY, NAN};
    for (size_t j = 0; j < columns; ++j) {
      sums[j] = 11 + static_cast<double>(j % 3);
      squares[j] = kSquares[j % 4];
    }
    bool good = BodyOf(table.column_moments)(columns, 1.0 / 8, sums, squares) == (columns < 2);
    for (size_t j = 0; j < columns; ++j) {
      const double sum = 11 + static_cast<double>(j % 3), m2 = kSquares[j % 4] - sum * (sum / 8);
      good &= sums[j] == sum / 8 && squares[j] == (j % 4 == 0 ? m2 : nn::kDistrusted);
    }
    Check(good && memory.IsIntact(), "%s column_moments: %zu", target, columns);
  }
}

void column_normalize(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForMatrices(target, [&](const Matrix& m, Place place) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* y = memory.y.Place<float>(m.Elements(), place.side, place.gap);
      float* x = in_place ? y : memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      m.Copy(Numbers(0).data(), x);
      const float* center = Parameter(memory.parameters[0], m.columns, Numbers(1).data());
      const float* scale = Parameter(memory.parameters[1], m.columns, Numbers(3).data());
      const float* shift = Parameter(memory.parameters[2], m.columns, Numbers(2).data());
      BodyOf(table.column_normalize, OptionIf(relu, nn::kRelu) | OptionIf(stream, nn::kStream))(
          x, y, m.rows, m.columns, m.stride, {center, scale, shift});
      Distance distance;
      m.ForAll([&](size_t, size_t j, size_t i) {
        const double product = (Numbers(0)[i] - double{center[j]}) * scale[j];
        distance.Add(y[i], Activated(product + shift[j], relu), 1 + fabs(product));
        distance.Next();
      });
      Report("column_normalize", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(y),
             Text(m) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
}

void column_gradient_sums(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForMatrices(target, [&](const Matrix& m, Place place) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool relu = flags & 1, constants = flags & 2, prefetch = flags & 4;
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.gap);
      float* dy = memory.dy.Place<float>(m.Elements(), place.side, place.Other(1));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(2)) : nullptr;
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      const float* center = Parameter(memory.parameters[0], m.columns, Numbers(2).data());
      m.ForAll([&](size_t, size_t j, size_t i) {
        if (constants && j % 3 != 2) x[i] = center[j];
      });
      nn::ColumnGradientSums found = {nullptr, nullptr, nullptr, nullptr, nullptr};
      double** sums[] = {&found.dy, &found.product, &found.residual, &found.exact_dy, &found.spread};
      for (size_t k = 0; k < (constants ? 5 : 3); ++k) {
        *sums[k] = memory.parameters[k + 1].Place<double>(nn::PaddedColumns(m.columns), Side::kEnd, 0);
      }
      BodyOf(table.column_gradient_sums, OptionIf(relu, nn::kRelu))(x, dy, y, m.rows, m.columns, m.stride, center,
                                                                    prefetch, found);
      std::vector<Sums> expected(m.columns);
      m.ForAll([&](size_t, size_t j, size_t i) { expected[j].Add(Cut(dy, y, i), x[i] - double{center[j]}); });
      Distance distance;
      for (size_t j = 0; j < m.columns; ++j) {
        expected[j].Compare({found.dy[j], found.product[j], found.residual[j]}, &distance);
      }
      bool good = true;
      for (size_t j = 0; constants && j < m.columns; ++j) {
        good &= fabs(found.exact_dy[j] - expected[j].dy) <= kExactSum * expected[j].dy_scale;
        good &= (found.spread[j] == 0) == (j % 3 != 2);
      }
      Report("column_gradient_sums", target, distance, kSum, memory.IsIntact() && good,
             Text(m) + " flags " + std::to_string(flags) + " " + Text(place));
    }
  });
  const size_t rows = kLong / 3, padded = nn::PaddedColumns(3);
  const Matrix m = {rows, 3, 3};
  float* x = memory.x.Place<float>(m.Elements(), Side::kEnd, 0);
  float* dy = memory.dy.Place<float>(m.Elements(), Side::kEnd, 0);
  const float center[16] = {0.1f, 0.1f, 0.1f};
  std::vector<double> sum(padded), product(padded), residual(padded), exact(padded), spread(padded);
  Sums expected;
  m.ForAll([&](size_t, size_t j, size_t i) {
    x[i] = 0.7f;
    dy[i] = 0.1f;
    if (j == 0) expected.Add(dy[i], x[i] - double{center[j]});
  });
  BodyOf(table.column_gradient_sums)(x, dy, nullptr, rows, 3, 3, center, false,
                                     {sum.data(), product.data(), residual.data(), exact.data(), spread.data()});
  Distance distance;
  Check(exact[0] == static_cast<double>(rows) * double{0.1f}, "%s column_gradient_sums: %.17g of %zu times 0.1f",
        target, exact[0], rows);
  for (size_t j = 0; j < 3; ++j) expected.Compare({sum[j], product[j], residual[j]}, &distance);
  Report("column_gradient_sums", target, distance, kLongSum, memory.IsIntact(), "long");
}

void column_gradient(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  ForMatrices(target, [&](const Matrix& m, Place place) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool in_place = flags & 1, relu = flags & 2, stream = flags & 4;
      float* dx = memory.dx.Place<float>(m.Elements(), place.side, place.gap);
      float* x = memory.x.Place<float>(m.Elements(), place.side, place.Other(1));
      float* dy = in_place ? dx : memory.dy.Place<float>(m.Elements(), place.side, place.Other(2));
      float* y = relu ? memory.y.Place<float>(m.Elements(), place.side, place.Other(3)) : nullptr;
      m.Copy(Numbers(0).data(), x);
      m.Copy(Numbers(1).data(), dy);
      if (relu) m.Copy(Outputs().data(), y);
      const bool constants = (m.rows + m.columns) % 2 == 0;
      nn::ColumnGradient g = {nullptr, nullptr, nullptr, nullptr, nullptr};
      const float** parameters[] = {&g.center, &g.dy_factor, &g.x_factor, &g.constant, &g.dy_center};
      for (size_t k = 0; k < (constants ? 5 : 4); ++k) {
        *parameters[k] = Parameter(memory.parameters[k], m.columns, Numbers(2).data() + 1000 * k);
      }
      BodyOf(table.column_gradient, OptionIf(relu, nn::kRelu) | OptionIf(stream, nn::kStream))(x, dy, y, dx, m.rows,
                                                                                               m.columns, m.stride, g);
      Distance distance;
      m.ForAll([&](size_t, size_t j, size_t i) {
        const double dy_center = constants ? g.dy_center[j] : 0;
        const double direct = g.dy_factor[j] * (Cut(Numbers(1).data(), y, i) - dy_center);
        const double rest = double{g.x_factor[j]} * (x[i] - double{g.center[j]});
        distance.Add(dx[i], direct + rest + g.constant[j], 1 + fabs(direct) + fabs(rest));
        distance.Next();
      });
      Report("column_gradient", target, distance, kValue, memory.IsIntact() && m.GapsAreUntouched(dx),
             Text(m) + " " + Text(place) + " flags " + std::to_string(flags));
    }
  });
}

// What the parameters make of an input is what counts: how they divide it into center and shift is their own affair.
void column_affines(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t columns = 1; columns <= 70; ++columns) {
    for (int flags = 0; flags < 4; ++flags) {
      double* mean = memory.parameters[0].Place<double>(columns, Side::kEnd, 0);
      double* variance = memory.parameters[1].Place<double>(columns, Side::kEnd, 0);
      float* weight = flags & 1 ? memory.parameters[2].Place<float>(columns, Side::kEnd, 0) : nullptr;
      float* bias = flags & 2 ? memory.dx.Place<float>(columns, Side::kEnd, 0) : nullptr;
      for (size_t j = 0; j < columns; ++j) {
        mean[j] = ParameterMean(j);
        variance[j] = ParameterVariance(j);
        if (weight != nullptr) weight[j] = Numbers(3)[j];
        if (bias != nullptr) bias[j] = Numbers(2)[j];
      }
      float* center = memory.parameters[3].Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
      float* scale = memory.parameters[4].Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
      float* shift = memory.parameters[5].Place<float>(nn::PaddedColumns(columns), Side::kEnd, 0);
      const bool some_marked =
          BodyOf(table.column_affines)(mean, variance, columns, kEps, weight, bias, center, scale, shift);
      Distance distance;
      bool good = some_marked == (columns > 9);
      for (size_t j = 0; j < columns; ++j, distance.Next()) {
        good &= isnan(scale[j]) == IsHuge(j);
        if (IsHuge(j)) continue;
        const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + kEps);
        for (double away : {0.0, 1.0, -3.0}) {
          const float x = static_cast<float>(mean[j] + away / (inverse == 0 ? 1 : inverse));
          const double xhat = (x - mean[j]) * inverse;
          const double value = xhat * (weight == nullptr ? 1 : weight[j]) + (bias == nullptr ? 0 : bias[j]);
          distance.Add((x - double{center[j]}) * scale[j] + shift[j], value, 1 + fabs(xhat) + fabs(value));
        }
      }
      Report("column_affines", target, distance, kValue, memory.IsIntact() && good,
             std::to_string(columns) + " flags " + std::to_string(flags));
    }
  }
}

void column_gradients(const Table& table, const char* target) {
  Memory& memory = TheMemory();
  for (size_t columns = 1; columns <= 70; ++columns) {
    for (int flags = 0; flags < 6; ++flags) {
      const bool weighted = flags & 1, given = flags & 2, constants = flags & 4;
      const double n = 50;
      const size_t padded = nn::PaddedColumns(columns);
      double* mean = memory.parameters[0].Place<double>(columns, Side::kEnd, 0);
      double* variance = memory.parameters[1].Place<double>(columns, Side::kEnd, 0);
      float* weight = weighted ? memory.parameters[2].Place<float>(columns, Side::kEnd, 0) : nullptr;
      double* sum = memory.parameters[3].Place<double>(padded, Side::kEnd, 0);
      double* product = memory.parameters[4].Place<double>(padded, Side::kEnd, 0);
      double* residual = memory.parameters[5].Place<double>(padded, Side::kEnd, 0);
      float* center = memory.x.Place<float>(padded, Side::kEnd, 0);
      float* dy_factor = memory.y.Place<float>(padded, Side::kEnd, 0);
      float* x_factor = memory.dy.Place<float>(padded, Side::kEnd, 0);
      float* constant = memory.dx.Place<float>(padded, Side::kEnd, 0);
      std::vector<float> dy_center(padded, NAN);
      std::vector<double> products(columns), deviations(columns);
      for (size_t j = 0; j < columns; ++j) {
        // The means handed over are floats; what they were before is told by the residuals.
        mean[j] = static_cast<float>(ParameterMean(j));
        variance[j] = ParameterVariance(j);
        deviations[j] = sqrt(variance[j]);
        if (weighted) weight[j] = Numbers(3)[j];
        sum[j] = n * Numbers(2)[j] * (IsHuge(j) ? 1e35 : 1);
        const bool spread = variance[j] != 0;
        products[j] = product[j] = spread ? n * Numbers(1)[j + 7] * (deviations[j] + 0.01) : 0;
        residual[j] = spread ? n * 0.03 * Numbers(0)[j + 7] : 0;
      }
      std::vector<bool> outside(columns);  // a sum that is huge, and no spread
      bool some_outside = false;
      for (size_t j = 0; j < columns; ++j) {
        outside[j] = (IsHuge(j) && variance[j] < 1e38) || (!given && !constants && variance[j] == 0);
        some_outside = some_outside || outside[j];
      }
      bool good =
          some_outside == BodyOf(table.column_gradients)({sum, product, residual, nullptr, nullptr}, mean, variance,
                                                         columns, kEps, weight, n, given, center, dy_factor, x_factor,
                                                         constant, constants ? dy_center.data() : nullptr);
      Distance distance;
      for (size_t j = 0; j < columns; ++j, distance.Next()) {
        good &= isnan(dy_factor[j]) == outside[j];
        if (outside[j]) continue;
        const double inverse = 1 / sqrt(static_cast<float>(variance[j]) + kEps), w = weighted ? weight[j] : 1;
        const double offset = given || inverse == 0 ? 0 : residual[j] / n, exact_mean = mean[j] + offset;
        const double centered = products[j] - offset * sum[j];  // sum(dy * (x - mean))
        distance.Add(product[j], inverse * centered, fabs(inverse * products[j]) + 1e-300);
        for (double away : {0.0, 1.0, -3.0}) {
          const float x = static_cast<float>(mean[j] + away / (inverse == 0 ? 1 : inverse));
          const double dy = 0.7, direct = w * inverse * dy;
          const double by_mean = w * inverse * sum[j] / n;
          const double by_variance = w * inverse * inverse * inverse * (x - exact_mean) * centered / n;
          const double value = given ? direct : direct - by_mean - by_variance;
          const double by_dy = dy_factor[j] * (dy - (constants ? dy_center[j] : 0));
          const double found = by_dy + x_factor[j] * (x - double{center[j]}) + constant[j];
          const double rest = w * inverse * inverse * inverse * (fabs(x - mean[j]) + fabs(offset)) *
                              (fabs(products[j]) + fabs(offset * sum[j])) / n;
          distance.Add(found, value, fabs(direct) + fabs(by_mean) + rest + 1e-300);
        }
      }
      Report("column_gradients", target, distance, kValue, memory.IsIntact() && good,
             std::to_string(columns) + " flags " + std::to_string(flags));
    }
  }
}

}  // namespace test_of
}  // namespace nntest
