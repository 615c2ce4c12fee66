package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.RowStrides;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Rows that do not all follow each other, and weights with an offset: the bits that JAVA gives for
 * the same rows where they do, with the sums as weights. What is between rows stays.
 */
class RowsApartTest {
  private static final long SEED = Long.getLong("nativenorm.seed", 20261127);
  private static final int PROBLEMS = 60;
  private static final float BETWEEN = -77;
  private static final double SMALL = 1e-25;

  private static Problem problem(Operation operation, Shape shape, double unitOffset, Task task) {
    return new Problem(
        new Norm(operation, StatisticsSource.COMPUTED, 1e-5),
        shape,
        Storage.of(DataType.F32),
        new Affine(true, operation == Operation.LAYER, unitOffset),
        Fusion.NONE,
        task,
        2);
  }

  private static Optional<String> refusal(Backend backend, Problem problem) {
    Engine engine =
        Engines.all().stream().filter(e -> e.backend() == backend).findFirst().orElseThrow();
    return engine.rejects(problem);
  }

  @Test
  void rowsThatFollowEachOtherAfterAllAreOneShape() {
    Shape rows = Shape.ofRows(6, 10);
    assertEquals(rows, rows.withStrides(RowStrides.of(6, 500, 60)));
    assertEquals(rows, rows.withStrides(RowStrides.of(7, 500, 0)));
    assertEquals(rows, rows.withStrides(RowStrides.of(2, 20, 0)));
    assertEquals(
        "6x10 (2 rows together, strides 20 and 25)",
        rows.withStrides(RowStrides.of(2, 20, 25)).toString());
    assertEquals(
        "6x10 (1 rows together, strides 0 and 0, of gradients 11 and 0)",
        rows.withStrides(new RowStrides(1, 0, 0, 11, 0)).toString());
  }

  @Test
  void onednnRefusesThemWithAReason() {
    TestEngines.named()
        .filter(engine -> engine == Backend.ONEDNN)
        .forEach(
            engine -> {
              Shape apart = Shape.ofRows(6, 10).withStrides(RowStrides.of(2, 30, 0));
              Problem problem = problem(Operation.RMS, apart, 0, Task.INFER);
              assertEquals("has no rows that lie apart", refusal(engine, problem).get());
              Problem offset = problem(Operation.RMS, Shape.ofRows(6, 10), 1, Task.INFER);
              assertEquals(
                  "multiplies by the weight as it is, not by weight + 1.0",
                  refusal(engine, offset).get());
            });
  }

