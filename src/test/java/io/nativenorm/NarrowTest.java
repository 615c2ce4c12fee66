package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/** Ranges of a dimension, as views. */
@LeavesMemoryToTheCollector
class NarrowTest {
  private static final long[][] SHAPES = {
    {6}, {3, 4}, {1, 4}, {3, 2, 4}, {1, 3, 4}, {1, 1, 5}, {2, 3, 1, 4}, {1, 4, 1, 1}, {1, 3, 2, 2}
  };

  /** A tensor whose elements are their logical positions. */
  private static Tensor counting(DataType type, Layout layout, long... shape) {
    Tensor tensor = Tensor.allocate(type, layout, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.set(i, index(i, shape));
    }
    return tensor;
  }

  private static long[] index(long position, long... shape) {
    long[] index = new long[shape.length];
    for (int d = shape.length - 1; d >= 0; d--) {
      index[d] = position % shape[d];
      position /= shape[d];
    }
    return index;
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      mode = Mode.EXCLUDE,
      names = {"S8", "U8"})
  void whatLiesInOnePieceIsAView(DataType type) {
    int views = 0;
    for (Layout layout : Layout.values()) {
      for (long[] shape : SHAPES) {
        try (Tensor whole = counting(type, layout, shape)) {
          for (int d = 0; d < shape.length; d++) {
            for (long from = 0; from <= shape[d]; from++) {
              for (long count = 0; count <= shape[d] - from; count++) {
                views += requireView(whole, d, from, count);
              }
            }
          }
        }
      }
    }
    assertEquals(387, views);
  }

