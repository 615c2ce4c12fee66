package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Rows inside heap arrays on every engine: against the oracle at edge sizes, bit by bit in random
 * layouts. What is between rows stays. Random layouts print their seed; {@code
 * -Dnativenorm.seed=<number>} runs them again.
 */
class HeapRowsTest {
  private static final long SEED = Long.getLong("nativenorm.seed", 20261127);
  private static final float BETWEEN = 77;
  private static final double EPS = 1e-5;

  /** Around vectors, around the 4096 that JAVA takes at once, and more than a section may have. */
  private static final int[] LENGTHS = {1, 3, 8, 17, 64, 128, 255, 1031, 4097};

  static Stream<Backend> engines() {
    return TestEngines.all().stream();
  }

  private static RowNorm layer(boolean rms, int length, double unitOffset, Backend backend) {
    return rms
        ? RmsNorm.builder(length).eps(EPS).unitOffset(unitOffset).backend(backend).build()
        : LayerNorm.builder(length).eps(EPS).unitOffset(unitOffset).backend(backend).build();
  }

  private static void setParameters(RowNorm layer, int length) {
    layer.weight().copyFrom(TestData.normal(1, length, 1, 0.5));
    if (layer.bias() != null) {
      layer.bias().copyFrom(TestData.normal(2, length, 0, 0.5));
    }
  }

  private static Oracle oracle(RowNorm layer, int rows, int length, double unitOffset) {
    boolean rms = layer instanceof RmsNorm;
    float[] weight = layer.weight().toArray();
    for (int i = 0; i < length; i++) {
      weight[i] += (float) unitOffset;
    }
    return new Oracle(
        rms ? Oracle.Kind.RMS : Oracle.Kind.LAYER,
        rows,
        length,
        1,
        1,
        EPS,
        weight,
        rms ? null : layer.bias().toArray(),
        false);
  }

  /** Rows in an array with something around and between them. */
  private record Places(int from, int stride, int together, int rows, int length) {
    int at(int row) {
      return from + row / together * stride + row % together * length;
    }

    int end() {
      return at(rows - 1) + length;
    }

    float[] spread(float[] close) {
      float[] array = new float[end() + 5];
      Arrays.fill(array, BETWEEN);
      put(close, array);
      return array;
    }

    void put(float[] close, float[] array) {
      for (int row = 0; row < rows; row++) {
        System.arraycopy(close, row * length, array, at(row), length);
      }
    }

    float[] gather(float[] array) {
      float[] close = new float[rows * length];
      for (int row = 0; row < rows; row++) {
        System.arraycopy(array, at(row), close, row * length, length);
      }
      return close;
    }
  }

  private static void forward(RowNorm layer, float[] x, Places from, float[] y, Places to) {
    layer.forward(x, from.from, from.stride, y, to.from, to.stride, from.together, from.rows);
  }

  /** ONEDNN has no rows that lie apart. */
  private static boolean has(Backend backend, Places... places) {
    return backend != Backend.ONEDNN
        || Arrays.stream(places)
            .allMatch(p -> p.rows <= p.together || p.stride == p.together * p.length);
  }

  @ParameterizedTest
  @MethodSource("engines")
  void rowsFromAPlaceOnAgainstTheOracle(Backend backend) {
    for (boolean rms : new boolean[] {false, true}) {
      for (double offset : backend == Backend.ONEDNN ? new double[] {0} : new double[] {0, 1}) {
        for (int length : LENGTHS) {
          try (RowNorm layer = layer(rms, length, offset, backend)) {
            setParameters(layer, length);
            for (int rows : new int[] {1, 2, 7}) {
              float[] close = TestData.normal(rows + length, rows * length, 0.3, 1);
              double[] expected =
                  oracle(layer, rows, length, offset).forward(TestData.widen(close));
              for (int gap : new int[] {0, 3}) {
                for (int together : new int[] {1, 2, rows}) {
                  Places from =
                      new Places(2 + gap, together * length + gap, together, rows, length);
                  Places to = new Places(1, together * length + 2 * gap, together, rows, length);
                  if (has(backend, from, to)) {
                    check(layer, close, from, to, expected);
                  }
                }
              }
            }
          }
        }
      }
    }
  }

  private static void check(
      RowNorm layer, float[] close, Places from, Places to, double[] expected) {
    String what = layer + " " + from + " to " + to;
    float[] x = from.spread(close);
    float[] y = to.spread(new float[close.length]);
    forward(layer, x, from, y, to);
    float[] found = to.gather(y);
    for (int i = 0; i < found.length; i++) {
      assertEquals(expected[i], found[i], 1e-5 + 1e-5 * Math.abs(expected[i]), what + " at " + i);
    }
    assertArrayEquals(to.spread(found), y, what + ": what is between rows");
    assertArrayEquals(from.spread(close), x, what + ": the input");
    forward(layer, x, from, x, from);
    assertArrayEquals(from.spread(found), x, what + " in place");
    if (from.stride == from.together * from.length) {
      float[] again = to.spread(new float[close.length]);
      layer.forward(from.spread(close), from.from, again, to.from, from.rows);
      assertArrayEquals(
          found, new Places(to.from, 0, from.rows, from.rows, from.length).gather(again));
    }
  }

