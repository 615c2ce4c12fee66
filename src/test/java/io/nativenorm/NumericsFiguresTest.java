package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.LayerCase.Kind;
import io.nativenorm.engine.Storage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The table of errors in docs/numbers.md against what is measured, over layers, layouts, means of 0
 * to 10^6 standard deviations (to 10^4 in F16, which ends at 65504) and units of 2 to 10^6 values
 * (to 10^5 in 16 bits, with one seed).
 */
@SameOnAnyJvm
class NumericsFiguresTest {
  private static final Pattern ROW =
      Pattern.compile(
          "^\\| `(\\w+)`(?: in (\\w+))? \\| ([\\d.e-]+) \\| ([\\d.e-]+) \\| ([\\d.e-]+) \\| ([\\d.e-]+) \\|$");

  /** The table says no more than this many times what is measured: processors differ. */
  private static final double SLACK = 5;

  private static final List<String> COLUMNS = List.of("y", "dx", "dweight", "dbias");
  private static final double[] MEANS = {0, 0.3, 1, 3, 10, 100, 1e3, 1e4, 1e6};
  private static final int[] UNITS = {2, 3, 12, 100, 3000};
  private static final int[] LARGE_UNITS = {100_000, 1_000_000};
  private static final int SEEDS = 3;
  private static final double F16_MOST = 1e4;

  /** Of y in F32, as the table has it. */
  private static final double F32_ERROR = 3e-6;

  /**
   * Half of what lies between a number of the type and the next, over 2 to the number's exponent.
   */
  private static final Map<DataType, Double> HALF_UNITS =
      Map.of(DataType.BF16, 0x1p-8, DataType.F16, 0x1p-11);

  /** Whose errors are measured; a row of the table. */
  private record Subject(Backend backend, DataType type) {
    @Override
    public String toString() {
      return "`" + backend + "`" + (type == DataType.F32 ? "" : " in " + type);
    }
  }

