package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What is refused of given outputs and gradients, with a reason, before anything is written. */
class GivenMemoryErrorsTest {
  private static final String LIKE = "F32 CHANNELS_FIRST [2, 4]";
  private static final float[] X = {1, 2, 3, 5, 8, 1, 0, 2};

  private static void refused(String message, Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertEquals("LayerNorm([4]): " + message, e.getMessage());
  }

  private static LayerNorm layer(boolean relu) {
    return LayerNorm.builder(4).activation(relu ? Activation.RELU : Activation.NONE).build();
  }

  private static FloatBuffer direct(int floats) {
    return ByteBuffer.allocateDirect(4 * floats).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  @Test
  void outputsThatDoNotFit() {
    String apart = "the output of training must be apart from the input, which backward reads";
    FloatBuffer memory = direct(12);
    try (LayerNorm norm = layer(false);
        Tensor x = Tensor.wrap(memory, 2, 4);
        Tensor shifted = Tensor.wrap(memory.duplicate().position(4), 2, 4);
        Tensor other = Tensor.zeros(4, 2);
        Tensor rows = Tensor.zeros(1, 4);
        Tensor y = Tensor.zeros(2, 4);
        Tensor narrow = y.to(DataType.BF16);
        Tensor readOnly = Tensor.wrap(direct(8).asReadOnlyBuffer(), 2, 4);
        Pass pass = norm.forwardTraining(x, y)) {
      x.copyFrom(X);
      pass.forward(x, y);
      float[] before = y.toArray();
      refused(apart, () -> norm.forwardTraining(x, x));
      refused(apart, () -> norm.forwardTraining(x, shifted));
      refused(apart, () -> pass.forward(x, shifted));
      refused(apart, () -> norm.forwardTraining(X, X));
      refused(apart, () -> pass.forward(X, X));
      String unlike = "expected an output like the input, " + LIKE + ", but got ";
      refused(unlike + other, () -> norm.forwardTraining(x, other));
      refused(unlike + other, () -> pass.forward(x, other));
      refused(unlike + narrow, () -> pass.forward(x, narrow));
      refused("the output is on a read-only buffer", () -> pass.forward(x, readOnly));
      refused(
          "expected an input like the pass's, " + LIKE + ", but got " + rows,
          () -> pass.forward(rows, y));
      refused(
          "expected arrays of 8 elements for shape [2, 4], but got x of 8 and y of 7",
          () -> pass.forward(X, new float[7]));
      refused(
          "expected arrays of 8 elements for shape [2, 4], but got x of 7 and y of 7",
          () -> norm.forwardTraining(new float[7], new float[7], 2, 4));
      // The last step is still there.
      assertArrayEquals(before, y.toArray());
      assertArrayEquals(before, pass.output().toArray());
      assertArrayEquals(X, x.toArray());
      try (Pass expected = norm.forwardTraining(x);
          Gradients wanted = expected.backward(y);
          Gradients gradients = pass.backward(y)) {
        assertArrayEquals(wanted.input().toArray(), gradients.input().toArray());
      }
    }
  }

  @Test
  void gradientsThatDoNotFit() {
    try (LayerNorm norm = LayerNorm.builder(4).bias(false).build();
        Tensor x = Tensor.of(X, 2, 4);
        Tensor dy = Tensor.of(X, 2, 4);
        Tensor four = Tensor.zeros(4);
        Tensor row = Tensor.zeros(1, 4);
        Tensor narrow = four.to(DataType.F16);
        Tensor readOnly = Tensor.wrap(direct(8).asReadOnlyBuffer(), 2, 4);
        Tensor readOnlyFour = Tensor.wrap(direct(4).asReadOnlyBuffer(), 4);
        Pass pass = norm.forwardTraining(x)) {
      refused(
          "expected a gradient like the output, " + LIKE + ", but got " + row,
          () -> pass.backward(row, null, four, null));
      refused(
          "expected dx like the input, " + LIKE + ", but got " + row,
          () -> pass.backward(dy, row, null, null));
      String weight = "expected dWeight like the weight, F32 CHANNELS_FIRST [4], but got ";
      refused(weight + row, () -> pass.backward(dy, null, row, null));
      refused(weight + narrow, () -> pass.accumulate(dy, null, narrow, null));
      refused("dx is on a read-only buffer", () -> pass.backward(dy, readOnly, null, null));
      refused(
          "dWeight is on a read-only buffer", () -> pass.backward(dy, null, readOnlyFour, null));
      refused("dBias must be null, as there is no bias", () -> pass.backward(dy, null, null, four));
      float[] ones = {1, 1, 1, 1};
      refused("dBias must be null, as there is no bias", () -> pass.backward(X, null, null, ones));
      refused(
          "expected dWeight of 4 elements, but got 3",
          () -> pass.backward(X, new float[8], new float[3], null));
      refused(
          "expected dy of 8 elements for shape [2, 4], but got 4",
          () -> pass.backward(ones, null, ones, null));
      refused(
          "expected dx of 8 elements for shape [2, 4], but got 4",
          () -> pass.backward(X, ones, null, null));
      assertArrayEquals(new float[4], four.toArray());
      assertArrayEquals(new float[] {1, 1, 1, 1}, ones);
      pass.backward(dy, null, null, null); // nothing
    }
  }

  /** All that is read or written twice lies in one buffer, at places that overlap. */
  @Test
  void gradientsThatOverlap() {
    try (FloatPointer memory = new FloatPointer(64).zero();
        LayerNorm norm = layer(true);
        LayerNorm plain = layer(false);
        Tensor x = at(memory, 0, 2, 4);
        Tensor y = at(memory, 8, 2, 4);
        Tensor dy = at(memory, 16, 2, 4);
        Tensor onX = at(memory, 4, 4);
        Tensor onY = at(memory, 12, 4);
        Tensor onDy = at(memory, 20, 4);
        Tensor onXAndY = at(memory, 5, 2, 4);
        Tensor onYAndDy = at(memory, 13, 2, 4);
        Tensor onDyAndMore = at(memory, 20, 2, 4);
        Tensor free = at(memory, 32, 4);
        Tensor onFree = at(memory, 35, 4);
        Tensor dx = at(memory, 28, 2, 4);
        Pass pass = norm.forwardTraining(x, y);
        Pass unread = plain.forwardTraining(x, y)) {
      String input = " must be apart from the pass's input, but overlaps it";
      String output = " must be apart from the pass's output, but overlaps it";
      refused("dx" + input, () -> pass.backward(dy, x, null, null));
      refused("dx" + input, () -> pass.backward(dy, onXAndY, null, null));
      refused("dx" + output, () -> pass.backward(dy, y, null, null));
      refused(
          "dx must be the pass's output or apart from it, but overlaps it in part",
          () -> unread.backward(dx, onYAndDy, null, null));
      unread.backward(dy, y, null, null);
      refused(
          "dx must be dy or apart from it, but overlaps it in part",
          () -> pass.backward(dy, onDyAndMore, null, null));
      refused(
          "dWeight must be apart from dy, but overlaps it",
          () -> pass.backward(dy, null, onDy, null));
      refused(
          "dBias must be apart from dx, but overlaps it", () -> pass.backward(dy, dx, null, free));
      refused("dWeight" + input, () -> pass.backward(dy, null, onX, null));
      refused("dBias" + output, () -> pass.backward(dy, null, null, onY));
      refused(
          "dWeight must be apart from dBias, but overlaps it",
          () -> pass.backward(dy, null, free, onFree));
      refused(
          "dWeight must be apart from the weight, but overlaps it",
          () -> pass.backward(dy, null, norm.weight(), null));
      assertArrayEquals(new float[] {1, 1, 1, 1}, norm.weight().toArray());
      assertArrayEquals(new float[8], dx.toArray());
      pass.backward(dy, dy, free, null); // in place
    }
    try (BatchNorm norm = BatchNorm.of(4);
        Tensor x = Tensor.of(X, 2, 4);
        Pass pass = norm.forwardTraining(x)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> pass.backward(x, null, pass.mean(), null));
      assertEquals(
          "BatchNorm(4): dWeight must be apart from the pass's mean, but overlaps it",
          e.getMessage());
      assertThrows(
          IllegalArgumentException.class, () -> pass.backward(x, null, null, pass.variance()));
    }
  }

