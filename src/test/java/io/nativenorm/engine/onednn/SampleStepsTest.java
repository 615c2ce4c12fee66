package io.nativenorm.engine.onednn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.Activation;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.NativeNorm;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Helpers;
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
import io.nativenorm.engine.reference.ReferenceEngine;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A sample in a batch gives what it gives alone, where samples are taken one by one. */
class SampleStepsTest {
  private static final Function<Problem, Plan> REFERENCE = new ReferenceEngine()::prepare;

  private static final int CHANNELS = 8;
  private static final int POSITIONS = 9000;
  private static final int GROUPS = 4;
  private static final int SAMPLE = CHANNELS * POSITIONS;

  /** The largest value of a sample: of one with floats, of one without, and of 0. */
  private static final float[] SCALES = {1, 1e-3f, 3e38f, 1000, 0};

  @BeforeAll
  static void loadsOnednn() {
    assertTrue(NativeNorm.engines().get(1).available());
  }

  private static Problem problem(Task task, Layout layout, long batch, Activation relu) {
    return new Problem(
        new Norm(Operation.GROUP, StatisticsSource.COMPUTED, 1e-5),
        new Shape(layout, batch, CHANNELS, POSITIONS, GROUPS),
        Storage.of(DataType.F32),
        new Affine(true, true),
        new Fusion(relu),
        task,
        2);
  }

  private static float[] values(int count, float scale, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = scale * (random.nextFloat() - 0.25f);
    }
    return values;
  }

  /** Output, means and variances, of samples one after another. */
  private record Results(float[] y, float[] means, float[] variances) {}

  private static Results run(Team team, Problem problem, float[] x, boolean inPlace) {
    int units = (int) problem.unitCount();
    PooledMemory pooled = MemoryPool.take(DataType.F32, 2L * x.length + 2L * CHANNELS + 2L * units);
    Memory all = pooled.memory();
    Memory src = all.slice(0, x.length);
    Memory dst = inPlace ? src : all.slice(x.length, x.length);
    Memory weight = all.slice(2L * x.length, CHANNELS);
    Memory bias = all.slice(2L * x.length + CHANNELS, CHANNELS);
    Memory mean = all.slice(2L * x.length + 2 * CHANNELS, units);
    Memory variance = all.slice(2L * x.length + 2 * CHANNELS + units, units);
    src.write(0, x, 0, x.length);
    weight.write(0, values(CHANNELS, 2, 1), 0, CHANNELS);
    bias.write(0, values(CHANNELS, 2, 2), 0, CHANNELS);
    boolean training = problem.task() == Task.TRAIN;
    Helpers helpers = new Helpers(() -> {}, () -> true);
    OnednnPlan plan = OnednnPlan.prepare(team, helpers, REFERENCE, problem, 2);
    plan.execute(
        Operands.NONE
            .with(Slot.SRC, src)
            .with(Slot.DST, dst)
            .with(Slot.WEIGHT, weight)
            .with(Slot.BIAS, bias)
            .with(Slot.MEAN, training ? mean : null)
            .with(Slot.VARIANCE, training ? variance : null));
    plan.free();
    Results results = new Results(new float[x.length], new float[units], new float[units]);
    dst.read(0, results.y, 0, x.length);
    if (training) {
      mean.read(0, results.means, 0, units);
      variance.read(0, results.variances, 0, units);
    }
    pooled.close();
    return results;
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void eachSampleGivesWhatItGivesAlone(Layout layout) {
    Team team = new Team(OpenMp.loaded());
    for (Task task : new Task[] {Task.INFER, Task.TRAIN}) {
      for (Activation activation : Activation.values()) {
        for (int batch : new int[] {2, 5, 19}) {
          checkBatch(team, problem(task, layout, batch, activation), batch % 2 == 0);
        }
      }
    }
  }

  private static void checkBatch(Team team, Problem problem, boolean inPlace) {
    int batch = (int) problem.shape().batch();
    float[] x = new float[batch * SAMPLE];
    for (int n = 0; n < batch; n++) {
      float[] sample = values(SAMPLE, SCALES[n % SCALES.length], 3 + n);
      System.arraycopy(sample, 0, x, n * SAMPLE, SAMPLE);
    }
    Results together = run(team, problem, x, inPlace);
    for (int n = 0; n < batch; n++) {
      float[] sample = Arrays.copyOfRange(x, n * SAMPLE, (n + 1) * SAMPLE);
      Results alone =
          run(team, problem.withShape(problem.shape().withSamples(1, POSITIONS)), sample, false);
      String which = "sample " + n + " of " + problem;
      assertArrayEquals(
          alone.y, Arrays.copyOfRange(together.y, n * SAMPLE, (n + 1) * SAMPLE), which);
      int unit = n * GROUPS;
      assertArrayEquals(
          alone.means, Arrays.copyOfRange(together.means, unit, unit + GROUPS), which);
      assertArrayEquals(
          alone.variances, Arrays.copyOfRange(together.variances, unit, unit + GROUPS), which);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void onlyLargeSamplesOfABatchGoOneByOne(Layout layout) {
    Team team = new Team(OpenMp.loaded());
    Problem batch = problem(Task.TRAIN, layout, 2, Activation.NONE);
    team.run(
        1,
        nothing -> {
          assertEquals(keepsItsTeamSize(batch), isTaken(batch));
          assertFalse(isTaken(batch.withShape(batch.shape().withSamples(1, POSITIONS))));
          long least = SampleSteps.LEAST / CHANNELS;
          assertEquals(
              keepsItsTeamSize(batch),
              isTaken(batch.withShape(batch.shape().withSamples(2, least))));
          assertFalse(isTaken(batch.withShape(batch.shape().withSamples(2, least - 1))));
        },
        null);
  }

  private static boolean keepsItsTeamSize(Problem problem) {
    try (ForwardSteps whole = new ForwardSteps(problem, REFERENCE)) {
      return whole.keepsItsTeamSize();
    }
  }

  private static boolean isTaken(Problem problem) {
    try (ForwardSteps whole = new ForwardSteps(problem, REFERENCE)) {
      return SampleSteps.areBetterThan(whole, problem);
    }
  }
}
