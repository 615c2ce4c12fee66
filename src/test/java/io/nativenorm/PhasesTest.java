package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** BatchNorm in phases on FUSED: two workers come to what the oracle has for the whole batch. */
class PhasesTest {
  private static final double EPS = 1e-5;

  /** A batch, which worker 0 has the first samples of and worker 1 the others. */
  record Batch(
      Layout layout, int samples, int first, int c, int s, double mean, boolean relu, int threads) {
    Problem problem(Task task, int count) {
      return new Problem(
          new Norm(Operation.BATCH, StatisticsSource.COMPUTED, EPS),
          new Shape(layout, count, c, s, 1),
          Storage.of(DataType.F32),
          new Affine(true, true),
          new Fusion(relu ? Activation.RELU : Activation.NONE),
          task,
          threads);
    }

    int samples(int worker) {
      return worker == 0 ? first : samples - first;
    }

    int values() {
      return samples * s;
    }
  }

  static Stream<Batch> batches() {
    List<Batch> batches = new ArrayList<>();
    int turn = 0;
    for (Layout layout : Layout.values()) {
      for (double mean : new double[] {0, 100, 1e4, 1e6}) {
        batches.add(new Batch(layout, 7, 3, 5, 70, mean, turn++ % 2 == 0, 1));
        batches.add(new Batch(layout, 2, 1, 33, 9, mean, turn++ % 2 == 0, 1));
        batches.add(new Batch(layout, 9, 8, 16, 1, mean, turn++ % 2 == 0, 1));
        batches.add(new Batch(layout, 4, 2, 3, 30001, mean, turn++ % 2 == 0, 4));
      }
    }
    return batches.stream();
  }

  private final List<PooledMemory> taken = new ArrayList<>();

  @BeforeEach
  void isThere() {
    TestEngines.assumeFused();
  }

  @AfterEach
  void giveBack() {
    taken.forEach(PooledMemory::close);
  }

  private Memory take(DataType type, long elements) {
    PooledMemory pooled = MemoryPool.take(type, elements);
    taken.add(pooled);
    return pooled.memory().first(type, elements);
  }

  private Memory floats(float... values) {
    Memory memory = take(DataType.F32, values.length);
    memory.write(0, values, 0, values.length);
    return memory;
  }

