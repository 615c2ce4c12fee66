package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Where InstanceNorm is no BatchNorm: without eps, and at a single position. */
class InstanceNormTest {
  private static List<InstanceNorm> layers(Backend backend, long channels) {
    List<InstanceNorm> layers = new ArrayList<>();
    for (boolean affine : new boolean[] {false, true}) {
      layers.add(InstanceNorm.builder(channels).backend(backend).affine(affine).build());
    }
    return layers;
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#all")
  void withoutEpsItIsComputed(Backend backend) {
    float[] values = TestData.normal(3, 2 * 10 * 5, 1, 2);
    float[] dy = TestData.normal(4, values.length, 0, 1);
    Oracle oracle = new Oracle(Oracle.Kind.GROUP, 2, 10, 5, 10, 0, null, null, false);
    double[] wide = TestData.widen(values);
    double[] expected = oracle.forward(wide);
    double[] gradient = oracle.backward(wide, TestData.widen(dy))[0];
    for (boolean tracks : new boolean[] {false, true}) {
      try (InstanceNorm layer =
              InstanceNorm.builder(10).eps(0).trackRunningStats(tracks).backend(backend).build();
          Tensor x = Tensor.of(values, 2, 10, 5);
          Tensor incoming = Tensor.of(dy, 2, 10, 5);
          Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(incoming)) {
        assertTrue(TestData.largestMixedError(expected, pass.output().toArray()) <= 1e-5);
        assertTrue(TestData.relativeL2(gradient, gradients.input().toArray()) <= 1e-5);
        if (!tracks) {
          assertTrue(TestData.largestMixedError(expected, layer.forward(values, 2, 10, 5)) <= 1e-5);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#all")
  void aSinglePositionGivesTheBias(Backend backend) {
    float[] values = {1, -3e4f, 7, 0, 1e-20f, -2};
    for (long[] shape : new long[][] {{3, 2, 1, 1}, {3, 2}, {3, 2, 1}}) {
      for (Layout layout : Layout.values()) {
        for (InstanceNorm layer : layers(backend, 2)) {
          float[] bias = layer.bias() == null ? new float[2] : new float[] {0.3f, -4};
          try (layer;
              Tensor x = Tensor.allocate(DataType.F32, layout, shape)) {
            x.copyFrom(values);
            if (layer.bias() != null) {
              layer.bias().copyFrom(bias);
              layer.weight().copyFrom(new float[] {5, 1e10f});
            }
            float[] expected = {bias[0], bias[1], bias[0], bias[1], bias[0], bias[1]};
            assertArrayEquals(expected, layer.forward(values, shape));
            try (Tensor y = layer.forward(x)) {
              assertArrayEquals(expected, y.toArray());
            }
            assertThrows(IllegalArgumentException.class, () -> layer.forwardTraining(x));
          }
        }
      }
    }
  }
}
