package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Gemma's 1 + w: what a layer with the sums as weights computes, bit by bit, in every direction.
 */
class UnitOffsetTest {
  private static final int ROWS = 9;
  private static final int LENGTH = 130;

  private static LayerBuilder<?> builder(boolean rms, double offset, Backend backend) {
    return rms
        ? RmsNorm.builder(LENGTH).unitOffset(offset).backend(backend)
        : LayerNorm.builder(LENGTH).unitOffset(offset).backend(backend);
  }

  @ParameterizedTest
  @EnumSource(
      value = Backend.class,
      names = {"AUTO", "FUSED", "JAVA"})
  void isAddedBeforeTheWeightMultiplies(Backend backend) {
    if (!TestEngines.all().contains(backend)) {
      return;
    }
    for (boolean rms : new boolean[] {false, true}) {
      for (double offset : new double[] {1, -0.3, 1 / 3.0}) {
        for (DataType type : new DataType[] {DataType.F32, DataType.BF16}) {
          for (Activation activation : Activation.values()) {
            check(rms, offset, backend, type, activation);
          }
        }
      }
    }
  }

  private static void check(
      boolean rms, double offset, Backend backend, DataType type, Activation activation) {
    float[] weight = TestData.normal(3, LENGTH, 0, 0.3);
    float[] sums = weight.clone();
    for (int i = 0; i < LENGTH; i++) {
      sums[i] += (float) offset;
    }
    String what = rms + " " + offset + " " + type + " " + activation;
    try (NormLayer layer = builder(rms, offset, backend).activation(activation).build();
        NormLayer plain = builder(rms, 0, Backend.JAVA).activation(activation).build();
        Tensor wide = Tensor.of(TestData.normal(4, ROWS * LENGTH, 0.2, 1), ROWS, LENGTH);
        Tensor wideGradient = Tensor.of(TestData.normal(5, ROWS * LENGTH, 0, 1), ROWS, LENGTH);
        Tensor x = wide.to(type);
        Tensor dy = wideGradient.to(type)) {
      layer.weight().copyFrom(weight);
      plain.weight().copyFrom(sums);
      try (Tensor y = layer.forward(x);
          Tensor expected = plain.forward(x);
          Pass pass = layer.forwardTraining(x);
          Pass plainPass = plain.forwardTraining(x);
          Gradients found = pass.backward(dy);
          Gradients wanted = plainPass.backward(dy)) {
        assertArrayEquals(expected.toArray(), y.toArray(), what);
        assertArrayEquals(expected.toArray(), pass.output().toArray(), what);
        assertArrayEquals(wanted.input().toArray(), found.input().toArray(), what + " dx");
        assertArrayEquals(wanted.weight().toArray(), found.weight().toArray(), what + " dweight");
      }
    }
  }

  @Test
  void aNewLayerMultipliesByOne() {
    for (double offset : new double[] {0, 1, 0.25}) {
      try (NormLayer layer = builder(true, offset, Backend.AUTO).build()) {
        float[] weight = layer.weight().toArray();
        float[] expected = new float[LENGTH];
        Arrays.fill(expected, (float) (1 - offset));
        assertArrayEquals(expected, weight);
      }
    }
  }

  @Test
  void anOffsetThatIsNoneIsRefused() {
    for (double offset : new double[] {Double.NaN, Double.NEGATIVE_INFINITY, 1e39}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> RmsNorm.builder(4).unitOffset(offset));
      assertEquals(
          "RmsNorm([4]): unitOffset must be a finite float, but got " + offset, e.getMessage());
    }
    LayerNorm.Builder without = LayerNorm.builder(4).unitOffset(1).affine(false).bias(true);
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, without::build);
    assertEquals(
        "LayerNorm([4]): unitOffset(1.0) is added to a weight, but there is none", e.getMessage());
    without.unitOffset(0).build().close();
  }
}
