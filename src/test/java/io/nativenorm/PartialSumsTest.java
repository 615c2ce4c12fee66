package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Gradients of weight and bias whose sums leave float after two rows and are back after three. */
class PartialSumsTest {
  private static final float HUGE = 2e38f;

  /** Widths around those of oneDNN's vectors and of what is looked at at once. */
  private static final int[] WIDTHS = {2, 7, 8, 511, 512, 513, 1300, 4096};

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void ofOneColumn(Backend backend) {
    for (int width : WIDTHS) {
      for (int column : new int[] {0, width / 2, width - 1}) {
        checkBias(backend, width, column);
        checkWeight(LayerNorm.builder(width).bias(false).backend(backend).build(), width, column);
        checkWeight(RmsNorm.builder(width).backend(backend).build(), width, column);
      }
    }
  }

  /**
   * The sum of dy leaves float, the weight's stays: it is of floats, as nobody asked for the
   * bias's.
   */
  @ParameterizedTest
  @ValueSource(ints = {2, 8, 37, 700})
  void aSumThatIsNotWantedChangesNothing(int width) {
    TestEngines.assumeFused();
    assertArrayEquals(
        weightGradient(RmsNorm.builder(width).backend(Backend.JAVA).build(), width),
        weightGradient(RmsNorm.builder(width).backend(Backend.FUSED).build(), width));
    assertArrayEquals(
        weightGradient(LayerNorm.builder(width).bias(false).backend(Backend.JAVA).build(), width),
        weightGradient(LayerNorm.builder(width).bias(false).backend(Backend.FUSED).build(), width));
  }

  private static float[] weightGradient(NormLayer layer, int width) {
    float[] x = new float[5 * width];
    float[] dy = new float[5 * width];
    Random random = new Random(width);
    for (int i = 0; i < x.length; i++) {
      x[i] = ((i / width + i % width) % 2 == 0 ? 1 : -1) * (0.9f + 0.2f * random.nextFloat());
      dy[i] = 1e38f * (1 + 0.1f * random.nextFloat());
    }
    try (layer;
        Tensor input = Tensor.of(x, 5, width);
        Tensor gradient = Tensor.of(dy, 5, width)) {
      weaken(layer.weight(), width, 0);
      try (Pass pass = layer.forwardTraining(input);
          Gradients gradients = pass.backward(gradient)) {
        float[] found = gradients.weight().toArray();
        for (float sum : found) {
          assertTrue(Float.isFinite(sum));
        }
        return found;
      }
    }
  }

  /** Columns of -1 and 1 in turn, and one, so that they are what is normalized, near enough. */
  private static Tensor signs(int width, int column, float value) {
    float[] x = new float[3 * width];
    for (int i = 0; i < x.length; i++) {
      x[i] = i % width == column ? value : i % width % 2 == 0 ? 1 : -1;
    }
    return Tensor.of(x, 3, width);
  }

  /** Two rows of a gradient that the third takes back, in one column. */
  private static Tensor slopes(int width, int column) {
    float[] dy = new float[3 * width];
    dy[column] = HUGE;
    dy[width + column] = HUGE;
    dy[2 * width + column] = -HUGE;
    return Tensor.of(dy, 3, width);
  }

  /** Keeps the input's gradient within float, so that it does not tell. */
  private static void weaken(Tensor weight, int width, int column) {
    float[] weights = new float[width];
    weights[column] = 1e-30f;
    weight.copyFrom(weights);
  }

  private static void checkBias(Backend backend, int width, int column) {
    try (LayerNorm layer = LayerNorm.builder(width).backend(backend).build();
        Tensor x = signs(width, column, 0); // keeps the weight's sum within float
        Tensor dy = slopes(width, column)) {
      weaken(layer.weight(), width, column);
      try (Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(dy)) {
        String which = "column " + column + " of " + layer;
        assertOnly(HUGE, column, gradients.bias().toArray(), which);
        assertFinite(gradients.input(), which);
      }
    }
  }

  private static void checkWeight(NormLayer layer, int width, int column) {
    try (layer;
        Tensor x = signs(width, column, column % 2 == 0 ? 1 : -1);
        Tensor dy = slopes(width, column)) {
      weaken(layer.weight(), width, column);
      try (Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(dy)) {
        String which = "column " + column + " of " + layer;
        float sign = pass.output().toArray()[column] < 0 ? -1 : 1;
        double xhat = pass.output().toArray()[column] / 1e-30f;
        assertTrue(sign * xhat > 0.5, which);
        assertOnly(HUGE * xhat, column, gradients.weight().toArray(), which);
        assertFinite(gradients.input(), which);
      }
    }
  }

  private static void assertOnly(double expected, int column, float[] actual, String which) {
    for (int i = 0; i < actual.length; i++) {
      double wanted = i == column ? expected : 0;
      assertEquals(wanted, actual[i], Math.abs(wanted) * 1e-5, which);
    }
  }

  private static void assertFinite(Tensor gradient, String which) {
    for (float dx : gradient.toArray()) {
      assertTrue(Float.isFinite(dx), which);
    }
  }
}
