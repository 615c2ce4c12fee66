package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.engine.NativeAccess;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Outputs and gradients on a layer's parameters or running statistics: refused, nothing written.
 */
class OutputsOnParametersTest {
  private static final Layout FIRST = Layout.CHANNELS_FIRST;
  private static final Map<String, String> NAMES =
      Map.of(
          "weight", "weight",
          "bias", "bias",
          "running_mean", "running mean",
          "running_var", "running variance");

  private static void refused(NormLayer layer, String what, String name, Executable call) {
    String message = layer + ": " + what + " must be apart from the " + name + ", but overlaps it";
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  @ParameterizedTest
  @EnumSource(LayerCase.Kind.class)
  void onALayersOwn(LayerCase.Kind kind) {
    Assumptions.assumeTrue(NativeAccess.missing().isEmpty(), "there are no addresses");
    LayerCase c = new LayerCase(kind, FIRST, Backend.AUTO, 2, 8, 2);
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor y = Tensor.zeros(c.shape());
        Pass pass = layer.forwardTraining(x, y)) {
      Map<String, float[]> before = values(layer);
      for (Map.Entry<String, Tensor> entry : layer.state().entrySet()) {
        String name = NAMES.get(entry.getKey());
        if (name != null) {
          requireRefused(layer, pass, name, entry.getValue(), x, c.shape());
        }
      }
      Map<String, float[]> after = values(layer);
      assertEquals(before.keySet(), after.keySet());
      before.forEach((name, values) -> assertArrayEquals(values, after.get(name), name));
    }
  }

  private static Map<String, float[]> values(NormLayer layer) {
    Map<String, float[]> values = new LinkedHashMap<>();
    layer.state().forEach((name, tensor) -> values.put(name, tensor.toArray()));
    return values;
  }

  /** From its last element on, which is all that they share, and from its first. */
  private static void requireRefused(
      NormLayer layer, Pass pass, String name, Tensor parameter, Tensor x, long[] shape) {
    long first = parameter.pointer().address();
    for (long from : new long[] {first, first + 4 * (parameter.size() - 1)}) {
      try (Tensor on = Tensor.wrap(from, parameter, DataType.F32, FIRST, shape);
          Tensor dy = Tensor.zeros(shape)) {
        refused(layer, "the output", name, () -> layer.forward(x, on));
        refused(layer, "the output", name, () -> layer.forwardTraining(x, on));
        refused(layer, "the output", name, () -> pass.forward(x, on));
        refused(layer, "dx", name, () -> pass.backward(dy, on, null, null));
        for (String gradient : new String[] {"weight", "bias"}) {
          requireGradientRefused(layer, pass, name, gradient, from, parameter, dy);
        }
      }
    }
  }

  private static void requireGradientRefused(
      NormLayer layer,
      Pass pass,
      String name,
      String gradient,
      long from,
      Tensor parameter,
      Tensor dy) {
    Tensor like = layer.state().get(gradient);
    if (like == null) {
      return;
    }
    try (Tensor on = Tensor.wrap(from, parameter, DataType.F32, FIRST, like.shape())) {
      if (gradient.equals("weight")) {
        refused(layer, "dWeight", name, () -> pass.backward(dy, null, on, null));
      } else {
        refused(layer, "dBias", name, () -> pass.accumulate(dy, null, null, on));
      }
    }
  }

  /** Columns beside a weight in one matrix are apart from it. */
  @Test
  void onSharedMemory() {
    for (boolean rms : new boolean[] {false, true}) {
      try (Tensor matrix = Tensor.zeros(3, 20);
          Tensor row = matrix.narrow(0, 1, 1);
          Tensor shared = row.narrow(1, 10, 8);
          Tensor x = Tensor.of(TestData.normal(1, 24, 0, 1), 3, 8);
          Tensor beside = matrix.narrow(1, 0, 8);
          Tensor onOne = matrix.narrow(1, 3, 8);
          NormLayer layer =
              rms
                  ? RmsNorm.builder(8).weight(shared).build()
                  : LayerNorm.builder(8).bias(shared).build()) {
        layer.forward(x, beside);
        layer.forwardTraining(x, beside).close();
        float[] before = matrix.toArray();
        String name = rms ? "weight" : "bias";
        List<Executable> calls =
            new ArrayList<>(
                List.of(
                    () -> layer.forward(x, onOne),
                    () -> layer.forward(onOne, onOne),
                    () -> layer.forwardTraining(x, onOne)));
        calls.forEach(call -> refused(layer, "the output", name, call));
        assertArrayEquals(before, matrix.toArray());
      }
    }
  }

  @Test
  void inAnotherType() {
    try (Tensor memory = Tensor.allocate(DataType.F32, FIRST, 8);
        LayerNorm layer = LayerNorm.builder(8).weight(memory).build();
        Tensor x = Tensor.zeros(1, 8)) {
      Assumptions.assumeTrue(NativeAccess.missing().isEmpty(), "there are no addresses");
      long end = memory.pointer().address() + 30;
      try (Tensor y = Tensor.wrap(end, memory, DataType.BF16, FIRST, 1, 8);
          Tensor narrow = x.to(DataType.BF16)) {
        refused(layer, "the output", "weight", () -> layer.forward(x, y));
        refused(layer, "the output", "weight", () -> layer.forward(narrow, y));
      }
    }
  }
}
