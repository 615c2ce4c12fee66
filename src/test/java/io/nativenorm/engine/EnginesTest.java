package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.Activation;
import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class EnginesTest {
  private static Problem rows(long rows, boolean weight, boolean bias, Direction direction) {
    return new Problem(
        Operation.LAYER,
        direction,
        Statistics.COMPUTED,
        DataType.F32,
        Layout.CHANNELS_LAST,
        rows,
        4,
        1,
        1,
        0,
        weight,
        bias,
        Activation.NONE,
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
            operation,
            Direction.INFERENCE,
            Statistics.COMPUTED,
            DataType.F32,
            layout,
            1,
            channels,
            spatial,
            1,
            1e-5,
            false,
            false,
            Activation.NONE,
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
            operation,
            Direction.BACKWARD,
            Statistics.COMPUTED,
            DataType.F32,
            Layout.CHANNELS_LAST,
            rows,
            channels,
            1,
            1,
            1e-5,
            false,
            false,
            Activation.NONE,
            1);
    assertEquals(passedOver, AutoRules.passOver(Backend.ONEDNN, problem).isPresent());
  }

  @Test
  void aPlanIsPreparedOnce() {
    Plan first = Engines.acquire(rows(3, true, true, Direction.INFERENCE), Backend.AUTO);
    Plan second = Engines.acquire(rows(3, true, true, Direction.INFERENCE), Backend.AUTO);
    assertSame(first, second);
    Engines.release(first);
    Engines.release(second);
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void theCacheIsBoundedAndWhatLeavesItWorksUntilReleased(Backend backend) {
    Plan plan = Engines.acquire(rows(1, false, false, Direction.INFERENCE), backend);
    for (long i = 0; i <= Engines.CACHED_PLANS; i++) {
      Engines.release(Engines.acquire(rows(100 + i, true, true, Direction.INFERENCE), backend));
    }
    assertFalse(Engines.reacquire(plan), "the oldest plan should have left the cache");
    NativeMemory memory = new NativeMemory(8);
    memory.floats().put(new float[] {-1, -1, 1, 1});
    NativeFloats y = memory.floats().slice(4, 4);
    plan.execute(Operands.forward(memory.floats().slice(0, 4), y, null, null, null, null));
    assertEquals(1, y.get(3));
    Engines.release(plan);
    memory.free();
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aBiasNeedsNoWeight(Backend backend) {
    NativeMemory memory = new NativeMemory(40);
    memory.zero();
    NativeFloats x = memory.floats().slice(0, 4);
    NativeFloats y = memory.floats().slice(4, 4);
    NativeFloats bias = memory.floats().slice(8, 4);
    NativeFloats mean = memory.floats().slice(12, 1);
    NativeFloats variance = memory.floats().slice(13, 1);
    NativeFloats dy = memory.floats().slice(16, 4);
    NativeFloats dBias = memory.floats().slice(20, 4);
    NativeFloats dx = memory.floats().slice(24, 4);
    x.put(new float[] {-1, -1, 1, 1});
    bias.put(new float[] {1, 2, 3, 4});
    dy.put(new float[] {5, 6, 7, 8});
    Plan forward = Engines.acquire(rows(1, false, true, Direction.TRAINING), backend);
    forward.execute(Operands.forward(x, y, null, bias, mean, variance));
    Plan backward = Engines.acquire(rows(1, false, true, Direction.BACKWARD), backend);
    backward.execute(new Operands(x, y, null, bias, mean, variance, dy, dx, null, dBias));
    List<Float> got = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      got.add(y.get(i));
      got.add(dBias.get(i));
    }
    assertEquals(List.of(0f, 5f, 1f, 6f, 4f, 7f, 5f, 8f), got);
    // g - mean(g) - xhat * mean(g * xhat) of (5, 6, 7, 8) and (-1, -1, 1, 1)
    assertEquals(-0.5f, dx.get(0));
    assertEquals(0.5f, dx.get(3));
    Engines.release(forward);
    Engines.release(backward);
    memory.free();
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