  private static Tensor at(FloatPointer memory, long start, long... shape) {
    return Tensor.wrap(
        new FloatPointer(memory).position(start), DataType.F32, Layout.CHANNELS_FIRST, shape);
  }

  @Test
  void arraysThatAreTheSame() {
    float[] x = X.clone();
    float[] y = new float[8];
    float[] dy = X.clone();
    float[] four = new float[4];
    try (LayerNorm norm = layer(true);
        LayerNorm plain = layer(false);
        Pass pass = norm.forwardTraining(x, y);
        Pass unread = plain.forwardTraining(x, y)) {
      refused("dx must not be the pass's input", () -> pass.backward(dy, x, null, null));
      refused("dx must not be the pass's output", () -> pass.backward(dy, y, null, null));
      refused("dWeight must not be dBias", () -> pass.backward(dy, null, four, four));
      unread.backward(dy, y, null, null);
      assertArrayEquals(X, x);
      assertArrayEquals(new float[4], four);
    }
    float[] one = {3};
    float[] other = {2};
    try (LayerNorm norm = LayerNorm.builder(1).activation(Activation.RELU).build();
        Pass pass = norm.forwardTraining(one, other)) {
      float[] slope = {1};
      for (float[] wrong : new float[][] {one, other, slope}) {
        assertThrows(IllegalArgumentException.class, () -> pass.backward(slope, null, wrong, null));
        assertThrows(IllegalArgumentException.class, () -> pass.backward(slope, null, null, wrong));
      }
      float[] dx = {7};
      assertThrows(IllegalArgumentException.class, () -> pass.backward(slope, dx, dx, null));
      assertEquals(7, dx[0]);
    }
  }

