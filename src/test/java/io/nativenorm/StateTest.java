package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.AbstractMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** PyTorch's names, live tensors, all or nothing (the refusals are in ErrorsTest). */
class StateTest {
  private static void assertNames(NormLayer layer, String... names) {
    try (layer) {
      assertEquals(List.of(names), List.copyOf(layer.state().keySet()), layer.toString());
    }
  }

  @Test
  void namesAreThoseOfPytorch() {
    assertNames(
        BatchNorm.of(2), "weight", "bias", "running_mean", "running_var", "num_batches_tracked");
    assertNames(BatchNorm.builder(2).trackRunningStats(false).build(), "weight", "bias");
    assertNames(BatchNorm.builder(2).trackRunningStats(false).affine(false).build());
    assertNames(LayerNorm.of(2, 3), "weight", "bias");
    assertNames(LayerNorm.builder(2).bias(false).build(), "weight");
    assertNames(RmsNorm.of(2), "weight");
    assertNames(GroupNorm.of(1, 2), "weight", "bias");
    assertNames(InstanceNorm.of(2));
    assertNames(
        InstanceNorm.builder(2).affine(true).trackRunningStats(true).build(),
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked");
  }

  @Test
  void parametersStartAsPytorchs() {
    try (LayerNorm layer = LayerNorm.of(2, 2);
        BatchNorm batch = BatchNorm.of(1);
        RmsNorm rms = RmsNorm.of(2)) {
      assertArrayEquals(new long[] {2, 2}, layer.weight().shape());
      assertArrayEquals(new float[] {1, 1, 1, 1}, layer.weight().toArray());
      assertArrayEquals(new float[4], layer.bias().toArray());
      assertArrayEquals(new float[] {0}, batch.runningMean().toArray());
      assertArrayEquals(new float[] {1}, batch.runningVar().toArray());
      assertNull(rms.bias());
    }
  }

  @Test
  void parametersAreLive() {
    try (LayerNorm layer = LayerNorm.of(2)) {
      layer.weight().copyFrom(new float[] {10, 20});
      layer.state().get("bias").copyFrom(new float[] {1, 2});
      assertArrayEquals(new float[] {-9, 22}, layer.forward(new float[] {-1, 1}), 1e-3f);
    }
  }

  @Test
  void aStateGoesFromOneLayerToAnother() {
    try (BatchNorm from = BatchNorm.of(2);
        BatchNorm to = BatchNorm.of(2);
        Tensor x = Tensor.of(new float[] {1, 2, 3, 5}, 2, 2)) {
      from.weight().copyFrom(new float[] {3, 4});
      from.forwardTraining(x).close();
      to.load(from.state());
      assertEquals(1, to.numBatchesTracked());
      for (String name : from.state().keySet()) {
        assertArrayEquals(from.state().get(name).toArray(), to.state().get(name).toArray(), name);
      }
      from.weight().copyFrom(new float[] {0, 0});
      assertArrayEquals(new float[] {3, 4}, to.weight().toArray(), "load must copy");
    }
  }

  @Test
  void theCountIsLive() {
    try (BatchNorm layer = BatchNorm.of(1);
        Tensor x = Tensor.of(new float[] {1, 2}, 2, 1)) {
      assertEquals(DataType.I64, layer.state().get("num_batches_tracked").dataType());
      layer.state().get("num_batches_tracked").copyFrom(new float[] {41});
      assertEquals(41, layer.numBatchesTracked());
      layer.forwardTraining(x).close();
      assertEquals(42, layer.numBatchesTracked());
      assertEquals(42, layer.state().get("num_batches_tracked").getLong());
    }
  }

  @Test
  void theCountIsExactBeyondWhatAFloatHolds() {
    long many = 1L << 24;
    try (BatchNorm layer = BatchNorm.of(1);
        BatchNorm next = BatchNorm.of(1);
        Tensor x = Tensor.of(new float[] {1, 2}, 2, 1)) {
      layer.state().get("num_batches_tracked").copyFrom(new float[] {many});
      layer.forwardTraining(x).close();
      assertEquals(many + 1, layer.state().get("num_batches_tracked").getLong());
      next.load(layer.state());
      assertEquals(many + 1, next.numBatchesTracked());
      next.forwardTraining(x).close();
      assertEquals(many + 2, next.state().get("num_batches_tracked").getLong());
    }
  }

  /** A map that uses the layer whenever it is looked at. */
  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aMapMayUseTheLayer() {
    try (LayerNorm layer = LayerNorm.of(2)) {
      Map<String, Tensor> state = new HashMap<>(layer.state());
      int[] looks = new int[1];
      layer.load(
          new AbstractMap<>() {
            @Override
            public Set<Entry<String, Tensor>> entrySet() {
              looks[0]++;
              layer.forward(new float[2]);
              return state.entrySet();
            }

            @Override
            public void forEach(BiConsumer<? super String, ? super Tensor> action) {
              for (Entry<String, Tensor> entry : entrySet()) {
                action.accept(entry.getKey(), entry.getValue());
              }
            }
          });
      assertEquals(1, looks[0], "a map is read once");
    }
  }

  @Test
  void aMapThatChangesMeanwhileIsNotReadAgain() {
    try (LayerNorm layer = LayerNorm.of(2);
        Tensor fits = Tensor.zeros(2);
        Tensor tooLong = Tensor.zeros(3)) {
      int[] looks = new int[1];
      layer.load(
          new AbstractMap<>() {
            @Override
            public Set<Entry<String, Tensor>> entrySet() {
              return Map.of("weight", looks[0]++ == 0 ? fits : tooLong, "bias", fits).entrySet();
            }
          });
      assertArrayEquals(new float[2], layer.weight().toArray());
    }
  }

  @Test
  void aBiasThatIsAskedForIsThere() {
    for (boolean biasFirst : new boolean[] {true, false}) {
      for (LayerBuilder<?> builder :
          List.of(
              LayerNorm.builder(2),
              BatchNorm.builder(2).trackRunningStats(false),
              GroupNorm.builder(1, 2),
              InstanceNorm.builder(2))) {
        NormLayer layer =
            biasFirst
                ? builder.bias(true).affine(false).build()
                : builder.affine(false).bias(true).build();
        assertNull(layer.weight());
        assertNames(layer, "bias");
      }
    }
    assertNames(InstanceNorm.builder(2).bias(true).build(), "bias");
    assertNames(LayerNorm.builder(2).bias(false).affine(true).build(), "weight");
    assertNames(LayerNorm.builder(2).bias(false).affine(false).build());
    assertNames(LayerNorm.builder(2).affine(false).build());
    assertNames(RmsNorm.builder(2).affine(false).build());
  }

  @Test
  void theCountMayBeAbsentOrHaveADimension() {
    try (BatchNorm layer = BatchNorm.of(1);
        Tensor seven = Tensor.of(new float[] {7}, 1)) {
      Map<String, Tensor> state = new HashMap<>(layer.state());
      state.put("num_batches_tracked", seven);
      layer.load(state);
      assertEquals(7, layer.numBatchesTracked());
      state.remove("num_batches_tracked");
      layer.load(state);
      assertEquals(7, layer.numBatchesTracked());
    }
  }

  @Test
  void instanceNormCountsItsBatches() {
    try (InstanceNorm layer = InstanceNorm.builder(2).trackRunningStats(true).build();
        InstanceNorm without = InstanceNorm.of(2);
        Tensor x = Tensor.zeros(3, 2, 5)) {
      layer.forwardTraining(x).close();
      layer.forwardTraining(x).close();
      without.forwardTraining(x).close();
      assertEquals(2, layer.numBatchesTracked());
      assertEquals(0, without.numBatchesTracked());
    }
  }

  @Test
  void sixteenBitsAreWidened() {
    float[] wanted = {1.5f, -3};
    for (DataType type : List.of(DataType.BF16, DataType.F16)) {
      try (LayerNorm layer = LayerNorm.of(2);
          Tensor weight = Tensor.allocate(type, Layout.CHANNELS_FIRST, 2);
          Tensor bias = Tensor.zeros(2)) {
        weight.copyFrom(wanted);
        layer.load(Map.of("weight", weight, "bias", bias));
        assertArrayEquals(wanted, layer.weight().toArray(), type.toString());
        assertEquals(DataType.F32, layer.weight().dataType());
      }
    }
  }

  @Test
  void extentsOfOneMakeNoOtherShape() {
    float[] wanted = {5, 6, 7};
    for (long[] shape : new long[][] {{1, 3, 1, 1}, {3, 1, 1}, {1, 3}, {1, 1, 1, 3}}) {
      for (Layout layout : Layout.values()) {
        try (BatchNorm layer = BatchNorm.of(3);
            Tensor values = Tensor.allocate(DataType.F32, layout, shape)) {
          values.copyFrom(wanted);
          Map<String, Tensor> state = new HashMap<>(layer.state());
          state.put("running_mean", values);
          layer.load(state);
          assertArrayEquals(wanted, layer.runningMean().toArray());
          assertArrayEquals(new long[] {3}, layer.runningMean().shape());
        }
      }
    }
    try (LayerNorm layer = LayerNorm.of(2, 3);
        Tensor turned = Tensor.zeros(3, 2);
        Tensor flat = Tensor.zeros(6)) {
      for (Tensor wrong : List.of(turned, flat)) {
        Map<String, Tensor> state = Map.of("weight", wrong, "bias", layer.bias());
        assertThrows(IllegalArgumentException.class, () -> layer.load(state));
      }
    }
  }

  @Test
  void whatIsMissingOrUnknownIsNoErrorWhereThatIsSaid() {
    try (BatchNorm layer = BatchNorm.of(2);
        Tensor two = Tensor.of(new float[] {5, 6}, 2);
        Tensor three = Tensor.zeros(3)) {
      Map<String, Tensor> state = new TreeMap<>(Map.of("weight", two, "fc", three));
      IncompatibleKeys keys = layer.load(state, false);
      assertEquals(List.of("bias", "running_mean", "running_var"), keys.missing());
      assertEquals(List.of("fc"), keys.unexpected());
      assertArrayEquals(new float[] {5, 6}, layer.weight().toArray());
      assertArrayEquals(new float[2], layer.bias().toArray());
      assertThrows(IllegalArgumentException.class, () -> layer.load(state, true));
      IncompatibleKeys none = layer.load(layer.state(), true);
      assertEquals(new IncompatibleKeys(List.of(), List.of()), none);
      // What is there has to fit all the same, and then nothing is loaded.
      state.put("bias", three);
      state.put("weight", layer.runningVar());
      assertThrows(IllegalArgumentException.class, () -> layer.load(state, false));
      assertArrayEquals(new float[] {5, 6}, layer.weight().toArray());
    }
  }
}
