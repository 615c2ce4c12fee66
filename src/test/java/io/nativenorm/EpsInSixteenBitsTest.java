package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What docs/numbers.md says of eps in 16 bits, where 1e-12 is 0 as a number of F16. */
class EpsInSixteenBitsTest {
  private static final int LENGTH = 64;

  private static List<LayerBuilder<?>> builders() {
    return List.of(LayerNorm.builder(LENGTH), RmsNorm.builder(LENGTH));
  }

  /** Padding: 0 by all of them, not 0 / 0. */
  @ParameterizedTest
  @ValueSource(doubles = {1e-5, 1e-6, 1e-12})
  void aRowOfZerosIsZeroAndItsGradientIsOverTheRootOfEps(double eps) {
    for (DataType type : List.of(DataType.BF16, DataType.F16)) {
      for (LayerBuilder<?> builder : builders()) {
        try (NormLayer layer = builder.eps(eps).build();
            Tensor x = Tensor.allocate(type, Layout.CHANNELS_FIRST, 1, LENGTH);
            Tensor dy = Tensor.allocate(type, Layout.CHANNELS_FIRST, 1, LENGTH);
            Pass pass = layer.forwardTraining(x)) {
          dy.copyFrom(alternating());
          for (float y : pass.output().toArray()) {
            assertEquals(0, y);
          }
          try (Gradients gradients = pass.backward(dy)) {
            double slope = 1 / Math.sqrt(eps);
            double expected =
                type == DataType.F16 && slope > 65504 ? Float.POSITIVE_INFINITY : slope;
            float dx = gradients.input().toArray()[0];
            assertEquals(1, expected == dx ? 1 : dx / expected, 0x1p-8, layer + " in " + type);
          }
        }
      }
    }
  }

  private static float[] alternating() {
    float[] values = new float[LENGTH];
    for (int i = 0; i < LENGTH; i++) {
      values[i] = i % 2 == 0 ? 1 : -1;
    }
    return values;
  }
}
