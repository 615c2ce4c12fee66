package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.NativeNormException;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class EnginesTest {
  private static Problem rows(long rows, boolean weight, boolean bias, Task task) {
    return new Problem(
        new Norm(Operation.LAYER, StatisticsSource.COMPUTED, 0),
        Shape.ofRows(rows, 4),
        Storage.of(DataType.F32),
        new Affine(weight, bias),
        Fusion.NONE,
        task,
        1);
  }

  @ParameterizedTest
  @CsvSource({
    "BATCH, CHANNELS_LAST, 64, 16000000, true", // oneDNN crashes on it
    "BATCH, CHANNELS_LAST, 64, 8300000, false",
    "BATCH, CHANNELS_FIRST, 64, 16000000, false",
    "GROUP, CHANNELS_LAST, 64, 16000000, false",
    "LAYER, CHANNELS_LAST, 600000000, 1, true", // oneDNN cannot make a primitive
    "RMS, CHANNELS_LAST, 600000000, 1, true",
    "LAYER, CHANNELS_LAST, 500000000, 1, false"
  })
  void samplesBeyondTwoGigabytes(
      Operation operation, Layout layout, long channels, long spatial, boolean beyond) {
    Problem problem =
        new Problem(
            new Norm(operation, StatisticsSource.COMPUTED, 1e-5),
            new Shape(layout, 1, channels, spatial, 1),
            Storage.of(DataType.F32),
            new Affine(false, false),
            Fusion.NONE,
            Task.INFER,
            1);
    Engines.Verdict onednn =
        Engines.verdicts(problem, Backend.AUTO).stream()
            .filter(verdict -> verdict.backend() == Backend.ONEDNN)
            .findFirst()
            .orElseThrow();
    assertEquals(beyond, onednn.reason().contains("32 bits"), onednn.reason());
  }

  @ParameterizedTest
  @CsvSource({
    "LAYER, 4, 65536, true", "RMS, 4, 512, false", "RMS, 4, 65536, true",
    "LAYER, 65536, 2, true", "RMS, 65536, 3, true", "LAYER, 65536, 4, false"
  })
  void autoPassesOverOnednnsGradientsOfLongRowsAndOfManyShortOnes(
      Operation operation, long rows, long channels, boolean passedOver) {
    Problem problem =
        new Problem(
            new Norm(operation, StatisticsSource.COMPUTED, 1e-5),
            Shape.ofRows(rows, channels),
            Storage.of(DataType.F32),
            new Affine(false, false),
            Fusion.NONE,
            Task.BACKWARD,
            1);
    assertEquals(passedOver, AutoRules.passOver(Backend.ONEDNN, problem).isPresent());
  }

  private static Stream<Engine> available() {
    return Engines.all().stream().filter(engine -> engine.unavailable().isEmpty());
  }

  static Stream<Arguments> enginesAndStorages() {
    List<Storage> storages =
        List.of(
            Storage.of(DataType.S8),
            new Storage(DataType.S8, DataType.F32, DataType.F32),
            new Storage(DataType.F32, DataType.S8, DataType.F32),
            new Storage(DataType.F32, DataType.F32, DataType.S8));
    return available()
        .flatMap(engine -> storages.stream().map(storage -> Arguments.of(engine, storage)));
  }

  @ParameterizedTest
  @MethodSource("enginesAndStorages")
  void anotherTypeIsRefusedWhereverItIs(Engine engine, Storage storage) {
    Problem problem =
        new Problem(
            new Norm(Operation.BATCH, StatisticsSource.GIVEN, 1e-5),
            Shape.ofRows(2, 4),
            storage,
            new Affine(true, true),
            Fusion.NONE,
            Task.INFER,
            1);
    String reason = engine.rejects(problem).orElseThrow();
    assertTrue(reason.matches("computes .*F32.* only, not .*S8.*"), reason);
  }

  @ParameterizedTest
  @EnumSource(Task.class)
  void aPhaseIsRefusedWithAReasonByOnednn(Task task) {
    Problem problem =
        new Problem(
            new Norm(Operation.BATCH, StatisticsSource.COMPUTED, 1e-5),
            Shape.ofRows(4, 2),
            Storage.of(DataType.F32),
            new Affine(true, true),
            Fusion.NONE,
            task,
            1);
    boolean phase =
        EnumSet.of(Task.MEASURE, Task.APPLY, Task.SUM_GRADIENTS, Task.APPLY_GRADIENTS)
            .contains(task);
    assertEquals(phase, task.isPhase());
    available()
        .forEach(
            e ->
                assertEquals(
                    phase && e.backend() == Backend.ONEDNN,
                    e.rejects(problem).isPresent(),
                    e.backend()::name));
    if (phase) {
      Problem group = problem.withNorm(new Norm(Operation.GROUP, StatisticsSource.COMPUTED, 1e-5));
      NativeNormException e =
          assertThrows(NativeNormException.class, () -> Engines.acquire(group, Backend.JAVA));
      assertTrue(
          e.getMessage().endsWith("JAVA: has phases of batch normalization only"), e::toString);
    }
  }

  @Test
  void aPlanIsPreparedOnce() {
    Plan first = Engines.acquire(rows(3, true, true, Task.INFER), Backend.AUTO);
    Plan second = Engines.acquire(rows(3, true, true, Task.INFER), Backend.AUTO);
    assertSame(first, second);
    Engines.release(first);
    Engines.release(second);
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void theCacheIsBoundedAndWhatLeavesItWorksUntilReleased(Backend backend) {
    Plan plan = Engines.acquire(rows(1, false, false, Task.INFER), backend);
    for (long i = 0; i <= Engines.CACHED_PLANS; i++) {
      Engines.release(Engines.acquire(rows(100 + i, true, true, Task.INFER), backend));
    }
    assertFalse(Engines.reacquire(plan), "the oldest plan should have left the cache");
    PooledMemory pooled = MemoryPool.take(DataType.F32, 8);
    pooled.memory().write(0, new float[] {-1, -1, 1, 1}, 0, 4);
    Memory y = pooled.memory().slice(4, 4);
    plan.execute(Operands.NONE.with(Slot.SRC, pooled.memory().slice(0, 4)).with(Slot.DST, y));
    assertEquals(1, y.view().get(3));
    Engines.release(plan);
    pooled.close();
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aBiasNeedsNoWeight(Backend backend) {
    PooledMemory pooled = MemoryPool.take(DataType.F32, 40);
    pooled.memory().setAll(0);
    Memory x = pooled.memory().slice(0, 4);
    Memory y = pooled.memory().slice(4, 4);
    Memory bias = pooled.memory().slice(8, 4);
    Memory mean = pooled.memory().slice(12, 1);
    Memory variance = pooled.memory().slice(13, 1);
    Memory dy = pooled.memory().slice(16, 4);
    Memory dBias = pooled.memory().slice(20, 4);
    Memory dx = pooled.memory().slice(24, 4);
    x.write(0, new float[] {-1, -1, 1, 1}, 0, 4);
    bias.write(0, new float[] {1, 2, 3, 4}, 0, 4);
    dy.write(0, new float[] {5, 6, 7, 8}, 0, 4);
    Plan forward = Engines.acquire(rows(1, false, true, Task.TRAIN), backend);
    Operands operands =
        Operands.NONE
            .with(Slot.SRC, x)
            .with(Slot.DST, y)
            .with(Slot.BIAS, bias)
            .with(Slot.MEAN, mean)
            .with(Slot.VARIANCE, variance);
    forward.execute(operands);
    Plan backward = Engines.acquire(rows(1, false, true, Task.BACKWARD), backend);
    backward.execute(
        operands.with(Slot.DIFF_DST, dy).with(Slot.DIFF_SRC, dx).with(Slot.DIFF_BIAS, dBias));
    List<Float> got = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      got.add(y.view().get(i));
      got.add(dBias.view().get(i));
    }
    assertEquals(List.of(0f, 5f, 1f, 6f, 4f, 7f, 5f, 8f), got);
    // g - mean(g) - xhat * mean(g * xhat) of (5, 6, 7, 8) and (-1, -1, 1, 1)
    assertEquals(-0.5f, dx.view().get(0));
    assertEquals(0.5f, dx.view().get(3));
    Engines.release(forward);
    Engines.release(backward);
    pooled.close();
  }

  @Test
  void theLastUserOfAClosedLifetimeFrees() {
    AtomicInteger freed = new AtomicInteger();
    Lifetime lifetime = new Lifetime(freed::incrementAndGet);
    assertTrue(lifetime.acquire());
    lifetime.close();
    lifetime.close();
    assertFalse(lifetime.acquire());
    assertEquals(0, freed.get());
    lifetime.release();
    assertEquals(1, freed.get());
  }
}
