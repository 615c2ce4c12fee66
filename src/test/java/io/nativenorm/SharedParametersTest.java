package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Layers on a caller's weight and bias. */
class SharedParametersTest {
  private static final int C = 4;
  private static final float[] WEIGHT = {1, -2, 3, 0.5f};
  private static final float[] BIAS = {0, 1, -1, 2};

  private static void refused(String message, Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertEquals(message, e.getMessage());
  }

  private static List<LayerBuilder<?>> builders() {
    return List.of(
        BatchNorm.builder(C).trackRunningStats(false),
        LayerNorm.builder(C),
        RmsNorm.builder(C),
        GroupNorm.builder(2, C),
        InstanceNorm.builder(C));
  }

  private static boolean hasBias(LayerBuilder<?> builder) {
    return !(builder instanceof RmsNorm.Builder);
  }

  /** An input that each layer takes: of channels, or rows of so many. */
  private static Tensor input(NormLayer layer) {
    float[] x = TestData.normal(1, 5 * C * 3 * C, 0, 1);
    return layer.normalizesRows() ? Tensor.of(x, 15 * C, C) : Tensor.of(x, 5, C, 3, C);
  }

  @Test
  void areUsedLiveAndNotCopied() {
    for (Backend backend : TestEngines.all()) {
      for (LayerBuilder<?> builder : builders()) {
        try (Tensor weight = Tensor.of(WEIGHT, 1, C, 1, 1);
            Tensor bias = Tensor.of(BIAS, C)) {
          builder.backend(backend).weight(weight);
          if (hasBias(builder)) {
            builder.bias(bias);
          }
          try (NormLayer layer = builder.build();
              Tensor x = input(layer)) {
            assertArrayEquals(new long[] {C}, layer.weight().shape());
            assertEquals(weight.pointer().address(), layer.weight().pointer().address());
            assertSame(backend, layer, x, weight, hasBias(builder) ? bias : null);
            weight.set(7, 0, 2, 0, 0);
            layer.weight().addScaled(1, layer.weight());
            assertEquals(14, weight.get(0, 2, 0, 0));
            assertSame(backend, layer, x, weight, hasBias(builder) ? bias : null);
          }
          weight.set(1, 0, 0, 0, 0); // which the layer has left
        }
      }
    }
  }

  /** The layer does what another one with copies of its parameters does, forward and backward. */
  private static void assertSame(
      Backend backend, NormLayer layer, Tensor x, Tensor weight, Tensor bias) {
    LayerBuilder<?> options =
        builders().stream()
            .filter(b -> layer.toString().startsWith(b.toString()))
            .findFirst()
            .orElseThrow();
    Map<String, Tensor> copies = new HashMap<>(Map.of("weight", weight));
    if (bias != null) {
      copies.put("bias", bias);
    }
    try (NormLayer other = options.affine(true).backend(backend).build()) {
      other.load(copies);
      try (Tensor y = layer.forward(x);
          Tensor expected = other.forward(x);
          Pass pass = layer.forwardTraining(x);
          Pass otherPass = other.forwardTraining(x);
          Gradients gradients = pass.backward(x);
          Gradients others = otherPass.backward(x)) {
        assertArrayEquals(expected.toArray(), y.toArray());
        assertArrayEquals(others.input().toArray(), gradients.input().toArray());
        assertArrayEquals(others.weight().toArray(), gradients.weight().toArray());
      }
      float[] heap = x.toArray();
      assertArrayEquals(other.forward(heap, x.shape()), layer.forward(heap, x.shape()));
    }
  }

  @Test
  void theLayerHoldsTheMemory() {
    LayerNorm.Builder builder;
    NormLayer layer;
    try (Tensor weight = Tensor.of(WEIGHT, C)) {
      builder = LayerNorm.builder(C).weight(weight);
      layer = builder.build();
    }
    try (layer;
        Tensor other = Tensor.zeros(C)) {
      assertEquals(0, other.get(0)); // is not on that memory
      assertArrayEquals(WEIGHT, layer.weight().toArray());
      assertThrows(IllegalStateException.class, builder::build);
    }
  }

  @Test
  void theLastWordCounts() {
    try (Tensor weight = Tensor.of(WEIGHT, C);
        Tensor bias = Tensor.of(BIAS, C);
        LayerNorm alone = LayerNorm.builder(C).weight(weight).affine(false).build();
        LayerNorm without = LayerNorm.builder(C).bias(bias).bias(false).build();
        LayerNorm own = LayerNorm.builder(C).bias(bias).bias(true).build();
        LayerNorm with = LayerNorm.builder(C).affine(false).bias(false).bias(bias).build()) {
      assertArrayEquals(WEIGHT, alone.weight().toArray());
      assertNull(alone.bias());
      assertNull(without.bias());
      assertEquals(0, own.bias().get(1));
      assertNull(with.weight());
      assertArrayEquals(BIAS, with.bias().toArray());
    }
  }

