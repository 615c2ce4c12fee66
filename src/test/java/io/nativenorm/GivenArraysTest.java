package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.LayerCase.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Training on heap arrays has the bits of training on tensors: arrays that are held, and those that
 * are copied, which on JDK 17 are the large ones.
 */
class GivenArraysTest {
  private static final float BEFORE = 0.1f;

  static List<LayerCase> cases() {
    List<LayerCase> cases = new ArrayList<>();
    for (Backend backend : TestEngines.named().toList()) {
      for (Kind kind : Kind.values()) {
        LayerCase c = new LayerCase(kind, Layout.CHANNELS_FIRST, backend, 3, 8, 5);
        cases.add(c);
        cases.add(c.with(Activation.RELU));
        cases.add(c.with(LayerCase.Affine.NONE));
        LayerCase large = new LayerCase(kind, Layout.CHANNELS_FIRST, backend, 3, 64, 20, 20);
        cases.add(large);
        cases.add(large.with(Activation.RELU));
      }
      // In two sections and a part of one.
      LayerCase sections =
          new LayerCase(Kind.BATCH, Layout.CHANNELS_FIRST, backend, 6, 131, 40, 40);
      cases.add(sections);
      cases.add(sections.with(Activation.RELU));
    }
    return cases;
  }

  /** What a step on tensors gives. */
  private record Step(float[] y, float[] dx, float[] dWeight, float[] dBias) {
    static Step of(NormLayer layer, float[] x, float[] dy, long... shape) {
      try (Tensor input = Tensor.of(x, shape);
          Tensor gradient = Tensor.of(dy, shape);
          Pass pass = layer.forwardTraining(input);
          Gradients all = pass.backward(gradient)) {
        return new Step(
            pass.output().toArray(), all.input().toArray(), of(all.weight()), of(all.bias()));
      }
    }

    private static float[] of(Tensor gradient) {
      return gradient == null ? null : gradient.toArray();
    }
  }

  private static float[] filled(float[] like) {
    float[] values = like == null ? null : new float[like.length];
    if (values != null) {
      Arrays.fill(values, BEFORE);
    }
    return values;
  }

  private static float[] plusBefore(float[] gradient) {
    float[] sums = gradient == null ? null : gradient.clone();
    for (int i = 0; sums != null && i < sums.length; i++) {
      sums[i] = BEFORE + sums[i];
    }
    return sums;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void arraysAreAsTensors(LayerCase c) {
    float[] dy = c.dy();
    float[] y = new float[dy.length];
    float[] next = c.withSeed(7).x();
    try (NormLayer layer = c.layer();
        NormLayer other = c.layer();
        Pass pass = layer.forwardTraining(c.x(), y, c.shape())) {
      assertNull(pass.output());
      assertStep(c, Step.of(other, c.x(), dy, c.shape()), pass, y, dy);
      pass.forward(next, y);
      assertStep(c, Step.of(other, next, dy, c.shape()), pass, y, dy);
      other
          .state()
          .forEach(
              (name, values) ->
                  assertArrayEquals(values.toArray(), layer.state().get(name).toArray(), name));
      assertMixed(c, Step.of(other, next, dy, c.shape()), pass, next, y, dy);
    }
  }

  private static void assertStep(LayerCase c, Step expected, Pass pass, float[] y, float[] dy) {
    assertArrayEquals(expected.y, y, c + " y");
    float[] dx = filled(dy);
    float[] dWeight = filled(expected.dWeight);
    float[] dBias = filled(expected.dBias);
    pass.backward(dy, dx, dWeight, dBias);
    assertArrayEquals(expected.dx, dx, c + " dx");
    assertArrayEquals(expected.dWeight, dWeight, c + " dweight");
    assertArrayEquals(expected.dBias, dBias, c + " dbias");
    dx = filled(dy);
    pass.backward(dy, dx, null, null);
    assertArrayEquals(expected.dx, dx, c + " dx alone");
    dWeight = filled(expected.dWeight);
    pass.backward(dy, null, dWeight, null);
    assertArrayEquals(expected.dWeight, dWeight, c + " dweight alone");
    dWeight = filled(expected.dWeight);
    dBias = filled(expected.dBias);
    float[] both = dy.clone();
    pass.accumulate(both, both, dWeight, dBias);
    assertArrayEquals(expected.dx, both, c + " in place");
    assertArrayEquals(plusBefore(expected.dWeight), dWeight, c + " dweight added");
    assertArrayEquals(plusBefore(expected.dBias), dBias, c + " dbias added");
  }

  /** Forward on arrays with backward on tensors, and the other way round. */
  private static void assertMixed(
      LayerCase c, Step expected, Pass pass, float[] x, float[] y, float[] dy) {
    try (Tensor gradient = Tensor.of(dy, c.shape());
        Tensor dx = Tensor.zeros(c.shape());
        Tensor input = Tensor.of(x, c.shape());
        Tensor output = Tensor.zeros(c.shape());
        Gradients all = pass.backward(gradient)) {
      assertArrayEquals(expected.dx, all.input().toArray(), c + " to tensors");
      pass.backward(gradient, dx, null, null);
      assertArrayEquals(expected.dx, dx.toArray(), c + " to a tensor");
      pass.forward(input, output);
      assertArrayEquals(expected.y, pass.output().toArray(), c + " y in a tensor");
      float[] into = filled(dy);
      pass.backward(dy, into, null, null);
      assertArrayEquals(expected.dx, into, c + " to an array");
      pass.forward(x, y);
      assertNull(pass.output());
    }
  }

  @Test
  void rowsNeedNoShape() {
    float[] x = TestData.normal(1, 24, 0, 1);
    float[] y = new float[24];
    try (LayerNorm layer = LayerNorm.of(8);
        Pass pass = layer.forwardTraining(x, y)) {
      assertArrayEquals(layer.forward(x), y, 1e-6f);
      assertEquals(3, pass.variance().size());
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> layer.forwardTraining(new float[7], new float[7]));
      assertEquals(
          "LayerNorm([8]): expected a multiple of 8 elements, but got an array of 7",
          e.getMessage());
    }
  }

  /** The shape is read once. */
  @Test
  void theShapeIsThePassesOwn() {
    long[] shape = {3, 8};
    float[] x = TestData.normal(1, 24, 0, 1);
    float[] y = new float[24];
    try (LayerNorm layer = LayerNorm.of(8);
        Pass pass = layer.forwardTraining(x, y, shape)) {
      shape[0] = 5;
      pass.forward(x, y);
      try (Tensor dy = Tensor.zeros(3, 8);
          Gradients gradients = pass.backward(dy)) {
        assertArrayEquals(new float[24], gradients.input().toArray());
      }
    }
  }
}