  /** Arrays are floats in the order of the shape. */
  @Test
  void arraysWhereThePassHasOtherTensors() {
    try (BatchNorm norm = BatchNorm.of(2);
        Tensor last = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, 2, 2);
        Tensor pixels = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 4, 2);
        Tensor first = Tensor.of(X, 2, 2, 2);
        Tensor narrow = first.to(DataType.BF16);
        Pass ofLast = norm.forwardTraining(last);
        Pass ofPixels = norm.forwardTraining(pixels);
        Pass ofNarrow = norm.forwardTraining(narrow)) {
      float[] y = new float[8];
      for (Pass pass : new Pass[] {ofLast, ofNarrow}) {
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> pass.forward(X, y));
        assertEquals(
            "BatchNorm(2): expected tensors like the pass's, " + pass.output() + ", but got arrays",
            e.getMessage());
        assertThrows(IllegalArgumentException.class, () -> pass.backward(X, y, null, null));
      }
      ofPixels.backward(X, y, null, null); // the one order there is
    }
  }

  @Test
  void whatIsClosed() {
    LayerNorm norm = layer(false);
    Tensor x = Tensor.of(X, 2, 4);
    Tensor y = Tensor.zeros(2, 4);
    Tensor closed = Tensor.zeros(2, 4);
    Tensor four = Tensor.zeros(4);
    closed.close();
    Pass pass = norm.forwardTraining(x, y);
    Executable[] calls = {
      () -> norm.forwardTraining(closed, y),
      () -> norm.forwardTraining(x, closed),
      () -> pass.forward(closed, y),
      () -> pass.forward(x, closed),
      () -> pass.backward(closed, y, null, null),
      () -> pass.backward(y, closed, null, null),
      () -> pass.backward(y, null, closed, null),
      () -> pass.accumulate(y, null, four, closed)
    };
    for (Executable call : calls) {
      IllegalStateException e = assertThrows(IllegalStateException.class, call);
      assertEquals("the tensor " + LIKE + " is closed", e.getMessage());
    }
    norm.close();
    float[] values = new float[8];
    Executable[] onClosedLayer = {
      () -> norm.forwardTraining(x, y),
      () -> norm.forwardTraining(X, values),
      () -> pass.backward(y, null, four, null),
      () -> pass.backward(X, values, null, null),
      () -> pass.forward(X, values),
      () -> pass.forward(x, y)
    };
    for (Executable call : onClosedLayer) {
      IllegalStateException e = assertThrows(IllegalStateException.class, call);
      assertEquals("the layer LayerNorm([4]) is closed", e.getMessage());
    }
    pass.close();
    Executable[] onClosedPass = {
      () -> pass.forward(x, y),
      () -> pass.forward(X, values),
      () -> pass.backward(y, x, null, null),
      () -> pass.accumulate(X, values, null, null)
    };
    for (Executable call : onClosedPass) {
      IllegalStateException e = assertThrows(IllegalStateException.class, call);
      assertEquals("the pass of LayerNorm([4]) is closed", e.getMessage());
    }
    for (Tensor tensor : Arrays.asList(x, y, four)) {
      tensor.close();
    }
  }
}
