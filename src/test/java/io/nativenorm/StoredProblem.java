package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

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
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.Memory;
import java.util.SplittableRandom;

/**
 * A problem with its numbers, to be run in the types it is stored in and in F32. What is not told
 * is drawn by its number: weight, bias, activation, a far mean, units of extreme values.
 */
final class StoredProblem {
  /** What floats, and what some types, cannot hold; the last two leave units as they are. */
  private static final float[] EXTREMES = {
    3e38f, 1e30f, 1e-30f, 1e-40f, 0, Float.NaN, Float.POSITIVE_INFINITY, 1, 1
  };

  private final SplittableRandom random;
  private final int number;
  private final Problem problem;
  private final Units units;
  private final float[] x;
  private final float[] dy;
  private final float[] weight;
  private final float[] bias;

  /** Given, or the input's own as training hands them out; null for RMS. */
  private float[] means;

  private float[] variances;

  /** What a ReLU's gradient is masked by. */
  private float[] y;

  StoredProblem(Norm norm, Shape shape, Storage storage, int number) {
    this.number = number;
    random = new SplittableRandom(number);
    boolean rms = norm.operation() == Operation.RMS;
    problem =
        new Problem(
            norm,
            shape,
            storage,
            new Affine(random.nextBoolean(), random.nextBoolean() && !rms),
            new Fusion(random.nextBoolean() ? Activation.RELU : Activation.NONE),
            Task.INFER,
            2);
    units = Units.of(problem);
    double mean = random.nextBoolean() ? 0 : 300;
    x = TestData.normal(number, (int) shape.elements(), mean, 1);
    dy = TestData.normal(number + 1, x.length, 0, 1);
    if (random.nextInt(3) == 0) {
      makeExtreme(x);
      makeExtreme(dy);
    }
    weight = parameters(problem.affine().weight());
    bias = parameters(problem.affine().bias());
    int count = (int) problem.unitCount();
    means = rms ? null : TestData.normal(number + 2, count, mean, 0.5);
    variances = TestData.normal(number + 3, count, 0, 1);
    for (int i = 0; i < count; i++) {
      variances[i] *= variances[i];
    }
    forward();
  }

  Storage storage() {
    return problem.storage();
  }

  /** Whether training has statistics of its own. */
  boolean hasStatistics() {
    return problem.norm().statistics() == StatisticsSource.COMPUTED;
  }

  /** The problem of a task with its operands in some types. */
  Problem of(Storage types, Task task) {
    return new Problem(
        problem.norm(), problem.shape(), types, problem.affine(), problem.fusion(), task, 2);
  }

  /** Operands for a task, of the problem's numbers, in some types. */
  Run run(Storage types, Backend engine, Task task) {
    return new Run(types, engine, task);
  }

  private void forward() {
    Task task = hasStatistics() ? Task.TRAIN : Task.INFER;
    try (Run forward = new Run(Storage.of(DataType.F32), Backend.JAVA, task)) {
      forward.execute(false);
      y = forward.result.toArray();
      means = means == null ? null : forward.mean.toArray();
      variances = forward.variance.toArray();
    }
  }

  private float[] parameters(boolean present) {
    int count = (int) problem.shape().channels();
    return present ? TestData.normal(random.nextInt(100), count, 1, 0.5) : null;
  }

  private void makeExtreme(float[] values) {
    for (long unit = 0; unit < units.count(); unit++) {
      float scale = EXTREMES[random.nextInt(EXTREMES.length)];
      for (long i = 0; i < units.size(); i++) {
        values[(int) units.index(unit, i)] *= scale;
      }
    }
  }

  @Override
  public String toString() {
    String options = problem.affine() + ", " + problem.fusion() + ", " + problem.norm();
    return "problem " + number + ", " + problem + ", " + options;
  }

  /** The memory of a task in some types, with the numbers of the problem's own types. */
  final class Run implements AutoCloseable {
    private final Closer made = new Closer();
    private final Storage storage;
    private final Backend engine;
    private final Task task;
    private final Tensor src;
    private final Tensor given;
    private final Tensor result;
    private final Tensor mean;
    private final Tensor variance;
    private final Tensor dWeight;
    private final Tensor dBias;
    private final Tensor masking;

    private Run(Storage storage, Backend engine, Task task) {
      this.storage = storage;
      this.engine = engine;
      this.task = task;
      boolean backward = task == Task.BACKWARD;
      src = tensor(x, problem.storage().src(), storage.src());
      given = backward ? tensor(dy, problem.storage().dst(), storage.dst()) : null;
      masking = backward ? tensor(y, problem.storage().dst(), storage.dst()) : null;
      result = zeros(backward ? storage.src() : storage.dst(), x.length);
      mean = means == null ? null : made.add(Tensor.of(means, means.length));
      variance = made.add(Tensor.of(variances, variances.length));
      dWeight = backward && weight != null ? zeros(DataType.F32, weight.length) : null;
      dBias = backward && bias != null ? zeros(DataType.F32, bias.length) : null;
    }

    private Tensor zeros(DataType type, int count) {
      return made.add(Tensor.allocate(type, Layout.CHANNELS_FIRST, count));
    }

    private Tensor tensor(float[] values, DataType rounded, DataType stored) {
      try (Tensor whole = Tensor.of(values, values.length);
          Tensor numbers = whole.to(rounded)) {
        return made.add(numbers.to(stored));
      }
    }

    void execute(boolean inPlace) {
      Tensor to = inPlace ? (task == Task.BACKWARD ? given : src) : result;
      Operands.Builder operands =
          Operands.builder()
              .put(Slot.SRC, src.memory())
              .put(Slot.WEIGHT, parameter(weight))
              .put(Slot.BIAS, parameter(bias))
              .put(Slot.MEAN, memory(mean))
              .put(Slot.VARIANCE, variance.memory());
      if (task == Task.BACKWARD) {
        operands
            .put(Slot.DST, masking.memory())
            .put(Slot.DIFF_DST, given.memory())
            .put(Slot.DIFF_SRC, to.memory())
            .put(Slot.DIFF_WEIGHT, memory(dWeight))
            .put(Slot.DIFF_BIAS, memory(dBias));
      } else {
        operands.put(Slot.DST, to.memory());
      }
      Plan plan = Engines.acquire(of(storage, task), engine);
      try {
        plan.execute(operands.build());
      } finally {
        Engines.release(plan);
      }
      if (inPlace) {
        result.copyFrom(to.toArray());
      }
    }

    private Memory parameter(float[] values) {
      return values == null ? null : made.add(Tensor.of(values, values.length)).memory();
    }

    private Memory memory(Tensor tensor) {
      return tensor == null ? null : tensor.memory();
    }

    void assertRounded(Run wide, String what) {
      try (Tensor rounded = wide.result.to(result.dataType())) {
        assertArrayEquals(rounded.toArray(), result.toArray(), what);
      }
      assertSame(wide.mean, mean, what + " mean");
      assertSame(wide.variance, variance, what + " variance");
      assertSame(wide.dWeight, dWeight, what + " dweight");
      assertSame(wide.dBias, dBias, what + " dbias");
    }

    private void assertSame(Tensor expected, Tensor found, String what) {
      if (expected != null) {
        assertArrayEquals(expected.toArray(), found.toArray(), what);
      }
    }

    @Override
    public void close() {
      made.close();
    }
  }
}
