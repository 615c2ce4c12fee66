package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Values at which oneDNN's float sums, its float eps and its products fail, with right answers. */
@SameOnAnyJvm
class OnednnNumbersTest {
  /** The engines AUTO takes where FUSED is missing. */
  static List<Backend> engines() {
    return TestEngines.named().filter(backend -> backend != Backend.FUSED).toList();
  }

  private static float[] constant(int count, double value) {
    float[] values = new float[count];
    Arrays.fill(values, (float) value);
    return values;
  }

  @ParameterizedTest
  @MethodSource("engines")
  void equalGradientsOfManyRows(Backend backend) {
    for (int width : new int[] {2, 3, 64}) {
      for (int rows : new int[] {2048, 5000, 65536}) {
        float[] x = TestData.normal(rows, rows * width, 0, 1);
        try (LayerNorm layer = LayerNorm.builder(width).backend(backend).build();
            Tensor input = Tensor.of(x, rows, width);
            Tensor dy = Tensor.of(constant(rows * width, 0.1), rows, width);
            Pass pass = layer.forwardTraining(input);
            Gradients gradients = pass.backward(dy)) {
          double expected = rows * (double) 0.1f;
          for (float dBias : gradients.bias().toArray()) {
            assertEquals(expected, dBias, expected * 1e-5, () -> rows + " rows of " + width);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void equalGradientsOfLongUnits(Backend backend) {
    int count = (1 << 22) + 6;
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = i % 2 == 0 ? 1 : -1;
    }
    float[] dy = constant(count, 0.1);
    for (int i = 0; i < count; i += 2) {
      dy[i] = 0.3f;
    }
    for (NormLayer layer :
        List.of(
            InstanceNorm.builder(1).affine(true).backend(backend).build(),
            GroupNorm.builder(1, 1).backend(backend).build(),
            BatchNorm.builder(1).backend(backend).build())) {
      try (layer;
          Tensor input = Tensor.of(x, 1, 1, count);
          Tensor slopes = Tensor.of(dy, 1, 1, count);
          Pass pass = layer.forwardTraining(input);
          Gradients gradients = pass.backward(slopes)) {
        double r = 1 / Math.sqrt(1 + 1e-5);
        double sum = count / 2 * ((double) 0.3f + 0.1f);
        double product = count / 2 * ((double) 0.3f - 0.1f) * r;
        assertEquals(sum, gradients.bias().toArray()[0], sum * 1e-6, layer.toString());
        assertEquals(product, gradients.weight().toArray()[0], product * 1e-6, layer.toString());
        float[] dx = gradients.input().toArray();
        // g - mean(g) = +-0.1, of which the variance leaves eps.
        double expected = 0.1 * 1e-5 * r;
        assertEquals(expected, dx[0], 1e-7);
        assertEquals(-expected, dx[count - 1], 1e-7);
      }
    }
  }

  /** Positions that can be cut into samples of other sizes and such that cannot; whole vectors. */
  @ParameterizedTest
  @MethodSource("engines")
  void equalGradientsOfManyPositions(Backend backend) {
    for (int channels : new int[] {8, 16, 61, 64}) {
      for (int positions : new int[] {601, 3136, 56 * 57, 65536}) {
        for (int threads = 1; threads <= 2; threads++) {
          int count = channels * positions;
          float[] x = constant(count, 3);
          float[] slopes = constant(count, 0.3);
          for (int i = 0; i < count; i++) {
            if (i / channels % 2 == 0) {
              x[i] = -1;
              slopes[i] = 0.1f;
            }
          }
          try (BatchNorm layer =
                  BatchNorm.builder(channels).backend(backend).threads(threads).build();
              Tensor input =
                  Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 1, channels, positions);
              Tensor dy =
                  Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 1, channels, positions)) {
            input.copyFrom(x);
            dy.copyFrom(slopes);
            checkTwoValues(layer, input, dy, positions);
          }
        }
      }
    }
  }

  /** Of -1 with gradient 0.1 and 3 with 0.3, in turn. */
  private static void checkTwoValues(NormLayer layer, Tensor input, Tensor dy, int positions) {
    int channels = (int) input.shape()[1];
    try (Pass pass = layer.forwardTraining(input);
        Gradients gradients = pass.backward(dy)) {
      float[] dBias = gradients.bias().toArray();
      float[] dWeight = gradients.weight().toArray();
      for (int c = 0; c < channels; c++) {
        int low = (positions + 1) / 2;
        int high = positions - low;
        double mean = (3.0 * high - low) / positions;
        double r = 1 / Math.sqrt(((9.0 * high + low) / positions - mean * mean) + 1e-5);
        double sum = (double) 0.3f * high + (double) 0.1f * low;
        double product = r * ((double) 0.3f * high * (3 - mean) - (double) 0.1f * low * (1 + mean));
        String which = layer + ", channel " + c + " of " + channels + "x" + positions;
        assertEquals(sum, dBias[c], sum * 1e-5, which);
        assertEquals(product, dWeight[c], product * 1e-5, which);
      }
    }
  }

  /** Groups of whole vectors, of less than one, and of one and a half, on either path. */
  @ParameterizedTest
  @MethodSource("engines")
  void groupsHalfAboveAndHalfBelow(Backend backend) {
    int[][] shapes = {
      {1280, 32, 256}, {1280, 32, 2048}, {40, 4, 40000}, {12, 3, 4096}, {24, 2, 400}
    };
    for (int[] shape : shapes) {
      for (double mean : new double[] {0, 0.3, 0.5, 3}) {
        int channels = shape[0];
        int positions = shape[2];
        float[] x = new float[2 * channels * positions];
        for (int i = 0; i < x.length; i++) {
          x[i] = (float) (mean + (i % 2 == 0 ? 1.1 : -1.1));
        }
        float above = (float) (mean + 1.1);
        float below = (float) (mean - 1.1);
        double half = ((double) above - below) / 2;
        try (GroupNorm layer = GroupNorm.builder(shape[1], channels).backend(backend).build();
            Tensor input =
                Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, channels, positions)) {
          input.copyFrom(x);
          try (Pass pass = layer.forwardTraining(input)) {
            double expected = half / Math.sqrt(half * half + 1e-5);
            for (float value : pass.output().toArray()) {
              assertEquals(expected, Math.abs(value), 1e-5, () -> layer + " at " + mean);
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void halfOfALongUnitAboveAndHalfBelow(Backend backend) {
    for (Layout layout : Layout.values()) {
      float[] x = new float[4 * 65536];
      for (int i = 0; i < x.length; i++) {
        x[i] = i % 8 < 4 ? 1.1f : -1.1f;
      }
      try (InstanceNorm layer = InstanceNorm.builder(4).backend(backend).build();
          BatchNorm batch = BatchNorm.builder(4).trackRunningStats(false).backend(backend).build();
          LayerNorm rows = LayerNorm.builder(65536).backend(backend).build();
          RmsNorm rms = RmsNorm.builder(65536).eps(1e-5).backend(backend).build();
          Tensor input = Tensor.allocate(DataType.F32, layout, 1, 4, 256, 256);
          Tensor four = Tensor.of(x, 4, 65536)) {
        input.copyFrom(x);
        double expected = (double) 1.1f / Math.sqrt((double) 1.1f * 1.1f + 1e-5);
        for (Tensor y : List.of(layer.forward(input), batch.forward(input))) {
          assertPlusOrMinus(expected, y);
        }
        for (Tensor y : List.of(rows.forward(four), rms.forward(four))) {
          assertPlusOrMinus(expected, y);
        }
      }
    }
  }

  private static void assertPlusOrMinus(double expected, Tensor y) {
    try (y) {
      for (float value : y.toArray()) {
        assertEquals(expected, Math.abs(value), 1e-6);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void squaresThatOverflow(Backend backend) {
    for (double huge : new double[] {1.5e19, 1e18, 2e18, 9e18}) {
      for (int width : new int[] {2, 8, 512, 1000}) {
        float[] x = constant(width * 3, huge);
        for (int i = 0; i < width; i += 2) {
          x[i] = -x[i];
        }
        try (RmsNorm rms = RmsNorm.builder(width).eps(1e-6).backend(backend).build();
            LayerNorm layer = LayerNorm.builder(width).backend(backend).build()) {
          float[] y = rms.forward(x, 3, width);
          for (int i = 0; i < x.length; i++) {
            assertEquals(Math.signum(x[i]), y[i], 1e-5f, () -> "RmsNorm(" + width + ") of " + huge);
          }
          y = layer.forward(x, 3, width);
          for (int i = 0; i < x.length; i++) {
            float expected = i < width ? Math.signum(x[i]) : 0;
            assertEquals(expected, y[i], 1e-5f, () -> "LayerNorm(" + width + ") of " + huge);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void squaresThatVanish(Backend backend) {
    for (int width : new int[] {2, 64, 5000}) {
      float[] x = new float[2 * width];
      for (int i = 0; i < x.length; i++) {
        x[i] = i % 2 == 0 ? 1e-25f : -1e-25f;
      }
      try (RmsNorm rms = RmsNorm.builder(width).eps(0).backend(backend).build();
          LayerNorm layer = LayerNorm.builder(width).eps(0).backend(backend).build()) {
        for (float[] y : List.of(rms.forward(x, 2, width), layer.forward(x, 2, width))) {
          for (int i = 0; i < x.length; i++) {
            assertEquals(Math.signum(x[i]), y[i], 1e-5f);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void aSpreadBeyondFloatGivesTheBiasAndNoGradient(Backend backend) {
    for (float[] x :
        List.of(
            new float[] {3e38f, -3e38f, -3e38f, -3e38f},
            new float[] {-3e38f, 3e38f, 3e38f, 3e38f},
            new float[] {1e20f, 2e20f, -1e20f, -2e20f})) {
      try (LayerNorm layer = LayerNorm.builder(4).backend(backend).build();
          Tensor input = Tensor.of(x, 1, 4);
          Tensor dy = Tensor.of(new float[] {1, 0, -1, 2}, 1, 4)) {
        layer.bias().copyFrom(new float[] {1, 2, 3, 4});
        try (Tensor y = layer.forward(input);
            Pass pass = layer.forwardTraining(input);
            Gradients gradients = pass.backward(dy)) {
          assertArrayEquals(new float[] {1, 2, 3, 4}, y.toArray());
          assertArrayEquals(new float[] {1, 2, 3, 4}, pass.output().toArray());
          for (float dx : gradients.input().toArray()) {
            assertEquals(0, dx, 0f);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void epsIsAddedInDouble(Backend backend) {
    for (double variance : new double[] {-9.9998997e-6, -9.99e-6, 1e-9, 1e-12, 0}) {
      try (BatchNorm layer = BatchNorm.builder(2).backend(backend).build();
          Tensor input = Tensor.of(new float[] {1, -2, 3, 4}, 2, 2)) {
        layer.state().get("running_var").copyFrom(constant(2, variance));
        try (Tensor y = layer.forward(input)) {
          double r = 1 / Math.sqrt((float) variance + 1e-5);
          float[] values = y.toArray();
          assertEquals(r, values[0], r * 1e-6);
          assertEquals(-2 * r, values[1], r * 2e-6);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("engines")
  void aDistanceFromTheRunningMeanBeyondFloat(Backend backend) {
    try (BatchNorm layer = BatchNorm.builder(1).backend(backend).build();
        Tensor input = Tensor.of(new float[] {3e38f}, 1, 1)) {
      layer.state().get("running_mean").copyFrom(new float[] {-3e38f});
      layer.state().get("running_var").copyFrom(new float[] {1e38f});
      try (Tensor y = layer.forward(input)) {
        assertEquals(6.000000106909806e19, y.toArray()[0], 1e13);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 4.9e-324, 1e-60, 1e-30})
  void constantUnitsGiveTheBiasAtAnyEps(double eps) {
    for (float value : new float[] {5, 0, -0.1f, 1e-30f, 1e30f}) {
      float[] x = constant(8, value);
      try (LayerNorm layer = LayerNorm.builder(4).eps(eps).backend(Backend.ONEDNN).build();
          GroupNorm group = GroupNorm.builder(2, 4).eps(eps).backend(Backend.ONEDNN).build();
          RmsNorm rms = RmsNorm.builder(4).eps(eps).backend(Backend.ONEDNN).build()) {
        layer.bias().copyFrom(new float[] {1, 2, 3, 4});
        group.bias().copyFrom(new float[] {1, 2, 3, 4});
        float[] expected = {1, 2, 3, 4, 1, 2, 3, 4};
        assertArrayEquals(expected, layer.forward(x, 2, 4));
        assertArrayEquals(expected, group.forward(x, 2, 4));
        if (value == 0) {
          assertArrayEquals(new float[8], rms.forward(x, 2, 4));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientsThatAddUpBeyondFloat(Layout layout) {
    float[] x = TestData.normal(1, 2 * 8 * 16, 0, 1);
    for (NormLayer layer :
        List.of(
            BatchNorm.builder(8).affine(false).backend(Backend.ONEDNN).build(),
            GroupNorm.builder(2, 8).affine(false).backend(Backend.ONEDNN).build(),
            LayerNorm.builder(16).affine(false).backend(Backend.ONEDNN).build())) {
      try (layer;
          Tensor input = Tensor.allocate(DataType.F32, layout, 2, 8, 16);
          Tensor dy = Tensor.allocate(DataType.F32, layout, 2, 8, 16)) {
        input.copyFrom(x);
        float[] slopes = constant(x.length, 1e38);
        slopes[3] = 0.5e38f;
        dy.copyFrom(slopes);
        try (Pass pass = layer.forwardTraining(input);
            Gradients gradients = pass.backward(dy)) {
          for (float dx : gradients.input().toArray()) {
            assertTrue(Float.isFinite(dx), layer::toString);
          }
        }
      }
    }
  }

  @Test
  void nanStaysInItsUnitBackward() {
    float[] x = TestData.normal(1, 4 * 8, 0, 1);
    x[9] = Float.NaN;
    try (LayerNorm layer = LayerNorm.builder(8).backend(Backend.ONEDNN).build();
        BatchNorm batch = BatchNorm.builder(8).backend(Backend.ONEDNN).build();
        Tensor input = Tensor.of(x, 4, 8);
        Tensor dy = Tensor.of(TestData.normal(2, 32, 0, 1), 4, 8);
        Pass rows = layer.forwardTraining(input);
        Pass columns = batch.forwardTraining(input);
        Gradients ofRows = rows.backward(dy);
        Gradients ofColumns = columns.backward(dy)) {
      float[] byRow = ofRows.input().toArray();
      float[] byColumn = ofColumns.input().toArray();
      for (int i = 0; i < 32; i++) {
        assertEquals(i / 8 == 1, Float.isNaN(byRow[i]), "element " + i);
        assertEquals(i % 8 == 1, Float.isNaN(byColumn[i]), "element " + i);
      }
    }
  }
}