  /** Doubles have the size of I64's elements, whose halves are written and read as floats. */
  private Memory doubles(double... values) {
    Memory memory = take(DataType.I64, values.length);
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.nativeOrder());
    bytes.asDoubleBuffer().put(values);
    float[] halves = new float[2 * values.length];
    bytes.asFloatBuffer().get(halves);
    memory.write(0, halves, 0, halves.length);
    return memory;
  }

  private static double[] doublesOf(Memory memory) {
    double[] values = new double[(int) memory.elements()];
    float[] halves = new float[2 * values.length];
    memory.read(0, halves, 0, halves.length);
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.nativeOrder());
    bytes.asFloatBuffer().put(halves);
    bytes.asDoubleBuffer().get(values);
    return values;
  }

  private static float[] floatsOf(Memory memory) {
    float[] values = new float[(int) memory.elements()];
    memory.read(0, values, 0, values.length);
    return values;
  }

  private static void run(Problem problem, Operands operands) {
    Plan plan = Engines.acquire(problem, Backend.FUSED);
    try {
      plan.execute(operands);
    } finally {
      Engines.release(plan);
    }
  }

  /** Which of a worker's samples begin where, in both layouts. */
  private static Memory part(Batch b, int worker, Memory whole) {
    long sample = (long) b.c * b.s;
    return whole.slice(worker == 0 ? 0 : b.first * sample, b.samples(worker) * sample);
  }

  private static float[] asLaid(Batch b, float[] values) {
    return b.layout == Layout.CHANNELS_LAST
        ? TestData.channelsLast(values, b.samples, b.c, b.s)
        : values;
  }

  private static float[] asTold(Batch b, Memory laid) {
    return b.layout == Layout.CHANNELS_LAST
        ? TestData.channelsFirst(floatsOf(laid), b.samples, b.c, b.s)
        : floatsOf(laid);
  }

  /** Mean and sum of squared distances of each channel of some samples. */
  private double[][] measure(Batch b, Memory x, int samples) {
    Memory mean = doubles(new double[b.c]);
    Memory m2 = doubles(new double[b.c]);
    Operands operands =
        Operands.builder().put(Slot.SRC, x).put(Slot.MEAN, mean).put(Slot.VARIANCE, m2).build();
    run(b.problem(Task.MEASURE, samples), operands);
    return new double[][] {doublesOf(mean), doublesOf(m2)};
  }

  /** Chan's rule: mean and variance of both workers together. */
  private static double[][] merge(Batch b, double[][] one, double[][] other) {
    double[][] merged = new double[2][b.c];
    double a = (double) b.samples(0) * b.s;
    double n = b.values();
    for (int i = 0; i < b.c; i++) {
      double distance = other[0][i] - one[0][i];
      merged[0][i] = one[0][i] + distance * (n - a) / n;
      merged[1][i] = (one[1][i] + other[1][i] + distance * distance * a * (n - a) / n) / n;
    }
    return merged;
  }

  private static void assertNear(double[] expected, double[] actual, double[] scale, String what) {
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(actual[i] - expected[i]) / scale[i];
      assertTrue(error <= 1e-6, what + " of channel " + i + ": error " + error);
    }
  }

  @ParameterizedTest
  @MethodSource("batches")
  void twoWorkersComeToWhatTheWholeHas(Batch b) {
    int size = b.samples * b.c * b.s;
    float[] x = TestData.normal(11, size, b.mean, 1);
    float[] dy = TestData.normal(12, size, 0.1, 1);
    float[] weight = TestData.normal(13, b.c, 1, 0.5);
    float[] bias = TestData.normal(14, b.c, 0, 1);
    Oracle oracle =
        new Oracle(Oracle.Kind.BATCH, b.samples, b.c, b.s, 1, EPS, weight, bias, b.relu);
    final double[] y = oracle.forward(TestData.widen(x));
    Memory src = floats(asLaid(b, x));
    Memory diffDst = floats(asLaid(b, dy));
    Operands parameters =
        Operands.builder().put(Slot.WEIGHT, floats(weight)).put(Slot.BIAS, floats(bias)).build();

    double[][] found =
        merge(
            b,
            measure(b, part(b, 0, src), b.samples(0)),
            measure(b, part(b, 1, src), b.samples(1)));
    double[] spread = new double[b.c];
    for (int i = 0; i < b.c; i++) {
      spread[i] = 4 * Math.sqrt(oracle.variance[i]);
    }
    assertNear(oracle.mean, found[0], spread, "mean");
    assertNear(oracle.variance, found[1], spread, "variance");

    Operands statistics =
        parameters.with(Slot.MEAN, doubles(found[0])).with(Slot.VARIANCE, doubles(found[1]));
    Memory dst = floats(new float[size]);
    for (int worker = 0; worker < 2; worker++) {
      run(
          b.problem(Task.APPLY, b.samples(worker)),
          statistics.with(Slot.SRC, part(b, worker, src)).with(Slot.DST, part(b, worker, dst)));
    }
    double error = TestData.largestMixedError(y, asTold(b, dst));
    assertTrue(error <= 3e-6, () -> "y: error " + error);

    checkGradients(b, oracle, x, dy, statistics.with(Slot.SRC, src).with(Slot.DST, dst), diffDst);
  }

  /** Sums of both workers, added, are the gradients of weight and bias, and give that of input. */
  private void checkGradients(
      Batch b, Oracle oracle, float[] x, float[] dy, Operands operands, Memory diffDst) {
    // What is cut is decided by y as it came out; the oracle is told of what rounding decides.
    boolean[] undecided = oracle.undecided(TestData.widen(x));
    float[] seen = dy.clone();
    for (int e = 0; e < seen.length; e++) {
      seen[e] = undecided[e] ? 0 : dy[e];
    }
    diffDst.write(0, asLaid(b, seen), 0, seen.length);
    double[][] expected = oracle.backward(TestData.widen(x), TestData.widen(seen));
    double[] sums = new double[b.c];
    double[] centered = new double[b.c];
    for (int worker = 0; worker < 2; worker++) {
      Memory sum = doubles(new double[b.c]);
      Memory product = doubles(new double[b.c]);
      run(
          b.problem(Task.SUM_GRADIENTS, b.samples(worker)),
          ofWorker(b, worker, operands, diffDst)
              .with(Slot.SUM_DY, sum)
              .with(Slot.SUM_DY_CENTERED, product));
      for (int i = 0; i < b.c; i++) {
        sums[i] += doublesOf(sum)[i];
        centered[i] += doublesOf(product)[i];
      }
    }
    double[] weights = new double[b.c];
    double[] scale = new double[b.c];
    for (int i = 0; i < b.c; i++) {
      weights[i] = centered[i] / oracle.deviation(i);
      scale[i] = b.values();
    }
    assertNear(expected[1], weights, scale, "sum of the weight's gradient");
    assertNear(expected[2], sums, scale, "sum of the bias's gradient");

    Memory diffSrc = floats(new float[seen.length]);
    Operands merged =
        operands.with(Slot.SUM_DY, doubles(sums)).with(Slot.SUM_DY_CENTERED, doubles(centered));
    for (int worker = 0; worker < 2; worker++) {
      run(
          b.problem(Task.APPLY_GRADIENTS, b.samples(worker)),
          counted(b, ofWorker(b, worker, merged, diffDst))
              .with(Slot.DIFF_SRC, part(b, worker, diffSrc)));
    }
    double error = TestData.relativeL2(expected[0], asTold(b, diffSrc));
    // Two values a channel cancel nearly all of a gradient.
    assertTrue(error <= 1e-5, () -> "dx: relative error " + error);
  }

  private static Operands ofWorker(Batch b, int worker, Operands whole, Memory diffDst) {
    return whole
        .with(Slot.SRC, part(b, worker, whole.get(Slot.SRC)))
        .with(Slot.DST, part(b, worker, whole.get(Slot.DST)))
        .with(Slot.DIFF_DST, part(b, worker, diffDst));
  }

  private static Operands counted(Batch b, Operands operands) {
    Operands.Builder builder = Operands.builder().count(b.values());
    for (Slot slot : Slot.values()) {
      builder.put(slot, operands.get(slot));
    }
    return builder.build();
  }

  /** Measured and applied by one worker a batch has the bits of its training. */
  @ParameterizedTest
  @MethodSource("batches")
  void oneWorkerHasTheBitsOfTraining(Batch b) {
    int size = b.samples * b.c * b.s;
    Operands both =
        Operands.builder()
            .put(Slot.SRC, floats(asLaid(b, TestData.normal(21, size, b.mean, 1))))
            .put(Slot.WEIGHT, floats(TestData.normal(22, b.c, 1, 0.5)))
            .put(Slot.BIAS, floats(TestData.normal(23, b.c, 0, 1)))
            .build();
    Memory trained = floats(new float[size]);
    Memory mean = floats(new float[b.c]);
    Memory variance = floats(new float[b.c]);
    run(
        b.problem(Task.TRAIN, b.samples),
        both.with(Slot.DST, trained).with(Slot.MEAN, mean).with(Slot.VARIANCE, variance));

    double[][] found = measure(b, both.get(Slot.SRC), b.samples);
    float[][] rounded = new float[2][b.c];
    for (int i = 0; i < b.c; i++) {
      found[1][i] *= 1.0 / b.values();
      rounded[0][i] = (float) found[0][i];
      rounded[1][i] = (float) found[1][i];
    }
    Memory applied = floats(new float[size]);
    run(
        b.problem(Task.APPLY, b.samples),
        both.with(Slot.DST, applied)
            .with(Slot.MEAN, doubles(found[0]))
            .with(Slot.VARIANCE, doubles(found[1])));
    assertArrayEquals(floatsOf(mean), rounded[0]);
    assertArrayEquals(floatsOf(variance), rounded[1]);
    assertArrayEquals(floatsOf(trained), floatsOf(applied));
  }

  @Test
  void whatAPhaseNeedsAndDoesNotGetIsSaid() {
    Batch b = new Batch(Layout.CHANNELS_FIRST, 2, 1, 3, 4, 0, false, 1);
    Operands operands = Operands.builder().put(Slot.SRC, floats(new float[24])).build();
    NativeNormException e =
        assertThrows(NativeNormException.class, () -> run(b.problem(Task.MEASURE, 2), operands));
    assertEquals(
        "fused: an operand is missing for batch measure F32 CHANNELS_FIRST 2x3x4 (status 2)",
        e.getMessage());
  }

  @Test
  void onlyBatchNormHasPhases() {
    Batch b = new Batch(Layout.CHANNELS_FIRST, 2, 1, 4, 4, 0, false, 1);
    Problem group =
        b.problem(Task.MEASURE, 2)
            .withNorm(new Norm(Operation.GROUP, StatisticsSource.COMPUTED, EPS));
    NativeNormException e =
        assertThrows(NativeNormException.class, () -> Engines.acquire(group, Backend.FUSED));
    assertTrue(
        e.getMessage().endsWith("FUSED: only batch normalization is computed in phases"),
        e::getMessage);
  }
}
