package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.LayerCase.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Outputs and gradients in tensors that are there have the bits of those that a pass makes,
 * whatever else is wanted, in the first step and in the next; {@link Pass#backward(Tensor)} is held
 * against the oracle and central differences elsewhere.
 */
class GivenMemoryTest {
  private static final float BEFORE = 0.1f;

  static List<LayerCase> cases() {
    List<LayerCase> cases = new ArrayList<>();
    for (Backend backend : TestEngines.named().toList()) {
      for (Kind kind : Kind.values()) {
        for (Layout layout : Layout.values()) {
          LayerCase c = new LayerCase(kind, layout, backend, 3, 8, 5).withMean(0.7);
          cases.add(c);
          cases.add(c.with(Activation.RELU));
          cases.add(c.with(LayerCase.Affine.WEIGHT));
          cases.add(c.with(LayerCase.Affine.BIAS).with(Activation.RELU));
          cases.add(c.with(LayerCase.Affine.NONE));
          cases.add(new LayerCase(kind, layout, backend, 2, 64, 40, 33));
        }
      }
    }
    return cases;
  }

  /** The gradients of a layer's pass, in tensors with something in them. */
  private static final class Places implements AutoCloseable {
    private final NormLayer layer;
    final Tensor dx;
    final Tensor dWeight;
    final Tensor dBias;

    Places(NormLayer layer, Tensor like) {
      this.layer = layer;
      dx = filled(Tensor.allocate(like.dataType(), like.layout(), like.shape()));
      dWeight = layer.weight() == null ? null : filled(Tensor.zeros(layer.weight().shape()));
      dBias = layer.bias() == null ? null : filled(Tensor.zeros(layer.bias().shape()));
    }

    private static Tensor filled(Tensor tensor) {
      float[] values = new float[(int) tensor.size()];
      Arrays.fill(values, BEFORE);
      tensor.copyFrom(values);
      return tensor;
    }

    void assertAre(
        String what, Gradients all, boolean dx, boolean weight, boolean bias, boolean added) {
      assertBits(what + " dx", dx ? all.input().toArray() : null, this.dx, false);
      if (layer.weight() != null) {
        assertBits(what + " dweight", weight ? all.weight().toArray() : null, dWeight, added);
      }
      if (layer.bias() != null) {
        assertBits(what + " dbias", bias ? all.bias().toArray() : null, dBias, added);
      }
    }

    private static void assertBits(String what, float[] wanted, Tensor actual, boolean added) {
      float before = filledValue(actual.dataType());
      float[] values = actual.toArray();
      for (int i = 0; i < values.length; i++) {
        float expected = wanted == null ? before : added ? before + wanted[i] : wanted[i];
        assertEquals(
            Float.floatToIntBits(expected), Float.floatToIntBits(values[i]), what + " at " + i);
      }
    }

    private static float filledValue(DataType type) {
      try (Tensor one = Tensor.of(new float[] {BEFORE}, 1);
          Tensor rounded = one.to(type)) {
        return rounded.toArray()[0];
      }
    }

    @Override
    public void close() {
      dx.close();
      if (dWeight != null) {
        dWeight.close();
      }
      if (dBias != null) {
        dBias.close();
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void inFloats(LayerCase c) {
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor next = c.tensor(c.withSeed(7).x());
        Tensor dy = c.tensor(c.dy())) {
      check(c.toString(), c, layer, x, next, dy);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void in16Bits(LayerCase c) {
    for (DataType type : new DataType[] {DataType.BF16, DataType.F16}) {
      if (c.backend() == Backend.ONEDNN) {
        return; // has none
      }
      try (NormLayer layer = c.layer();
          Tensor x = c.tensor(c.x());
          Tensor next = c.tensor(c.withSeed(7).x());
          Tensor dy = c.tensor(c.dy());
          Tensor shortX = x.to(type);
          Tensor shortNext = next.to(type);
          Tensor shortDy = dy.to(type)) {
        check(c + " in " + type, c, layer, shortX, shortNext, shortDy);
      }
    }
  }

  private static void check(
      String what, LayerCase c, NormLayer layer, Tensor x, Tensor next, Tensor dy) {
    try (NormLayer other = c.layer();
        Tensor y = Tensor.allocate(x.dataType(), x.layout(), x.shape());
        Pass pass = layer.forwardTraining(x, y)) {
      assertStep(what, other, pass, x, y, dy);
      assertRunning(what, layer, other);
      pass.forward(next, y);
      assertStep(what + " next", other, pass, next, y, dy);
      assertRunning(what + " next", layer, other);
      // Into its own memory, from an output that the pass has made.
      try (Pass owner = layer.forwardTraining(x);
          Pass expected = other.forwardTraining(x)) {
        assertArrayEquals(expected.output().toArray(), owner.output().toArray(), what);
        Tensor own = owner.output();
        owner.forward(next, y);
        assertTrue(own.isClosed());
        assertStep(what + " after its own", other, owner, next, y, dy);
      }
    }
  }

  /** Every set of gradients that may be wanted, against all that a pass of its own makes. */
  private static void assertStep(
      String what, NormLayer other, Pass pass, Tensor x, Tensor y, Tensor dy) {
    try (Pass expected = other.forwardTraining(x);
        Gradients all = expected.backward(dy);
        Gradients own = pass.backward(dy)) {
      assertArrayEquals(expected.output().toArray(), y.toArray(), what + " y");
      assertArrayEquals(y.toArray(), pass.output().toArray(), what + " output");
      assertArrayEquals(expected.variance().toArray(), pass.variance().toArray(), what);
      assertArrayEquals(all.input().toArray(), own.input().toArray(), what + " dx");
      for (int wanted = 0; wanted < 16; wanted++) {
        boolean dx = (wanted & 1) != 0;
        boolean weight = (wanted & 2) != 0 && other.weight() != null;
        boolean bias = (wanted & 4) != 0 && other.bias() != null;
        boolean adds = (wanted & 8) != 0;
        try (Places places = new Places(other, x)) {
          Tensor toX = dx ? places.dx : null;
          Tensor toWeight = weight ? places.dWeight : null;
          Tensor toBias = bias ? places.dBias : null;
          if (adds) {
            pass.accumulate(dy, toX, toWeight, toBias);
          } else {
            pass.backward(dy, toX, toWeight, toBias);
          }
          places.assertAre(what + " wanted " + wanted, all, dx, weight, bias, adds);
        }
      }
      try (Places places = new Places(other, x);
          Tensor both = dy.to(dy.layout())) {
        pass.backward(both, both, places.dWeight, places.dBias);
        assertArrayEquals(all.input().toArray(), both.toArray(), what + " in place");
      }
    }
  }

  private static void assertRunning(String what, NormLayer layer, NormLayer other) {
    Map<String, Tensor> state = layer.state();
    other
        .state()
        .forEach(
            (name, values) ->
                assertArrayEquals(values.toArray(), state.get(name).toArray(), what + " " + name));
  }

  /** Without an activation backward does not read the output. */
  @Test
  void aGradientMayLieOnTheOutput() {
    try (LayerNorm layer = LayerNorm.of(8);
        Tensor x = Tensor.of(TestData.normal(1, 24, 0, 1), 3, 8);
        Tensor dy = Tensor.of(TestData.normal(2, 24, 0, 1), 3, 8);
        Tensor y = Tensor.zeros(3, 8);
        Pass pass = layer.forwardTraining(x, y);
        Gradients expected = pass.backward(dy)) {
      pass.backward(dy, y, null, null);
      assertArrayEquals(expected.input().toArray(), y.toArray());
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#named")
  void aFrozenPassStaysFrozen(Backend backend) {
    LayerCase c = new LayerCase(Kind.BATCH_RUNNING, Layout.CHANNELS_FIRST, backend, 3, 8, 5);
    try (BatchNorm layer = (BatchNorm) c.layer();
        Tensor x = c.tensor(c.x());
        Tensor next = c.tensor(c.withSeed(7).x());
        Tensor dy = c.tensor(c.dy());
        Tensor y = c.tensor(c.x());
        Pass pass = layer.forwardFrozen(x)) {
      layer.forwardTraining(next).close(); // other running statistics
      long batches = layer.numBatchesTracked();
      pass.forward(next, y);
      assertEquals(batches, layer.numBatchesTracked());
      try (Pass expected = layer.forwardFrozen(next);
          Gradients all = expected.backward(dy);
          Places places = new Places(layer, x)) {
        assertArrayEquals(expected.output().toArray(), y.toArray());
        assertArrayEquals(layer.runningMean().toArray(), pass.mean().toArray());
        pass.backward(dy, places.dx, places.dWeight, places.dBias);
        places.assertAre("frozen", all, true, true, true, false);
      }
    }
  }

  @Test
  void anEmptyInputHasZerosOrAddsNothing() {
    for (long[] shape : new long[][] {{0, 4}, {3, 4, 0}}) {
      try (BatchNorm layer = BatchNorm.of(4);
          Tensor x = Tensor.zeros(shape);
          Tensor y = Tensor.zeros(shape);
          Tensor dx = Tensor.zeros(shape);
          Pass pass = layer.forwardTraining(x, y);
          Places places = new Places(layer, x)) {
        pass.forward(x, y);
        assertEquals(0, layer.numBatchesTracked());
        pass.accumulate(x, dx, places.dWeight, places.dBias);
        assertArrayEquals(new float[] {BEFORE, BEFORE, BEFORE, BEFORE}, places.dWeight.toArray());
        pass.backward(x, dx, places.dWeight, null);
        assertArrayEquals(new float[4], places.dWeight.toArray());
        assertArrayEquals(new float[] {BEFORE, BEFORE, BEFORE, BEFORE}, places.dBias.toArray());
        float[] none = {};
        float[] sums = {1, 2, 3, 4};
        pass.forward(none, new float[0]);
        assertNull(pass.output());
        pass.accumulate(none, none, sums, null);
        assertArrayEquals(new float[] {1, 2, 3, 4}, sums);
        pass.backward(none, none, sums, null);
        assertArrayEquals(new float[4], sums);
      }
    }
  }

  /** What the caller closes after forward is kept for backward, and freed by the next forward. */
  @Test
  void memoryIsKeptFromForwardToBackward() {
    try (LayerNorm layer = LayerNorm.builder(8).activation(Activation.RELU).build();
        Tensor dy = Tensor.of(TestData.normal(2, 24, 0, 1), 3, 8);
        Tensor x = Tensor.of(TestData.normal(1, 24, 0, 1), 3, 8);
        Tensor y = Tensor.zeros(3, 8);
        Tensor dx = Tensor.zeros(3, 8);
        Pass pass = layer.forwardTraining(x, y);
        Gradients expected = pass.backward(dy)) {
      try (Tensor closedX = x.to(x.layout());
          Tensor closedY = Tensor.zeros(3, 8)) {
        pass.forward(closedX, closedY);
      }
      assertFalse(pass.output().isClosed());
      pass.output().close();
      pass.backward(dy, dx, null, null);
      assertArrayEquals(expected.input().toArray(), dx.toArray());
      pass.forward(x, y);
      Tensor output = pass.output();
      pass.forward(x, y);
      assertSame(output, pass.output());
      assertArrayEquals(y.toArray(), output.toArray());
    }
  }
}