  private static Map<Subject, double[]> stated() throws IOException {
    Map<Subject, double[]> rows = new LinkedHashMap<>();
    for (String line : Files.readAllLines(Path.of("docs/numbers.md"))) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        double[] figures =
            IntStream.range(3, 7).mapToDouble(k -> Double.parseDouble(row.group(k))).toArray();
        String type = row.group(2) == null ? "F32" : row.group(2);
        rows.put(new Subject(Backend.valueOf(row.group(1)), DataType.valueOf(type)), figures);
      }
    }
    return rows;
  }

  @Test
  void theTableHasAllEnginesThatKeepTheirDigitsAtEveryMean() throws IOException {
    Set<Subject> wanted = new HashSet<>();
    for (Backend backend : List.of(Backend.FUSED, Backend.JAVA)) {
      Storage.COMPUTED.forEach(type -> wanted.add(new Subject(backend, type)));
    }
    assertEquals(wanted, stated().keySet());
  }

  @TestFactory
  List<DynamicTest> theTablesFiguresHold() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    stated()
        .forEach(
            (s, figures) ->
                tests.add(DynamicTest.dynamicTest(s.toString(), () -> hold(s, figures))));
    return tests;
  }

  private static void hold(Subject subject, double[] stated) {
    TestEngines.assumeThere(subject.backend);
    double[] measured = measure(subject);
    System.out.println(
        IntStream.range(0, 4)
            .mapToObj(k -> String.format(Locale.ROOT, "%.1e", measured[k]))
            .collect(Collectors.joining(" | ", "Measured: | " + subject + " | ", " |")));
    for (int k = 0; k < 4; k++) {
      String text = subject + ": " + COLUMNS.get(k) + " is off by " + measured[k];
      assertTrue(measured[k] <= stated[k], text + ", above the table's " + stated[k]);
      assertTrue(stated[k] <= SLACK * measured[k], text + ", far below the table's " + stated[k]);
    }
  }

  private static double[] measure(Subject subject) {
    double[] largest = new double[4];
    for (Kind kind : List.of(Kind.BATCH, Kind.LAYER, Kind.RMS, Kind.GROUP, Kind.INSTANCE)) {
      for (Layout layout : Layout.values()) {
        if (kind.isRows() && layout == Layout.CHANNELS_LAST) {
          continue;
        }
        double most = subject.type == DataType.F16 ? F16_MOST : Double.MAX_VALUE;
        boolean thin = subject.type != DataType.F32;
        int seeds = thin ? 1 : SEEDS;
        for (double mean : DoubleStream.of(MEANS).filter(mean -> mean <= most).toArray()) {
          for (int n : UNITS) {
            for (int seed = 1; seed <= (n < 1000 ? seeds : 1); seed++) {
              LayerCase c = new LayerCase(kind, layout, subject.backend, shape(kind, n));
              measure(c.withMean(mean).withSeed(seed), subject.type, largest);
            }
          }
        }
        for (int n : thin ? new int[] {LARGE_UNITS[0]} : LARGE_UNITS) {
          LayerCase c = new LayerCase(kind, layout, subject.backend, shape(kind, n));
          double mean = n == LARGE_UNITS[0] ? 3 : 1e6;
          measure(c.withMean(mean), subject.type, largest);
        }
      }
    }
    return largest;
  }

  /** Some units of n values; of many, one. */
  private static long[] shape(Kind kind, int n) {
    boolean large = n >= LARGE_UNITS[0];
    return switch (kind) {
      case BATCH -> n % 2 == 0 ? new long[] {2, large ? 1 : 3, n / 2} : new long[] {n, 3, 1};
      case GROUP ->
          n % 2 == 0 ? new long[] {large ? 1 : 2, large ? 2 : 6, n / 2} : new long[] {2, 9, n / 3};
      case INSTANCE -> new long[] {large ? 1 : 2, large ? 1 : 3, n};
      default -> new long[] {large ? 1 : 3, n};
    };
  }

  /**
   * Of y, |error| / (1 + |y|). Of the gradients, errors over what they are sums and differences of:
   * for dx the norm of dy * weight / sqrt(variance + eps), for dweight sum(|dy| (1 + |xhat|)), for
   * dbias sum(|dy|).
   */
  private static void measure(LayerCase c, DataType type, double[] largest) {
    try (Tensor input = rounded(c, c.x(), type);
        Tensor gradient = rounded(c, c.dy(), type)) {
      measure(c, input, gradient, largest);
    }
  }

  private static Tensor rounded(LayerCase c, float[] values, DataType type) {
    try (Tensor whole = c.tensor(values)) {
      return whole.to(type);
    }
  }

  private static void measure(LayerCase c, Tensor input, Tensor gradient, double[] largest) {
    Oracle oracle = c.trainingOracle();
    double[] x = TestData.widen(c.logical(input));
    double[] dy = TestData.widen(c.logical(gradient));
    double[] y = oracle.forward(x);
    double[][] expected = oracle.backward(x, dy);
    double[] xhat = oracle.xhat(x);
    double[] weightScale = new double[oracle.c];
    double[] biasScale = new double[oracle.c];
    double direct = 0;
    for (int e = 0; e < x.length; e++) {
      int channel = oracle.channelOf(e);
      weightScale[channel] += Math.abs(dy[e]) * (1 + Math.abs(xhat[e]));
      biasScale[channel] += Math.abs(dy[e]);
      double g = dy[e] * oracle.weight[channel];
      direct += Math.pow(g / oracle.deviation(oracle.unitOf(e)), 2);
    }
    try (NormLayer layer = c.layer();
        Tensor inferred = layer.forward(input);
        Pass pass = layer.forwardTraining(input);
        Gradients gradients = pass.backward(gradient)) {
      raise(largest, 0, TestData.largestMixedError(y, c.logical(inferred)));
      raise(largest, 0, TestData.largestMixedError(y, c.logical(pass.output())));
      assertRoundedOnce(y, c.logical(inferred), input.dataType());
      double square = 0;
      float[] dx = c.logical(gradients.input());
      for (int e = 0; e < dx.length; e++) {
        square += Math.pow(dx[e] - expected[0][e], 2);
      }
      raise(largest, 1, Math.sqrt(square / direct));
      raise(largest, 2, largestShare(expected[1], gradients.weight(), weightScale));
      raise(largest, 3, largestShare(expected[2], gradients.bias(), biasScale));
    }
  }

  /** Beyond the half unit of the last rounding nothing is lost but what F32 loses. */
  private static void assertRoundedOnce(double[] expected, float[] actual, DataType type) {
    double half = HALF_UNITS.getOrDefault(type, 0.0);
    for (int i = 0; i < actual.length; i++) {
      double error = Math.abs(actual[i] - expected[i]);
      double most = half * Math.abs(expected[i]) + F32_ERROR * (1 + Math.abs(expected[i]));
      assertTrue(error <= most, type + ": " + actual[i] + " for " + expected[i]);
    }
  }

  private static double largestShare(double[] expected, Tensor actual, double[] scale) {
    double largest = 0;
    if (actual != null) {
      float[] values = actual.toArray();
      for (int i = 0; i < values.length; i++) {
        largest = Math.max(largest, Math.abs(values[i] - expected[i]) / scale[i]);
      }
    }
    return largest;
  }

  /** NaN stays. */
  private static void raise(double[] largest, int column, double error) {
    largest[column] = Math.max(largest[column], error);
  }
}