  /** Packed rows of several heads, some normalized in place, some to another place in them. */
  @Test
  void randomPackedLayoutsHaveTheSameBitsOnEveryEngine() {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 60; i++) {
      String what = "layout " + i + ", -Dnativenorm.seed=" + SEED;
      int length = 1 + random.nextInt(300);
      int tokens = 1 + random.nextInt(9);
      int heads = 1 + random.nextInt(6);
      int packed = 2 * heads * length + random.nextInt(50);
      int rows = tokens * heads - random.nextInt(heads);
      float[] before = TestData.normal(random.nextLong(), tokens * packed + 9, 0, 2);
      boolean rms = random.nextBoolean();
      double offset = random.nextInt(3) * 0.5;
      int begin = random.nextInt(9);
      Places from = new Places(begin, packed, heads, rows, length);
      Places beside = new Places(begin + heads * length, packed, heads, rows, length);
      List<float[]> results = new ArrayList<>();
      for (Backend backend : List.of(Backend.JAVA, Backend.FUSED, Backend.AUTO)) {
        if (TestEngines.all().contains(backend)) {
          try (RowNorm layer = layer(rms, length, offset, backend)) {
            setParameters(layer, length);
            float[] array = before.clone();
            forward(layer, array, from, array, beside);
            forward(layer, array, from, array, from);
            results.add(array);
            float[] expected = before.clone();
            float[] y = layer.forward(from.gather(before));
            from.put(y, expected);
            beside.put(y, expected);
            assertArrayEquals(expected, array, backend + " " + what);
          }
        }
      }
      results.forEach(r -> assertArrayEquals(results.get(0), r, what));
    }
  }

  @Test
  void manyRowsAreCutInSections() {
    for (Backend backend : List.of(Backend.JAVA, Backend.FUSED)) {
      if (TestEngines.all().contains(backend)) {
        Places from = new Places(3, 16 * 128 + 1, 16, 16 * 129 - 3, 128);
        try (RowNorm layer = layer(true, 128, 1, backend)) {
          float[] close = TestData.normal(5, 128 * from.rows, 0, 1);
          float[] x = from.spread(close);
          float[] expected = from.spread(layer.forward(close));
          forward(layer, x, from, x, from);
          assertArrayEquals(expected, x, backend.toString());
        }
      }
    }
  }

  @Test
  void manyCallersGetTheSame() throws Exception {
    int callers = 12; // more than may hold arrays on JDK 17, even in turns
    Places from = new Places(1, 70, 1, 40, 64);
    float[] close = TestData.normal(5, 64 * from.rows, 0, 1);
    ExecutorService pool = Executors.newFixedThreadPool(callers);
    try (RowNorm layer = layer(false, 64, 0, Backend.AUTO)) {
      setParameters(layer, 64);
      float[] expected = from.spread(layer.forward(close));
      CountDownLatch all = new CountDownLatch(callers);
      List<Future<?>> calls = new ArrayList<>();
      for (int i = 0; i < callers; i++) {
        Callable<?> caller =
            () -> {
              all.countDown();
              all.await();
              for (int call = 0; call < 500; call++) {
                float[] x = from.spread(close);
                forward(layer, x, from, x, from);
                assertArrayEquals(expected, x);
              }
              return null;
            };
        calls.add(pool.submit(caller));
      }
      for (Future<?> call : calls) {
        call.get();
      }
    } finally {
      pool.shutdown();
    }
  }

  private static void refused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  @Test
  void whatIsNotThereIsRefused() {
    float[] x = new float[20];
    float[] y = new float[20];
    try (RmsNorm layer = RmsNorm.of(4)) {
      String name = "RmsNorm([4]): ";
      String fourRows = name + "expected x to have 4 rows of 4 from 5 on, but got 20 elements";
      refused(fourRows, () -> layer.forward(x, 5, y, 0, 4));
      refused(fourRows.replace("x to", "y to"), () -> layer.forward(x, 0, y, 5, 4));
      refused(
          name + "expected x to have 1 row of 4 from -1 on, but got 20 elements",
          () -> layer.forward(x, -1, y, 0, 1));
      refused(
          name + "expected y to have 0 rows of 4 from 21 on, but got 20 elements",
          () -> layer.forward(x, 0, y, 21, 0));
      refused(
          name + "expected x to have 1 row of 4 from 2147483647 on, but got 20 elements",
          () -> layer.forward(x, Integer.MAX_VALUE, y, 0, 1));
      refused(name + "rows must not be negative, but got -1", () -> layer.forward(x, 0, y, 0, -1));
      refused(
          name + "rowsTogether must be positive, but got 0",
          () -> layer.forward(x, 0, 4, y, 0, 4, 0, 1));
      refused(
          name + "expected a stride of x of 2 rows of 4 or more, but got 7",
          () -> layer.forward(x, 0, 7, y, 0, 8, 2, 3));
      refused(
          name + "expected a stride of y of 2 rows of 4 or more, but got -8",
          () -> layer.forward(x, 0, 8, y, 0, -8, 2, 3));
      refused(
          name
              + "expected x to have 5 rows of 4 from 0 on, 2 together and the next ones 9 on, but"
              + " got 20 elements",
          () -> layer.forward(x, 0, 9, y, 0, 8, 2, 5));
      refused(
          name
              + "expected x to have 2147483647 rows of 4 from 0 on, 1 together and the next ones"
              + " 2147483647 on, but got 20 elements",
          () -> layer.forward(x, 0, Integer.MAX_VALUE, y, 0, 4, 1, Integer.MAX_VALUE));
      layer.forward(x, 20, y, 20, 0);
      layer.forward(x, 0, -3, y, 12, 0, 2, 2); // strides of one group are not looked at
      assertArrayEquals(new float[20], y);
    }
    RmsNorm closed = RmsNorm.of(4);
    closed.close();
    assertThrows(IllegalStateException.class, () -> closed.forward(x, 0, y, 0, 1));
  }

  @Test
  void overlapIsJudgedByElement() {
    float[] a = new float[50];
    try (RmsNorm layer = RmsNorm.of(4)) {
      String begin =
          "RmsNorm([4]): a row must be written where it is read or apart from all that is read,"
              + " but y at ";
      refused(begin + "1 overlaps x at 0", () -> layer.forward(a, 0, a, 1, 1));
      refused(begin + "4 overlaps x at 0", () -> layer.forward(a, 0, a, 4, 2));
      refused(begin + "0 overlaps x at 4", () -> layer.forward(a, 4, a, 0, 2));
      // Another row's place, though exactly.
      refused(begin + "8 overlaps x at 8", () -> layer.forward(a, 0, 8, a, 8, 8, 1, 3));
      refused(begin + "7 overlaps x at 10", () -> layer.forward(a, 0, 10, a, 7, 10, 1, 3));
      // The last row alone.
      refused(begin + "27 overlaps x at 30", () -> layer.forward(a, 0, 10, a, 5, 11, 1, 4));
      layer.forward(a, 0, a, 0, 3);
      layer.forward(a, 0, a, 8, 2);
      layer.forward(a, 0, 8, a, 4, 8, 1, 5); // side by side
      layer.forward(a, 4, 8, a, 0, 8, 1, 5);
      layer.forward(a, 0, 10, a, 6, 10, 1, 4);
      layer.forward(a, 0, 10, a, 5, 10, 1, 3);
      layer.forward(a, 0, 8, a, 0, 4, 2, 2); // one group: the strides do not matter
      layer.forward(a, 10, 30, a, 10, 20, 1, 2); // the first row in place, the second apart
    }
    SplittableRandom random = new SplittableRandom(SEED);
    int legal = 0;
    try (RmsNorm layer = RmsNorm.of(2)) {
      for (int i = 0; i < 4000; i++) {
        int together = 1 + random.nextInt(3);
        int rows = 1 + random.nextInt(6);
        int least = together * 2;
        Places from = new Places(random.nextInt(9), least + random.nextInt(9), together, rows, 2);
        int stride = random.nextBoolean() ? from.stride : least + random.nextInt(9);
        Places to = new Places(random.nextInt(9), stride, together, rows, 2);
        boolean fits = isLegal(from, to);
        legal += fits ? 1 : 0;
        float[] array = new float[80];
        try {
          forward(layer, array, from, array, to);
          assertTrue(fits, () -> from + " to " + to + " was taken, seed " + SEED);
        } catch (IllegalArgumentException e) {
          assertTrue(!fits, () -> from + " to " + to + ": " + e + ", seed " + SEED);
        }
      }
    }
    assertTrue(legal > 400 && legal < 3600, legal + " are legal");
  }

  /** Element by element. */
  private static boolean isLegal(Places from, Places to) {
    int[] readBy = new int[200];
    Arrays.fill(readBy, -1);
    for (int row = 0; row < from.rows; row++) {
      Arrays.fill(readBy, from.at(row), from.at(row) + from.length, row);
    }
    for (int row = 0; row < to.rows; row++) {
      for (int i = 0; i < to.length; i++) {
        int reader = readBy[to.at(row) + i];
        if (reader >= 0 && (reader != row || from.at(row) != to.at(row))) {
          return false;
        }
      }
    }
    return true;
  }

  @Test
  void onednnSaysThatItHasNoRowsApart() {
    if (TestEngines.named().anyMatch(Backend.ONEDNN::equals)) {
      try (RmsNorm layer = RmsNorm.builder(4).backend(Backend.ONEDNN).build()) {
        NativeNormException e =
            assertThrows(
                NativeNormException.class,
                () -> layer.forward(new float[20], 0, 5, new float[20], 0, 5, 1, 4));
        assertEquals(
            "ONEDNN cannot run rms infer F32 4x4 (1 rows together, strides 5 and 5); ONEDNN: has"
                + " no rows that lie apart",
            e.getMessage());
      }
    }
  }
}
