package io.nativenorm.engine.fused;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.nativenorm.Activation;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.NativeNormException;
import io.nativenorm.TestEngines;
import io.nativenorm.engine.Affine;
import io.nativenorm.engine.Fusion;
import io.nativenorm.engine.Norm;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.StatisticsSource;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class FusedEngineTest {
  private final FusedEngine engine = new FusedEngine();

  @BeforeEach
  void isThere() {
    TestEngines.assumeFused();
  }

  private static Problem rows(DataType type, long rows, int threads) {
    return new Problem(
        new Norm(Operation.LAYER, StatisticsSource.COMPUTED, 0),
        Shape.ofRows(rows, 4),
        Storage.of(type),
        new Affine(false, false),
        Fusion.NONE,
        Task.INFER,
        threads);
  }

  /** The constants of one of the header's enums, without their prefix. */
  private static List<String> enumWith(String first) throws Exception {
    String header = Files.readString(Path.of("native/include/nativenorm.h"));
    Matcher found = Pattern.compile("enum \\{ (NN_" + first + "[^}]*) \\};").matcher(header);
    assertTrue(found.find(), first);
    return Arrays.stream(found.group(1).split(", ")).map(name -> name.substring(3)).toList();
  }

  private static List<String> names(Enum<?>[] values) {
    return Arrays.stream(values).map(Enum::name).toList();
  }

  @Test
  void theHeadersEnumsHaveTheOrderOfTheJavaOnes() throws Exception {
    assertEquals(enumWith("BATCH"), names(Operation.values()));
    assertEquals(enumWith("INFER"), names(Task.values()));
    assertEquals(enumWith("COMPUTED"), names(StatisticsSource.values()));
    assertEquals(enumWith("CHANNELS"), names(Layout.values()));
    assertEquals(enumWith("NONE"), names(Activation.values()));
    assertEquals(enumWith("F32"), names(DataType.values()));
  }

  @Test
  void refusesTypesThatItHasNoKernelsFor() {
    assertEquals(
        "computes F32, BF16 and F16 only, not S8", engine.rejects(rows(DataType.S8, 1, 1)).get());
    for (Task task : List.of(Task.INFER, Task.TRAIN, Task.BACKWARD)) {
      assertTrue(engine.rejects(rows(DataType.F32, 1, 1).withTask(task)).isEmpty());
      assertTrue(engine.rejects(rows(DataType.BF16, 1, 1).withTask(task)).isEmpty());
      assertTrue(engine.rejects(rows(DataType.F16, 1, 1).withTask(task)).isEmpty());
    }
  }

  @Test
  void aProblemThatIsNoneIsAnException() {
    NativeNormException e =
        assertThrows(NativeNormException.class, () -> engine.prepare(rows(DataType.F32, 0, 1)));
    assertEquals(
        "fused: cannot prepare layer infer F32 0x4: batch is 0, expected 1 or more",
        e.getMessage());
  }

  @Test
  void aPlanRunsOnNativeMemoryAndOnHeapArrays() {
    FusedPlan plan = (FusedPlan) engine.prepare(rows(DataType.F32, 1, 1));
    Operands none = Operands.NONE;
    PooledMemory pooled = MemoryPool.take(DataType.F32, 8);
    Memory x = pooled.memory().slice(0, 4);
    Memory y = pooled.memory().slice(4, 4);
    float[] values = {-1, -1, 1, 1};
    x.write(0, values, 0, 4);
    plan.infer(x, y, none);
    assertEquals(1, y.view().get(3));
    float[] result = new float[4];
    assertTrue(plan.infer(values, 0, result, 0, none));
    assertArrayEquals(values, result);
    assertTrue(plan.infer(values, 0, values, 0, none));
    assertArrayEquals(result, values);
    plan.free();
    pooled.close();
  }

  @Test
  void longCallsHoldArraysSomeRowsAtATimeUnlessTheCollectorLikesIt() {
    long most = HeapArrays.SHORT_ELEMENTS;
    boolean pinned = held(1L << 30, 4, false) == HeapArrays.ALL;
    if (Runtime.version().feature() < 22) {
      assertFalse(pinned);
    }
    assertEquals(HeapArrays.ALL, held(most / 4, 4, true));
    assertEquals(pinned ? HeapArrays.ALL : most / 4, held(most / 4, 4, false));
    assertEquals(pinned ? HeapArrays.ALL : most / 4, held(most / 4 + 1, 4, true));
    assertEquals(pinned ? HeapArrays.ALL : most / 700, held(most, 700, false));
    assertEquals(pinned ? HeapArrays.ALL : 1, held(2, most, false));
    assertEquals(pinned ? HeapArrays.ALL : HeapArrays.NONE, held(1, most + 1, true));
  }

  @Test
  void trainingOnChannelsThatLieApartHoldsArraysSomeChannelsAtATime() {
    assumeFalse(held(1L << 30, 4, false) == HeapArrays.ALL);
    Shape image = new Shape(Layout.CHANNELS_FIRST, 32, 64, 56 * 56, 1);
    assertEquals(2, HeapArrays.unitsHeld(batch(image, Task.TRAIN), 1));
    assertEquals(4, HeapArrays.unitsHeld(batch(image, Task.BACKWARD), 2));
    assertEquals(20, HeapArrays.unitsHeld(batch(image, Task.TRAIN), 10)); // not 26
    assertEquals(20, HeapArrays.unitsHeld(batch(image, Task.TRAIN), 20)); // not 52
    Shape large = new Shape(Layout.CHANNELS_FIRST, 32, 64, 112 * 112, 1);
    assertEquals(1, HeapArrays.unitsHeld(batch(large, Task.TRAIN), 2));
    assertEquals(HeapArrays.NONE, HeapArrays.unitsHeld(batch(large, Task.TRAIN), 1));
    Shape small = new Shape(Layout.CHANNELS_FIRST, 8, 3, 112 * 112, 1);
    assertEquals(2, HeapArrays.unitsHeld(batch(small, Task.TRAIN), 2));
    assertEquals(3, HeapArrays.unitsHeld(batch(small, Task.TRAIN), 3));
    Problem given = batch(image, Task.BACKWARD).withNorm(norm(StatisticsSource.GIVEN));
    assertEquals(HeapArrays.NONE, HeapArrays.unitsHeld(given, 2));
    Norm masked = norm(StatisticsSource.COMPUTED).ofMasked();
    assertEquals(
        HeapArrays.NONE, HeapArrays.unitsHeld(batch(image, Task.TRAIN).withNorm(masked), 2));
    assertEquals(HeapArrays.NONE, HeapArrays.unitsHeld(batch(image, Task.INFER), 2));
    Shape last = new Shape(Layout.CHANNELS_LAST, 32, 64, 56 * 56, 1);
    assertEquals(HeapArrays.NONE, HeapArrays.unitsHeld(batch(last, Task.TRAIN), 2));
  }

  private static Problem batch(Shape shape, Task task) {
    Norm norm = norm(StatisticsSource.COMPUTED);
    return rows(DataType.F32, 1, 1).withNorm(norm).withShape(shape).withTask(task);
  }

  private static Norm norm(StatisticsSource statistics) {
    return new Norm(Operation.BATCH, statistics, 0);
  }

  private static long held(long rows, long length, boolean alone) {
    Problem problem = rows(DataType.F32, 1, 1).withShape(Shape.ofRows(rows, length));
    return HeapArrays.unitsHeld(problem, alone ? 1 : 2);
  }

  @Test
  void allSectionsOfALongCallAreDone() {
    int rows = (int) HeapArrays.SHORT_ELEMENTS; // four sections of rows of 4
    Plan plan = engine.prepare(rows(DataType.F32, rows, 2));
    float[] x = new float[rows * 4 + 2];
    Arrays.fill(x, 3);
    x[x.length - 3] = 4;
    float[] y = x.clone();
    assertTrue(plan.infer(x, 1, y, 1, Operands.NONE));
    float[] expected = new float[x.length]; // without spread and without a bias
    expected[0] = expected[x.length - 1] = 3;
    for (int i = x.length - 5; i < x.length - 1; i++) {
      expected[i] = i == x.length - 3 ? (float) Math.sqrt(3) : (float) (-1 / Math.sqrt(3));
    }
    assertArrayEquals(expected, y, 1e-6f);
  }
}