  @Test
  void whatDoesNotFitIsRefused() {
    try (Tensor three = Tensor.zeros(3);
        Tensor four = Tensor.zeros(4);
        Tensor bf16 = four.to(DataType.BF16);
        Tensor last = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, 2, 3);
        Tensor lastOfOnes = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 1, 4, 1, 1)) {
      refused(
          "BatchNorm(4): expected a shared weight of shape [4], but for extents of 1, in order"
              + " and in one piece, but"
              + " got F32 CHANNELS_FIRST [3]",
          () -> BatchNorm.builder(4).weight(three).build());
      refused(
          "LayerNorm([4]): this version computes with parameters in F32 only, also for inputs of"
              + " other types, but the shared bias is BF16 CHANNELS_FIRST [4]; load copies and"
              + " widens it",
          () -> LayerNorm.builder(4).weight(four).bias(bf16).build());
      refused(
          "LayerNorm([2, 2, 3]): expected a shared weight of shape [2, 2, 3], but for extents of 1,"
              + " in order and in one piece, but got F32 CHANNELS_LAST [2, 2, 3]",
          () -> LayerNorm.builder(2, 2, 3).weight(last).build());
      refused("RmsNorm([4]): there is no bias", () -> RmsNorm.builder(4).bias(four));
      LayerNorm.builder(4).weight(lastOfOnes).build().close();
    }
  }

  @Test
  void nothingIsLoadedIntoReadOnlyMemory() {
    FloatBuffer direct =
        ByteBuffer.allocateDirect(16).order(ByteOrder.nativeOrder()).asFloatBuffer();
    direct.put(WEIGHT).flip();
    try (Tensor weight = Tensor.wrap(direct.asReadOnlyBuffer(), C);
        Tensor ones = Tensor.of(new float[] {1, 1, 1, 1}, C);
        LayerNorm layer = LayerNorm.builder(C).weight(weight).build()) {
      refused(
          "LayerNorm([4]): error in loading state_dict: weight is the caller's read-only memory,"
              + " into which nothing is loaded",
          () -> layer.load(Map.of("weight", ones, "bias", ones)));
      assertEquals(0, layer.bias().get(0), "nothing is loaded");
      assertThrows(IllegalArgumentException.class, () -> layer.weight().set(1, 0));
      try (Tensor writable = Tensor.wrap(direct, C);
          LayerNorm loaded = LayerNorm.builder(C).weight(writable).build()) {
        loaded.load(Map.of("weight", ones, "bias", ones));
        assertEquals(1, direct.get(3));
      }
    }
  }

  /** Every way to use the parameters. */
  private static List<Executable> uses(LayerNorm layer, Pass pass, Tensor x) {
    float[] array = new float[C];
    return List.of(
        () -> layer.forward(x, x),
        () -> layer.forward(array, array),
        () -> layer.forward(array, 0, array, 0, 1),
        () -> layer.forwardTraining(x),
        () -> pass.backward(x),
        () -> layer.weight().get(0));
  }

  @Test
  void withTheMemoryTheLayerEnds() {
    FloatPointer memory = new FloatPointer(WEIGHT);
    try (Tensor weight = Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, C);
        LayerNorm layer = LayerNorm.builder(C).weight(weight).build();
        Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, C);
        Pass pass = layer.forwardTraining(x)) {
      memory.close();
      for (Executable use : uses(layer, pass, x)) {
        assertThrows(IllegalStateException.class, use);
      }
      assertArrayEquals(new float[] {1, 2, 3, 4}, x.toArray());
    }
  }

  @Test
  void withTheArenaTheLayerEnds() throws Exception {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no arenas before JDK 22");
    for (Backend backend : TestEngines.all()) {
      TestArena arena = TestArena.of("Shared");
      try (Tensor weight = arena.tensor(C);
          LayerNorm layer = LayerNorm.builder(C).backend(backend).weight(weight).build();
          Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, C);
          Pass pass = layer.forwardTraining(x)) {
        weight.copyFrom(WEIGHT);
        float[] y = layer.forward(new float[] {1, 2, 3, 4}, 1, C);
        assertEquals(-1.3416f, y[0], 1e-3f);
        pass.backward(x).close();
        arena.close();
        for (Executable use : uses(layer, pass, x)) {
          IllegalStateException e = assertThrows(IllegalStateException.class, use);
          assertTrue(e.getMessage().contains("closed"), e.getMessage());
        }
      }
    }
  }
}
