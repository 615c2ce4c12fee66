package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.LongPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Tensors of 64-bit integers: allocated, copied, read; no layer computes on them. */
class LongTensorTest {
  private static final float[] SIX = {0, 1, 2, -3, 4, 0x1p40f};

  private static Tensor longs(long... shape) {
    return Tensor.allocate(DataType.I64, Layout.CHANNELS_FIRST, shape);
  }

  @Test
  void keepsIntegersAsTheyAre() {
    for (long value :
        new long[] {
          0, -1, (1L << 24) + 1, Long.MIN_VALUE, Long.MAX_VALUE, 0x7fa00001L, 0xffa00001ffa00001L
        }) {
      try (LongPointer memory = new LongPointer(new long[] {value});
          Tensor wrapped = Tensor.wrap(memory, DataType.I64, Layout.CHANNELS_FIRST);
          Tensor copy = wrapped.to(Layout.CHANNELS_LAST);
          Tensor reshaped = copy.reshape(1, 1)) {
        assertEquals(value, wrapped.getLong());
        assertEquals(value, copy.getLong());
        assertEquals(value, reshaped.getLong(0, 0));
        assertEquals(value, ((LongPointer) copy.pointer()).get());
      }
    }
  }

  @Test
  void goesFromFloatsAndBack() {
    try (Tensor tensor = longs(2, 3);
        Tensor floats = tensor.to(DataType.F32)) {
      assertArrayEquals(new float[6], tensor.toArray());
      tensor.copyFrom(SIX);
      assertEquals(-3, tensor.getLong(1, 0));
      assertEquals(1L << 40, tensor.getLong(1, 2));
      assertArrayEquals(SIX, tensor.toArray());
      assertEquals("I64 CHANNELS_FIRST [2, 3]", tensor.toString());
      floats.copyFrom(SIX);
      try (Tensor again = floats.to(DataType.I64)) {
        assertEquals(1L << 40, again.getLong(1, 2));
      }
      for (float wrong : new float[] {0.5f, Float.NaN, Float.POSITIVE_INFINITY, 0x1p63f}) {
        float[] values = {9, 9, 9, 9, 9, wrong};
        assertThrows(IllegalArgumentException.class, () -> tensor.copyFrom(values));
        floats.copyFrom(values);
        assertThrows(IllegalArgumentException.class, () -> floats.to(DataType.I64));
      }
      assertArrayEquals(SIX, tensor.toArray(), "all or nothing");
    }
  }

  @Test
  void isReadByItsLogicalIndexInAnyOrder() {
    try (Tensor first = longs(2, 3, 2, 2)) {
      float[] values = new float[24];
      for (int i = 0; i < 24; i++) {
        values[i] = i;
      }
      first.copyFrom(values);
      try (Tensor last = first.to(Layout.CHANNELS_LAST);
          Tensor back = last.to(Layout.CHANNELS_FIRST)) {
        assertEquals(12, last.getLong(1, 0, 0, 0));
        assertEquals(17, last.getLong(1, 1, 0, 1));
        assertEquals(17, first.getLong(1, 1, 0, 1));
        assertArrayEquals(TestData.channelsLast(values, 2, 3, 4), last.toArray());
        assertArrayEquals(values, back.toArray());
      }
      for (long[] wrong : new long[][] {{}, {0, 0, 0}, {0, 3, 0, 0}, {-1, 0, 0, 0}}) {
        assertThrows(IndexOutOfBoundsException.class, () -> first.getLong(wrong));
      }
    }
  }

  @Test
  void isNotTakenForFloats() {
    try (Tensor x = longs(2, 4);
        Tensor f = Tensor.zeros(2, 4);
        LayerNorm layer = LayerNorm.of(4);
        Pass pass = layer.forwardTraining(f)) {
      layer.forward(f, f); // which the layer remembers
      for (Executable use :
          new Executable[] {
            () -> layer.forward(x),
            () -> layer.forward(x, x),
            () -> layer.forward(f, x),
            () -> layer.forward(x, f),
            () -> layer.forwardTraining(x),
            () -> layer.explain(x),
            () -> pass.backward(x),
            () -> NativeNorm.plainPass(x, x, 1, 0),
            () -> f.getLong(0, 0)
          }) {
        IllegalArgumentException e = assertThrows(IllegalArgumentException.class, use);
        assertTrue(e.getMessage().contains("I64"), e.getMessage());
      }
    }
  }
}