  @ParameterizedTest
  @EnumSource(
      value = Task.class,
      names = {"INFER", "TRAIN", "BACKWARD"})
  void theBitsAreThoseOfRowsThatFollowEachOther(Task task) {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < PROBLEMS; i++) {
      new Case(random, task).check("problem " + i + ", -Dnativenorm.seed=" + SEED);
    }
  }

  private static final class Case {
    private final DataType type;
    private final Problem close;
    private final Problem apart;
    private final int rows;
    private final int length;
    private final int together;
    private final float[] x;
    private final float[] y;
    private final float[] dy;
    private final float[] weight;
    private final float[] bias;
    private final float[] mean;
    private final float[] variance;

    Case(SplittableRandom random, Task task) {
      Operation operation = random.nextBoolean() ? Operation.RMS : Operation.LAYER;
      type = random.nextInt(3) == 0 ? DataType.BF16 : DataType.F32;
      rows = random.nextInt(1, 40);
      length = random.nextInt(20) == 0 ? 4099 : random.nextInt(1, 200);
      together = random.nextBoolean() ? 1 : random.nextInt(1, rows + 1);
      long[] strides = new long[4];
      for (int i = 0; i < strides.length; i++) {
        boolean isClose = random.nextInt(3) == 0 || (i > 1 && task != Task.BACKWARD);
        strides[i] = isClose ? 0 : together * length + random.nextInt(70);
      }
      boolean overflows = task == Task.BACKWARD && random.nextInt(3) == 0;
      double offset = random.nextBoolean() ? 0 : random.nextBoolean() ? 1 : 1 / 3.0;
      offset *= overflows ? SMALL : 1;
      Activation activation = random.nextBoolean() ? Activation.RELU : Activation.NONE;
      Shape shape = Shape.ofRows(rows, length);
      Norm norm = new Norm(operation, StatisticsSource.COMPUTED, random.nextInt(4) == 0 ? 0 : 1e-5);
      Affine affine = new Affine(true, operation == Operation.LAYER && random.nextBoolean());
      close = new Problem(norm, shape, Storage.of(type), affine, new Fusion(activation), task, 2);
      apart =
          close
              .withShape(
                  shape.withStrides(
                      new RowStrides(together, strides[0], strides[1], strides[2], strides[3])))
              .withAffine(new Affine(true, affine.bias(), offset));
      int seed = random.nextInt();
      x = TestData.normal(seed, rows * length, 0, 1);
      Arrays.fill(x, 0, length, random.nextInt(3)); // constant, for eps 0 and small variances
      y = TestData.normal(seed + 1, x.length, 0, 1);
      dy = TestData.normal(seed + 2, x.length, 0, 1);
      weight = TestData.normal(seed + 3, length, 0, 1);
      bias = affine.bias() ? TestData.normal(seed + 4, length, 0, 1) : null;
      mean = TestData.normal(seed + 5, rows, 0, 0.1);
      variance = TestData.normal(seed + 6, rows, 1, 0.1);
      if (overflows) {
        overflow(random);
      }
    }

    /**
     * Makes sums of dy leave floats, which are then summed up again, and dy over the deviation of
     * some rows too, whose gradients are computed again; a small weight brings them back.
     */
    private void overflow(SplittableRandom random) {
      for (int i = 0; i < dy.length; i++) {
        dy[i] = (float) (2e38 * random.nextDouble(0.5, 1.5));
      }
      for (int i = 0; i < length; i++) {
        weight[i] *= (float) SMALL;
      }
      for (int row = 0; row < rows; row++) {
        variance[row] *= random.nextInt(3) == 0 ? 1e-3f : 1;
      }
    }

    void check(String what) {
      float[] sums = weight.clone();
      for (int i = 0; i < length; i++) {
        sums[i] += (float) apart.affine().unitOffset();
      }
      List<float[]> expected = run(Backend.JAVA, close, sums);
      for (Backend engine : List.of(Backend.JAVA, Backend.FUSED)) {
        if (TestEngines.named().noneMatch(engine::equals)) {
          continue;
        }
        List<float[]> found = run(engine, apart, weight);
        for (int i = 0; i < expected.size(); i++) {
          assertArrayEquals(
              expected.get(i), found.get(i), engine + " " + apart + ", operand " + i + ", " + what);
        }
      }
    }

    /** What is written, as rows that follow each other. */
    private List<float[]> run(Backend engine, Problem problem, float[] weights) {
      RowStrides strides = problem.shape().strides();
      boolean backward = problem.task() == Task.BACKWARD;
      boolean infers = problem.task() == Task.INFER;
      try (Closer made = new Closer()) {
        Tensor src = spread(made, x, strides.src());
        Tensor dst = spread(made, backward ? y : null, strides.dst());
        Tensor diffDst = spread(made, dy, strides.diffDst());
        Tensor diffSrc = spread(made, null, strides.diffSrc());
        Tensor means = made.add(Tensor.of(mean, rows));
        Tensor variances = made.add(Tensor.of(variance, rows));
        Tensor dWeight = made.add(Tensor.zeros(length));
        Tensor dBias = made.add(Tensor.zeros(length));
        Operands.Builder operands =
            Operands.builder()
                .put(Slot.SRC, src.memory())
                .put(Slot.DST, dst.memory())
                .put(Slot.WEIGHT, made.add(Tensor.of(weights, length)).memory())
                .put(Slot.BIAS, bias == null ? null : made.add(Tensor.of(bias, length)).memory())
                .put(Slot.MEAN, infers ? null : means.memory())
                .put(Slot.VARIANCE, infers ? null : variances.memory());
        if (backward) {
          operands
              .put(Slot.DIFF_DST, diffDst.memory())
              .put(Slot.DIFF_SRC, diffSrc.memory())
              .put(Slot.DIFF_WEIGHT, dWeight.memory())
              .put(Slot.DIFF_BIAS, dBias.memory());
        }
        Plan plan = Engines.acquire(problem, engine);
        try {
          plan.execute(operands.build());
        } finally {
          Engines.release(plan);
        }
        return List.of(
            gather(backward ? diffSrc : dst, backward ? strides.diffSrc() : strides.dst()),
            means.toArray(),
            variances.toArray(),
            dWeight.toArray(),
            dBias.toArray());
      }
    }

    private int place(int row, long stride) {
      long step = stride == 0 ? (long) together * length : stride;
      return (int) (row / together * step + row % together * length);
    }

    private Tensor spread(Closer made, float[] values, long stride) {
      float[] whole = new float[place(rows - 1, stride) + length];
      Arrays.fill(whole, BETWEEN);
      for (int row = 0; values != null && row < rows; row++) {
        System.arraycopy(values, row * length, whole, place(row, stride), length);
      }
      try (Tensor wide = Tensor.of(whole, whole.length)) {
        return made.add(wide.to(type));
      }
    }

    private float[] gather(Tensor tensor, long stride) {
      float[] whole = tensor.toArray();
      float[] values = new float[rows * length];
      for (int row = 0; row < rows; row++) {
        System.arraycopy(whole, place(row, stride), values, row * length, length);
        Arrays.fill(whole, place(row, stride), place(row, stride) + length, BETWEEN);
      }
      for (float between : whole) {
        assertTrue(between == BETWEEN, "what is between rows was written");
      }
      return values;
    }
  }
}