  /** 1 if there is such a view; it is refused exactly where it would have gaps. */
  private static int requireView(Tensor whole, int d, long from, long count) {
    long[] shape = whole.shape();
    shape[d] = count;
    boolean isLast = whole.layout() == Layout.CHANNELS_LAST && shape.length > 2;
    long pieces = 1;
    for (int i = 0; i < shape.length; i++) {
      boolean isBefore = isLast ? (d == 1 ? i != 1 : i < d && i != 1) : i < d;
      pieces *= isBefore ? shape[i] : 1;
    }
    if (pieces > 1 && count > 0 && count < whole.shape()[d]) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> whole.narrow(d, from, count));
      assertEquals(
          "narrow expects a range that lies in one piece, but that of dimension "
              + d
              + " of "
              + whole
              + " lies in "
              + pieces,
          e.getMessage());
      return 0;
    }
    try (Tensor view = whole.narrow(d, from, count)) {
      assertArrayEquals(shape, view.shape());
      assertEquals(whole.layout(), view.layout());
      for (int i = 0; i < view.size(); i++) {
        long[] at = index(i, shape);
        long[] inWhole = at.clone();
        inWhole[d] += from;
        assertEquals(whole.get(inWhole), view.get(at));
        view.set(view.get(at) + 1, at);
        assertEquals(whole.get(inWhole), view.get(at));
      }
    }
    return 1;
  }

  @Test
  void keepsTheMemory() {
    Tensor view;
    try (Tensor whole = counting(DataType.F32, Layout.CHANNELS_FIRST, 4, 3)) {
      view = whole.narrow(0, 1, 2);
    }
    try (view;
        Tensor other = Tensor.zeros(4, 3);
        Tensor inner = view.narrow(0, 1, 1)) {
      assertEquals(0, other.get(0, 0)); // is not on that memory
      assertArrayEquals(new float[] {3, 4, 5, 6, 7, 8}, view.toArray());
      assertArrayEquals(new float[] {6, 7, 8}, inner.toArray());
      FloatBuffer buffer = inner.buffer();
      assertEquals(3, buffer.capacity());
      assertEquals(7, buffer.get(1));
      assertEquals(view.pointer().address() + 12, inner.pointer().address());
      try (Tensor copy = view.to(DataType.BF16);
          Tensor flat = view.reshape(6)) {
        assertEquals(8, copy.get(1, 2));
        assertEquals(8, flat.get(5));
      }
    }
  }

  @Test
  void layersComputeOnThem() {
    float[] values = TestData.normal(1, 8 * 3 * 5, 0, 1);
    for (Backend backend : TestEngines.all()) {
      try (InstanceNorm layer = InstanceNorm.builder(3).backend(backend).build();
          Tensor x = Tensor.of(values, 8, 3, 5);
          Tensor expected = layer.forward(x);
          Tensor first = x.narrow(0, 0, 4);
          Tensor last = x.narrow(0, 4, 4)) {
        float[] before = last.toArray();
        layer.forward(first, first);
        assertArrayEquals(before, last.toArray());
        try (Pass pass = layer.forwardTraining(last);
            Gradients gradients = pass.backward(last)) {
          layer.forward(last, first); // into the other half
          layer.forward(last, last);
          assertArrayEquals(first.toArray(), last.toArray());
          assertArrayEquals(last.toArray(), pass.output().toArray());
          assertEquals(60, gradients.input().size());
        }
        assertArrayEquals(
            Arrays.copyOfRange(expected.toArray(), 60, 120),
            last.toArray(),
            TestEngines.all().size() * 1e-6f);
        try (Tensor shifted = x.narrow(0, 1, 4)) {
          assertThrows(IllegalArgumentException.class, () -> layer.forward(first, shifted));
        }
      }
    }
  }

  @Test
  void whatIsNotThereIsRefused() {
    Tensor tensor = Tensor.zeros(2, 3);
    for (long[] range :
        new long[][] {
          {2, 0, 1},
          {-1, 0, 1},
          {0, -1, 1},
          {0, 0, 3},
          {0, 2, 1},
          {0, 1, -1},
          {0, 3, 0},
          {0, 1, Long.MAX_VALUE},
          {0, Long.MAX_VALUE, 1}
        }) {
      assertThrows(
          IndexOutOfBoundsException.class, () -> tensor.narrow((int) range[0], range[1], range[2]));
    }
    tensor.close();
    assertThrows(IllegalStateException.class, () -> tensor.narrow(0, 0, 1));
    try (Tensor scalar = Tensor.zeros();
        Tensor empty = Tensor.zeros(1L << 40, 0, 4)) {
      assertThrows(IndexOutOfBoundsException.class, () -> scalar.narrow(0, 0, 1));
      empty.narrow(0, 1L << 39, 1L << 20).close();
      empty.narrow(2, 1, 2).close();
    }
  }

  /** On a caller's memory, also where there is no native access. */
  private static void requireOnBuffers() {
    ByteBuffer bytes = ByteBuffer.allocateDirect(64).order(ByteOrder.nativeOrder());
    Layout order = Layout.CHANNELS_FIRST;
    try (Tensor floats = Tensor.wrap(bytes.asFloatBuffer().position(1), 5, 3);
        Tensor halves = Tensor.wrap(bytes, DataType.F16, order, 8, 4);
        Tensor readOnly = Tensor.wrap(bytes.asFloatBuffer().asReadOnlyBuffer(), 16);
        Tensor some = floats.narrow(0, 3, 2);
        Tensor half = halves.narrow(0, 7, 1);
        Tensor fixed = readOnly.narrow(0, 10, 6)) {
      some.copyFrom(new float[] {1, 2, 3, 4, 5, 6});
      assertEquals(6, bytes.getFloat(60));
      assertEquals(6, some.buffer().get(5));
      assertArrayEquals(some.toArray(), fixed.toArray());
      half.copyFrom(new float[] {1, 1, 1, 1});
      assertEquals(0x3C00, bytes.getShort(62));
      assertThrows(IllegalArgumentException.class, () -> fixed.set(1, 0));
    }
  }

  @Test
  void onBuffers() {
    requireOnBuffers();
  }

  /** The same where there is no native access. */
  static final class Main {
    public static void main(String[] args) {
      requireOnBuffers();
      System.out.println("all is well");
    }
  }

  @Test
  void withoutNativeAccessToo() throws Exception {
    JavaProcess process =
        JavaProcess.run(
            Main.class, java.util.Map.of(), "-Dorg.bytedeco.javacpp.loadLibraries=false");
    assertEquals(0, process.status(), process.output());
  }
}
