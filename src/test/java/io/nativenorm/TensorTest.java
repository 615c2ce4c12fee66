package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;

class TensorTest {
  private static final float[] SIX = {0, 1, 2, 3, 4, 5};

  @Test
  void isZeroFilledAndAligned() {
    for (int size : new int[] {0, 1, 17, 1000}) {
      try (Tensor tensor = Tensor.zeros(size)) {
        assertArrayEquals(new float[size], tensor.toArray());
        assertEquals(0, tensor.pointer().address() % 64);
        assertEquals(size, tensor.pointer().capacity());
      }
    }
  }

  @Test
  void knowsItsShape() {
    try (Tensor tensor = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, 3, 4)) {
      assertArrayEquals(new long[] {2, 3, 4}, tensor.shape());
      assertEquals(3, tensor.rank());
      assertEquals(24, tensor.size());
      assertEquals(DataType.F32, tensor.dataType());
      assertEquals(Layout.CHANNELS_LAST, tensor.layout());
      tensor.shape()[0] = 7; // a copy
      assertEquals("F32 CHANNELS_LAST [2, 3, 4]", tensor.toString());
    }
  }

  @Test
  void aScalarHasOneElement() {
    try (Tensor tensor = Tensor.of(new float[] {3})) {
      assertEquals(0, tensor.rank());
      assertEquals(1, tensor.size());
    }
  }

  @Test
  void changesItsLayout() {
    float[] values = TestData.normal(1, 2 * 37 * 5 * 9, 0, 1);
    try (Tensor first = Tensor.of(values, 2, 37, 5, 9);
        Tensor last = first.to(Layout.CHANNELS_LAST);
        Tensor back = last.to(Layout.CHANNELS_FIRST);
        Tensor copy = first.to(Layout.CHANNELS_FIRST)) {
      assertArrayEquals(TestData.channelsLast(values, 2, 37, 45), last.toArray());
      assertArrayEquals(values, back.toArray());
      copy.copyFrom(new float[values.length]);
      assertArrayEquals(values, first.toArray(), "to() must copy");
    }
  }

  @Test
  void reshapeSharesTheMemoryUntilBothAreClosed() {
    Tensor tensor = Tensor.of(SIX, 2, 3);
    Tensor view = tensor.reshape(3, 2);
    tensor.copyFrom(new float[] {9, 1, 2, 3, 4, 5});
    assertEquals(9, view.toArray()[0]);
    tensor.close();
    assertEquals(9, view.toArray()[0]);
    assertFalse(view.isClosed());
    view.close();
    assertThrows(IllegalStateException.class, view::toArray);
  }

  @Test
  void reshapeKeepsTheLogicalOrder() {
    try (Tensor first = Tensor.of(SIX, 1, 2, 3);
        Tensor last = first.to(Layout.CHANNELS_LAST);
        Tensor flat = last.reshape(6)) {
      assertArrayEquals(SIX, flat.toArray());
    }
  }

  @Test
  void wrapsABufferFromItsPositionOn() {
    FloatBuffer buffer =
        ByteBuffer.allocateDirect(32).order(ByteOrder.nativeOrder()).asFloatBuffer();
    buffer.put(2, SIX).position(2);
    try (Tensor tensor = Tensor.wrap(buffer, 2, 3)) {
      assertArrayEquals(SIX, tensor.toArray());
      tensor.copyFrom(new float[] {7, 7, 7, 7, 7, 7});
    }
    assertEquals(0, buffer.get(1));
    assertEquals(7, buffer.get(2));
    assertEquals(7, buffer.get(7));
  }

  @Test
  void readsAReadOnlyBufferAndNeverWritesIt() {
    FloatBuffer buffer =
        ByteBuffer.allocateDirect(24).order(ByteOrder.nativeOrder()).asFloatBuffer().put(0, SIX);
    try (Tensor tensor = Tensor.wrap(buffer.asReadOnlyBuffer(), 6)) {
      assertArrayEquals(SIX, tensor.toArray());
      assertThrows(IllegalArgumentException.class, () -> tensor.copyFrom(SIX));
    }
  }

  @Test
  void wrapsAPointerFromItsPositionOn() {
    try (FloatPointer memory = new FloatPointer(9, 9, 0, 1, 2, 3, 4, 5)) {
      try (Tensor tensor =
          Tensor.wrap(memory.position(2), DataType.F32, Layout.CHANNELS_FIRST, 6)) {
        assertArrayEquals(SIX, tensor.toArray());
      }
      assertEquals(5, memory.position(0).get(7), "closing must leave the caller's memory alone");
    }
  }

  @Test
  void wrapsBytesAndRefusesThoseThatAreNotAligned() {
    try (BytePointer bytes = new BytePointer(64)) {
      Tensor.wrap(bytes.position(8), DataType.F32, Layout.CHANNELS_FIRST, 6).close();
      assertThrows(
          IllegalArgumentException.class,
          () -> Tensor.wrap(bytes.position(9), DataType.F32, Layout.CHANNELS_FIRST, 6));
    }
  }

  @Test
  void memoryThatItsOwnerFreedIsNotTouched() {
    FloatPointer memory = new FloatPointer(6);
    try (Tensor tensor = Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, 6);
        LayerNorm layer = LayerNorm.of(6)) {
      memory.close();
      assertThrows(IllegalStateException.class, tensor::toArray);
      assertThrows(IllegalStateException.class, () -> layer.forward(tensor, tensor));
    }
  }

  @Test
  void closesOnce() {
    Tensor tensor = Tensor.of(SIX, 6);
    tensor.close();
    tensor.close();
    assertTrue(tensor.isClosed());
    assertThrows(IllegalStateException.class, tensor::pointer);
    assertThrows(IllegalStateException.class, () -> tensor.copyFrom(SIX));
    assertThrows(IllegalStateException.class, () -> tensor.copyTo(new float[6]));
    assertThrows(IllegalStateException.class, () -> tensor.reshape(2, 3));
    assertThrows(IllegalStateException.class, () -> tensor.to(Layout.CHANNELS_LAST));
    assertEquals(6, tensor.size()); // what it was is still known
  }
}
