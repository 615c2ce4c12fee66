package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.engine.Operation;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code normalize} without a layer gives what a layer gives. */
class RowFunctionTest {
  private static final double EPS = 1e-6;

  static List<Backend> engines() {
    return TestEngines.all();
  }

  private static FloatBuffer direct(float... values) {
    FloatBuffer buffer =
        ByteBuffer.allocateDirect(values.length * Float.BYTES)
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();
    buffer.put(0, values);
    return buffer.position(values.length / 2); // which does not matter
  }

  /** What a layer makes of some rows. */
  private static float[] layers(
      Backend backend, float[] x, int length, float[] weight, float[] bias, double offset) {
    LayerBuilder<?> builder =
        bias == null
            ? RmsNorm.builder(length).unitOffset(offset)
            : LayerNorm.builder(length).unitOffset(offset);
    try (NormLayer layer = builder.eps(EPS).backend(backend).build()) {
      layer.weight().copyFrom(weight);
      if (bias != null) {
        layer.bias().copyFrom(bias);
      }
      return layer.forward(x);
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void givesWhatALayerGives(Backend backend) {
    RowFunction rms = new RowFunction("rms", Operation.RMS, backend);
    RowFunction layer = new RowFunction("layer", Operation.LAYER, backend);
    for (double offset : backend == Backend.ONEDNN ? new double[] {0} : new double[] {0, 1}) {
      for (int length : new int[] {1, 7, 64, 128, 1000}) {
        for (int rows : new int[] {1, 3, 600}) {
          float[] array = TestData.normal(length, rows * length + 10, 0.5, 1);
          float[] weights = TestData.normal(2, length + 9, 1, 0.5);
          float[] biases = TestData.normal(3, length + 9, 0, 0.5);
          float[] x = Arrays.copyOfRange(array, 4, 4 + rows * length);
          float[] w = Arrays.copyOfRange(weights, 5, 5 + length);
          float[] b = Arrays.copyOfRange(biases, 6, 6 + length);
          String what = backend + " " + rows + "x" + length + " " + offset;

          float[] y = new float[rows * length + 2];
          rms.run(array, 4, y, 1, rows, length, weights, 5, null, 0, EPS, offset);
          float[] expected = new float[y.length];
          System.arraycopy(layers(backend, x, length, w, null, offset), 0, expected, 1, x.length);
          assertArrayEquals(expected, y, what);
          Arrays.fill(y, 0);
          rms.run(array, 4, y, 1, rows, length, direct(weights), 5, EPS, offset);
          assertArrayEquals(expected, y, what + " from a buffer");
          float[] inPlace = array.clone();
          rms.run(
              inPlace,
              4,
              inPlace,
              4,
              rows,
              length,
              direct(weights).asReadOnlyBuffer(),
              5,
              EPS,
              offset);
          System.arraycopy(expected, 1, array, 4, x.length);
          assertArrayEquals(array, inPlace, what + " in place");

          float[] centered = inPlace.clone();
          System.arraycopy(x, 0, centered, 4, x.length);
          layer.run(centered, 4, centered, 4, rows, length, weights, 5, biases, 6, EPS, offset);
          System.arraycopy(layers(backend, x, length, w, b, offset), 0, inPlace, 4, x.length);
          assertArrayEquals(inPlace, centered, what + " with a mean");
        }
      }
    }
  }

  /** More of them than there are places, so that they meet there. */
  @Test
  void callsThatDifferInEpsAloneAreNotTheSame() {
    float[] ones = {1, 1, 1, 1};
    float[] y = new float[4];
    for (int i = 0; i < 300; i++) {
      double eps = i % 150 / 10.0;
      RmsNorm.normalize(ones, 0, y, 0, 1, 4, ones, 0, eps);
      assertEquals(1 / Math.sqrt(1 + eps), y[0], 1e-6);
    }
  }

  @Test
  void thePublicMethodsAreThese() {
    float[] x = {9, 1, 2, 3, 4, 9};
    float[] w = {0, 2, 3, 4, 5};
    float[] b = {0, 0, 1, 1, -1, 2};
    float[] y = new float[6];
    float[] four = {1, 2, 3, 4};
    float[] plain = layers(Backend.AUTO, four, 4, new float[] {2, 3, 4, 5}, null, 0);
    float[] more = layers(Backend.AUTO, four, 4, new float[] {3, 4, 5, 6}, null, 0);
    RmsNorm.normalize(x, 1, y, 2, 1, 4, w, 1, EPS);
    assertArrayEquals(plain, Arrays.copyOfRange(y, 2, 6));
    RmsNorm.normalize(x, 1, y, 2, 1, 4, w, 1, EPS, 1);
    assertArrayEquals(more, Arrays.copyOfRange(y, 2, 6));
    RmsNorm.normalize(x, 1, y, 2, 1, 4, direct(w), 1, EPS);
    assertArrayEquals(plain, Arrays.copyOfRange(y, 2, 6));
    RmsNorm.normalize(x, 1, y, 2, 1, 4, direct(w), 1, EPS, 1);
    assertArrayEquals(more, Arrays.copyOfRange(y, 2, 6));
    float[] bias = {1, 1, -1, 2};
    LayerNorm.normalize(x, 1, y, 2, 1, 4, w, 1, b, 2, EPS);
    assertArrayEquals(
        layers(Backend.AUTO, four, 4, new float[] {2, 3, 4, 5}, bias, 0),
        Arrays.copyOfRange(y, 2, 6));
    LayerNorm.normalize(x, 1, y, 2, 1, 4, w, 1, b, 2, EPS, 1);
    assertArrayEquals(
        layers(Backend.AUTO, four, 4, new float[] {3, 4, 5, 6}, bias, 0),
        Arrays.copyOfRange(y, 2, 6));
  }

  /** More different calls than are remembered, from more threads than may hold arrays on JDK 17. */
  @Test
  void anyThreadMayCallAtOnce() throws Exception {
    int lengths = 100;
    float[] x = TestData.normal(1, 2 * lengths, 0, 1);
    float[] weights = TestData.normal(2, lengths, 1, 1);
    FloatBuffer buffer = direct(weights);
    float[][] expected = new float[lengths + 1][];
    for (int length = 1; length <= lengths; length++) {
      float[] w = Arrays.copyOf(weights, length);
      float[] rows = Arrays.copyOf(x, 2 * length);
      expected[length] = layers(Backend.AUTO, rows, length, w, null, 0);
    }
    ExecutorService pool = Executors.newFixedThreadPool(12);
    try {
      List<Future<?>> calls = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        boolean buffers = i % 2 == 0;
        calls.add(
            pool.submit(
                () -> {
                  for (int call = 0; call < 3000; call++) {
                    int length = 1 + (call * 37) % lengths;
                    float[] y = new float[2 * length];
                    if (buffers) {
                      RmsNorm.normalize(x, 0, y, 0, 2, length, buffer, 0, EPS);
                    } else {
                      RmsNorm.normalize(x, 0, y, 0, 2, length, weights, 0, EPS);
                    }
                    assertArrayEquals(expected[length], y);
                  }
                }));
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
  void whatDoesNotFitIsRefused() {
    float[] x = new float[8];
    float[] y = new float[8];
    float[] w = new float[4];
    String name = "RmsNorm.normalize: ";
    refused(
        name + "expected x to have 2 rows of 4 from 1 on, but got 8 elements",
        () -> RmsNorm.normalize(x, 1, y, 0, 2, 4, w, 0, EPS));
    refused(
        name + "expected y to have 1 row of 4 from -1 on, but got 8 elements",
        () -> RmsNorm.normalize(x, 1, y, -1, 1, 4, w, 0, EPS));
    refused(
        name + "rows must not be negative, but got -1",
        () -> RmsNorm.normalize(x, 0, y, 0, -1, 4, w, 0, EPS));
    refused(
        name + "length must be positive, but got 0",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 0, w, 0, EPS));
    refused(
        name + "eps must be non-negative and finite, but got NaN",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, w, 0, Double.NaN));
    refused(
        name + "unitOffset must be a finite float, but got Infinity",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, w, 0, EPS, 1 / 0.0));
    refused(
        name + "expected the weight to have 4 elements from 1 on, but got 4",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, w, 1, EPS));
    refused(
        name + "y must be apart from the weight, but y at 0 overlaps it at 3",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, y, 3, EPS));
    refused(
        name
            + "a row must be written where it is read or apart from all that is read, but y at 2"
            + " overlaps x at 0",
        () -> RmsNorm.normalize(x, 0, x, 2, 1, 4, w, 0, EPS));
    refused(
        name
            + "the weight: expected a direct FloatBuffer, but got one on the Java heap; pass its"
            + " array",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, FloatBuffer.wrap(w), 0, EPS));
    refused(
        name + "the weight: expected 4 elements from 1 on, but got a limit of 4",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, direct(w), 1, EPS));
    ByteOrder other =
        ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN
            ? ByteOrder.BIG_ENDIAN
            : ByteOrder.LITTLE_ENDIAN;
    FloatBuffer foreign = ByteBuffer.allocateDirect(16).order(other).asFloatBuffer();
    refused(
        name
            + "the weight: expected a buffer in native byte order, but got "
            + other
            + "; set ByteBuffer.order(ByteOrder.nativeOrder()) before asFloatBuffer()",
        () -> RmsNorm.normalize(x, 0, y, 0, 1, 4, foreign, 0, EPS));
    refused(
        "LayerNorm.normalize: expected the bias to have 4 elements from -1 on, but got 4",
        () -> LayerNorm.normalize(x, 0, y, 0, 1, 4, w, 0, w, -1, EPS));
    refused(
        "LayerNorm.normalize: y must be apart from the bias, but y at 0 overlaps it at 2",
        () -> LayerNorm.normalize(x, 0, y, 0, 1, 4, w, 0, y, 2, EPS));
    RmsNorm.normalize(x, 8, y, 8, 0, 4, w, 0, EPS);
    RmsNorm.normalize(x, 0, y, 0, 1, 4, y, 4, EPS); // the weight beside what is written
    assertArrayEquals(new float[8], y);
  }
}
