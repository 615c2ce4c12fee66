package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Ghost batches: by the numbers what the oracle has for each of them, by the bits a layer's calls
 * with one after the other.
 */
@SuppressWarnings("try") // the scopes are there to close
class GhostTest {
  private static final int C = 5;
  private static final double EPS = 1e-5;

  /** What is divided, and the ghost batches that must come of it. */
  record Case(
      Backend backend,
      DataType type,
      Layout layout,
      boolean relu,
      int spatial,
      long virtual,
      int... parts) {
    int samples() {
      return Arrays.stream(parts).sum();
    }

    int size() {
      return samples() * C * spatial;
    }

    long[] shape() {
      return spatial == 1 ? new long[] {samples(), C} : new long[] {samples(), C, spatial};
    }

    BatchNorm layer(boolean ghost) {
      BatchNorm.Builder builder = BatchNorm.builder(C).backend(backend);
      builder.activation(relu ? Activation.RELU : Activation.NONE);
      BatchNorm layer = (ghost ? builder.ghost(virtual) : builder).build();
      layer.weight().copyFrom(TestData.normal(3, C, 1, 0.5));
      layer.bias().copyFrom(TestData.normal(4, C, 0, 1));
      return layer;
    }

    Tensor tensor(long seed) {
      float[] values = TestData.normal(seed, size(), 1, 2);
      try (Tensor plain = Tensor.of(values, shape());
          Tensor stored = plain.to(type)) {
        return TensorScope.made(stored.to(layout));
      }
    }

    Tensor like() {
      return Tensor.allocate(type, layout, shape());
    }

    /** The same elements, ghost batch by ghost batch. */
    List<Tensor> parts(Tensor whole) {
      List<Tensor> made = new ArrayList<>();
      long from = 0;
      for (int part : parts) {
        made.add(whole.narrow(0, from, part));
        from += part;
      }
      return made;
    }

    double[] part(double[] whole, int i) {
      int from = Arrays.stream(parts).limit(i).sum() * C * spatial;
      return Arrays.copyOfRange(whole, from, from + parts[i] * C * spatial);
    }

    Oracle oracle(BatchNorm layer, int i) {
      float[] weight = layer.weight().toArray();
      float[] bias = layer.bias().toArray();
      return new Oracle(Oracle.Kind.BATCH, parts[i], C, spatial, 1, EPS, weight, bias, relu);
    }
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    boolean relu = false;
    for (Backend backend : TestEngines.all()) {
      for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16)) {
        if (type != DataType.F32 && backend == Backend.ONEDNN) {
          continue;
        }
        for (Layout layout : Layout.values()) {
          relu = !relu;
          cases.add(new Case(backend, type, layout, relu, 6, 4, 3, 3, 3));
          cases.add(new Case(backend, type, layout, !relu, 6, 4, 4, 4, 2));
          cases.add(new Case(backend, type, layout, relu, 1, 4, 3, 2));
          cases.add(new Case(backend, type, layout, !relu, 7, 2, 2, 2, 1));
          cases.add(new Case(backend, type, layout, relu, 3, 100, 6));
          cases.add(new Case(backend, type, layout, !relu, 3, 1, 1, 1, 1, 1));
        }
      }
    }
    return cases.stream();
  }

  private static void assertClose(double[] expected, float[] found, double step, String what) {
    assertEquals(expected.length, found.length, what);
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(found[i] - expected[i]) - step * Math.abs(expected[i]);
      double bound = 1e-5 * (1 + Math.abs(expected[i]));
      assertTrue(error <= bound, what + " " + i + ": " + found[i] + " for " + expected[i]);
    }
  }

  private static double[] joined(List<double[]> parts) {
    return parts.stream().flatMapToDouble(Arrays::stream).toArray();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void eachIsWhatTheOracleHas(Case c) {
    double step = c.type == DataType.BF16 ? 0x1p-8 : c.type == DataType.F16 ? 0x1p-11 : 0;
    try (BatchNorm layer = c.layer(true);
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(1);
      Tensor dy = c.tensor(2);
      double[] values = TestData.widen(CallSubjects.inOrder(x));
      double[] slopes = TestData.widen(CallSubjects.inOrder(dy));
      List<double[]> y = new ArrayList<>();
      List<double[]> dx = new ArrayList<>();
      List<double[]> mean = new ArrayList<>();
      List<double[]> variance = new ArrayList<>();
      double[] dWeight = new double[C];
      double[] dBias = new double[C];
      double[] runningMean = new double[C];
      double[] runningVar = new double[C];
      Arrays.fill(runningVar, 1);
      for (int i = 0; i < c.parts.length; i++) {
        Oracle oracle = c.oracle(layer, i);
        y.add(oracle.forward(c.part(values, i)));
        double[][] gradients = oracle.backward(c.part(values, i), c.part(slopes, i));
        dx.add(gradients[0]);
        mean.add(oracle.mean);
        variance.add(oracle.variance);
        double n = c.parts[i] * (double) c.spatial;
        for (int k = 0; k < C; k++) {
          dWeight[k] += gradients[1][k];
          dBias[k] += gradients[2][k];
          runningMean[k] += 0.1 * (oracle.mean[k] - runningMean[k]);
          runningVar[k] += 0.1 * (oracle.variance[k] * n / (n - 1) - runningVar[k]);
        }
      }
      Pass pass = layer.forwardTraining(x);
      Gradients gradients = pass.backward(dy);
      assertClose(joined(y), CallSubjects.inOrder(pass.output()), step, "y");
      assertClose(joined(dx), CallSubjects.inOrder(gradients.input()), step, "dx");
      assertClose(dWeight, gradients.weight().toArray(), 0, "dWeight");
      assertClose(dBias, gradients.bias().toArray(), 0, "dBias");
      assertArrayEquals(new long[] {c.parts.length, C}, pass.mean().shape());
      assertArrayEquals(new long[] {c.parts.length, C}, pass.variance().shape());
      assertClose(joined(mean), pass.mean().toArray(), 0, "mean");
      assertClose(joined(variance), pass.variance().toArray(), 0, "variance");
      assertClose(runningMean, layer.runningMean().toArray(), 0, "running mean");
      assertClose(runningVar, layer.runningVar().toArray(), 0, "running variance");
      assertEquals(c.parts.length, layer.numBatchesTracked());
    }
  }

  /** A layer's calls with one ghost batch after the other. */
  private record Calls(BatchNorm layer, Case c) {
    /** What comes of x, and the gradients of dy: parameters' are summed in doubles. */
    void step(Tensor x, Tensor y, Tensor dy, Tensor dx, Tensor dWeight, Tensor dBias) {
      double[][] sums = new double[2][C];
      for (int i = 0; i < c.parts.length; i++) {
        Pass pass = layer.forwardTraining(c.parts(x).get(i), c.parts(y).get(i));
        pass.backward(c.parts(dy).get(i), c.parts(dx).get(i), dWeight, dBias);
        for (int k = 0; k < C; k++) {
          sums[0][k] += dWeight.toArray()[k];
          sums[1][k] += dBias.toArray()[k];
        }
      }
      dWeight.copyFrom(rounded(sums[0]));
      dBias.copyFrom(rounded(sums[1]));
    }

    private static float[] rounded(double[] values) {
      float[] floats = new float[values.length];
      for (int i = 0; i < floats.length; i++) {
        floats[i] = (float) values[i];
      }
      return floats;
    }
  }

  private static void assertSameRunning(BatchNorm expected, BatchNorm found) {
    assertArrayEquals(expected.runningMean().toArray(), found.runningMean().toArray());
    assertArrayEquals(expected.runningVar().toArray(), found.runningVar().toArray());
    assertEquals(expected.numBatchesTracked(), found.numBatchesTracked());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void byTheBitsItIsACallForEach(Case c) {
    try (BatchNorm layer = c.layer(true);
        BatchNorm other = c.layer(false);
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(1);
      Tensor dy = c.tensor(2);
      Tensor[] expected = {c.like(), c.like(), Tensor.zeros(C), Tensor.zeros(C)};
      Calls calls = new Calls(other, c);
      calls.step(x, expected[0], dy, expected[1], expected[2], expected[3]);

      Pass made = layer.forwardTraining(x);
      assertSame(expected[0], made.output());
      assertSameRunning(other, layer);
      Gradients gradients = made.backward(dy);
      assertSame(expected[1], gradients.input());
      assertSame(expected[2], gradients.weight());
      assertSame(expected[3], gradients.bias());

      Tensor y = c.like();
      Tensor dx = c.like();
      Tensor dWeight = Tensor.zeros(C);
      Tensor dBias = Tensor.zeros(C);
      Pass given = layer.forwardTraining(dy, y);
      given.forward(x, y);
      assertSame(expected[0], y);
      given.backward(dy, dx, dWeight, dBias);
      assertSame(expected[1], dx);
      assertSame(expected[2], dWeight);
      assertSame(expected[3], dBias);
      given.backward(dy, null, dWeight, null);
      assertSame(expected[2], dWeight);

      expected[2].addScaled(1, expected[2]); // on the sums of before
      expected[3].addScaled(1, expected[3]);
      Tensor inPlace = dy.to(c.layout);
      given.accumulate(inPlace, inPlace, dWeight, dBias);
      assertSame(expected[1], inPlace);
      assertSame(expected[2], dWeight);
      assertSame(expected[3], dBias);

      long count = layer.numBatchesTracked();
      assertEquals(3 * c.parts.length, count);
      assertSame(expected[0], layer.forwardTrainingWithoutUpdate(x).output());
      assertEquals(count, layer.numBatchesTracked());
    }
  }

  private static void assertSame(Tensor expected, Tensor found) {
    assertArrayEquals(expected.toArray(), found.toArray());
  }

  /** Small arrays are held in place on any JVM, large ones on some, and else copied. */
  @ParameterizedTest
  @CsvSource({"6", "4001"})
  void arraysHaveTheSameBits(int spatial) {
    for (Backend backend : TestEngines.all()) {
      for (boolean relu : new boolean[] {false, true}) {
        Case c = new Case(backend, DataType.F32, Layout.CHANNELS_FIRST, relu, spatial, 4, 4, 4, 2);
        try (BatchNorm layer = c.layer(true);
            BatchNorm other = c.layer(false);
            TensorScope scope = TensorScope.open()) {
          Tensor x = c.tensor(1);
          Tensor dy = c.tensor(2);
          Tensor[] expected = {c.like(), c.like(), Tensor.zeros(C), Tensor.zeros(C)};
          new Calls(other, c).step(x, expected[0], dy, expected[1], expected[2], expected[3]);
          float[] input = x.toArray();
          float[] slope = dy.toArray();
          float[] y = new float[c.size()];
          float[] dx = new float[c.size()];
          float[] dWeight = new float[C];
          float[] dBias = new float[C];
          Pass pass = layer.forwardTraining(input, y, c.shape());
          assertArrayEquals(expected[0].toArray(), y, c + " y");
          assertSameRunning(other, layer);
          pass.forward(slope, y);
          pass.forward(input, y);
          pass.backward(slope, dx, dWeight, dBias);
          assertArrayEquals(expected[0].toArray(), y, c + " y again");
          assertArrayEquals(expected[1].toArray(), dx, c + " dx");
          assertArrayEquals(expected[2].toArray(), dWeight, c + " dWeight");
          assertArrayEquals(expected[3].toArray(), dBias, c + " dBias");
          pass.backward(slope, slope, null, null);
          assertArrayEquals(expected[1].toArray(), slope, c + " in place");
        }
      }
    }
  }

  /** The gradient against differences of the oracle's forward, ghost batch by ghost batch. */
  @ParameterizedTest
  @MethodSource("cases")
  void gradientIsThatOfTheDifferences(Case c) {
    if (c.type != DataType.F32) {
      return;
    }
    try (BatchNorm layer = c.layer(true);
        TensorScope scope = TensorScope.open()) {
      Tensor x = c.tensor(1);
      double[] values = TestData.widen(CallSubjects.inOrder(x));
      float[] slopes = TestData.normal(5, c.size(), 0, 1);
      int at = 0;
      for (int i = 0; i < c.parts.length; i++) {
        for (boolean near : c.oracle(layer, i).undecided(c.part(values, i))) {
          slopes[at] = near ? 0 : slopes[at];
          at++;
        }
      }
      Tensor dy = Tensor.of(slopes, c.shape()).to(c.layout);
      float[] dx = CallSubjects.inOrder(layer.forwardTraining(x).backward(dy).input());
      for (int e = 0; e < values.length; e++) {
        double middle = values[e];
        values[e] = middle + 1e-5;
        double above = loss(c, layer, values, slopes);
        values[e] = middle - 1e-5;
        double below = loss(c, layer, values, slopes);
        values[e] = middle;
        assertEquals((above - below) / 2e-5, dx[e], 1e-4, c + ": element " + e);
      }
    }
  }

  private static double loss(Case c, BatchNorm layer, double[] x, float[] dy) {
    double loss = 0;
    int at = 0;
    for (int i = 0; i < c.parts.length; i++) {
      for (double value : c.oracle(layer, i).forward(c.part(x, i))) {
        loss += value * dy[at++];
      }
    }
    return loss;
  }

  @Test
  void sumsOfManyGhostBatchesAreExact() {
    int samples = 200_000;
    float[] slopes = TestData.normal(11, samples, 1, 0.3);
    double sum = 0;
    for (float slope : slopes) {
      sum += slope;
    }
    try (BatchNorm layer = BatchNorm.builder(1).ghost(2).build();
        Tensor x = Tensor.of(TestData.normal(10, samples, 1, 2), samples, 1);
        Tensor dy = Tensor.of(slopes, samples, 1);
        Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(dy)) {
      assertEquals(sum, gradients.bias().toArray()[0], 1e-7 * sum);
    }
  }

  /** A plan that counts its calls. */
  private static final class Counter extends Plan {
    private int calls;

    private Counter() {
      super("counter");
    }

    @Override
    protected void run(Operands operands) {
      calls++;
    }

    @Override
    protected void runGradients(Operands operands) {
      calls++;
    }
  }

  @Test
  void nothingRunsWhereTheLastOneHasNoPlan() {
    try (BatchNorm layer = BatchNorm.of(C)) {
      Problem problem =
          layer.trainingProblem(new long[] {4, C, 3}, DataType.BF16, Layout.CHANNELS_FIRST);
      PassPlans refused = new PassPlans("layer", problem, Backend.ONEDNN, null, null);
      GhostPass ghosts = new GhostPass(GhostBatches.of(10, 4), refused);
      Counter full = new Counter();
      assertThrows(NativeNormException.class, () -> ghosts.forward(full, Operands.NONE));
      assertThrows(NativeNormException.class, () -> ghosts.backward(full, Operands.NONE));
      assertEquals(0, full.calls);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "9, 4, 3, 3",
    "10, 4, 4, 3",
    "9, 9, 9, 1",
    "9, 100, 9, 1",
    "9, 1, 1, 9",
    "1, 4, 1, 1",
    "0, 4, 1, 0",
    "100, 33, 25, 4",
    "101, 33, 26, 4",
    "7, 3, 3, 3",
    "256, 32, 32, 8",
    "1099511627776, 9223372036854775807, 1099511627776, 1"
  })
  void samplesAreDividedAsChunkDoesIt(long samples, long virtual, long each, long count) {
    GhostBatches batches = GhostBatches.of(samples, virtual);
    assertEquals(each, batches.each());
    assertEquals(count, batches.count());
    long sum = 0;
    for (long i = 0; i < batches.count(); i++) {
      sum += batches.samplesOf(i);
      assertTrue(batches.samplesOf(i) >= batches.fewest() && batches.samplesOf(i) <= each);
    }
    assertEquals(samples, sum);
  }

  @Test
  void anEmptyBatchHasNone() {
    try (BatchNorm layer = BatchNorm.builder(C).ghost(4).build();
        TensorScope scope = TensorScope.open()) {
      for (long[] shape : new long[][] {{0, C}, {0, C, 3}, {9, C, 0}}) {
        Pass pass = layer.forwardTraining(Tensor.zeros(shape));
        assertEquals(0, pass.mean().size());
        assertEquals(C, pass.mean().shape()[1]);
        Gradients gradients = pass.backward(Tensor.zeros(shape));
        assertArrayEquals(new float[C], gradients.weight().toArray());
        assertArrayEquals(new float[C], gradients.bias().toArray());
      }
      assertEquals(0, layer.numBatchesTracked());
    }
  }

  @Test
  void aGhostBatchOfOneValueIsRefusedOrPassed() {
    float[] values = TestData.normal(6, 5 * C, 3, 1);
    try (BatchNorm refusing = BatchNorm.builder(C).ghost(2).build();
        BatchNorm passing =
            BatchNorm.builder(C).ghost(2).oneValuePerChannel(OneValue.PASS).build();
        BatchNorm calls = BatchNorm.builder(C).oneValuePerChannel(OneValue.PASS).build();
        TensorScope scope = TensorScope.open()) {
      Tensor x = Tensor.of(values, 5, C);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> refusing.forwardTraining(x));
      assertEquals(
          "BatchNorm(5): Expected more than 1 value per channel when training, but of input size"
              + " [5, 5] ghost(2) makes a ghost batch of 1 sample",
          e.getMessage());
      assertThrows(
          IllegalArgumentException.class,
          () -> refusing.forwardTraining(values, new float[5 * C], 5, C));
      assertThrows(IllegalArgumentException.class, () -> refusing.forwardTrainingWithoutUpdate(x));
      assertEquals(0, refusing.numBatchesTracked());
      refusing.forwardFrozen(x);
      refusing.forward(x);
      refusing.forwardTraining(x.narrow(0, 0, 4));
      passing.bias().copyFrom(new float[] {1, 2, 3, 4, 5});
      Pass pass = passing.forwardTraining(x);
      assertArrayEquals(
          new float[] {1, 2, 3, 4, 5}, Arrays.copyOfRange(pass.output().toArray(), 4 * C, 5 * C));
      for (int from = 0; from < 5; from += 2) {
        calls.forwardTraining(x.narrow(0, from, Math.min(2, 5 - from)));
      }
      assertSameRunning(calls, passing);
      assertThrows(
          IllegalArgumentException.class, () -> refusing.forwardTraining(x.narrow(0, 0, 1)));
    }
  }

  @Test
  void aGhostBatchThatIsNotFiniteIsLeftOutAndTheOthersAreNot() {
    float[] values = TestData.normal(7, 10 * C * 3, 3, 1);
    values[5 * C * 3] = Float.NaN; // of the second one
    try (BatchNorm layer = BatchNorm.builder(C).ghost(4).skipNonFinite(true).build();
        BatchNorm calls = BatchNorm.builder(C).build();
        TensorScope scope = TensorScope.open()) {
      Tensor x = Tensor.of(values, 10, C, 3);
      layer.forwardTraining(x);
      calls.forwardTraining(x.narrow(0, 0, 4));
      calls.forwardTraining(x.narrow(0, 8, 2));
      assertSameRunning(calls, layer);
      assertEquals(2, layer.numBatchesTracked());
      assertEquals(1, layer.batchesSkipped());
    }
  }

  @Test
  void theAverageOfBatchesIsThatOfGhostBatches() {
    try (BatchNorm layer = BatchNorm.builder(C).ghost(3).cumulative().build();
        BatchNorm calls = BatchNorm.builder(C).cumulative().build();
        TensorScope scope = TensorScope.open()) {
      Tensor x = Tensor.of(TestData.normal(8, 9 * C * 3, 3, 1), 9, C, 3);
      for (int round = 0; round < 2; round++) {
        layer.forwardTraining(x);
        for (int i = 0; i < 3; i++) {
          calls.forwardTraining(x.narrow(0, 3 * i, 3));
        }
      }
      assertSameRunning(calls, layer);
    }
  }

  @Test
  void frozenStatisticsKnowNone() {
    try (BatchNorm layer = BatchNorm.builder(C).ghost(2).build();
        TensorScope scope = TensorScope.open()) {
      Tensor x = Tensor.of(TestData.normal(9, 5 * C * 3, 3, 1), 5, C, 3);
      layer.forwardTraining(x);
      float[] inferred = layer.forward(x).toArray();
      long count = layer.numBatchesTracked();
      layer.freeze();
      Pass frozen = layer.forwardTraining(x);
      assertArrayEquals(inferred, frozen.output().toArray());
      assertArrayEquals(new long[] {C}, frozen.mean().shape());
      assertEquals(count, layer.numBatchesTracked());
      frozen.backward(x);
      layer.thaw();
      assertArrayEquals(new long[] {3, C}, layer.forwardTraining(x).mean().shape());
    }
  }

  @Test
  void whatIsNotComputedIsRefused() {
    BatchNorm.Builder builder = BatchNorm.builder(C);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> builder.ghost(0));
    assertEquals("BatchNorm(5): ghost's virtual batch must be positive, but got 0", e.getMessage());
    e =
        assertThrows(
            IllegalArgumentException.class, builder.ghost(4).trackRunningStats(false)::build);
    assertEquals(
        "BatchNorm(5): ghost(4) needs running statistics, as inference without them would be by"
            + " those of a whole batch, but got trackRunningStats(false)",
        e.getMessage());
  }
}
