package io.nativenorm.engine.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.junit.jupiter.api.Test;

/** What memory knows of itself, whoever brought it. */
class MemoryTest {
  private static FloatBuffer direct(float... values) {
    FloatBuffer buffer =
        ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder()).asFloatBuffer();
    return buffer.put(0, values);
  }

  private static float[] all(Memory memory) {
    float[] values = new float[(int) memory.elements()];
    memory.read(0, values, 0, values.length);
    return values;
  }

  @Test
  void partsAreInElementsOfTheType() {
    try (PooledMemory pooled = MemoryPool.take(DataType.I64, 6)) {
      Memory longs = pooled.memory().first(DataType.I64, 6);
      assertEquals(48, longs.bytes());
      assertEquals(6, longs.elements());
      Memory part = longs.slice(2, 3);
      assertEquals(DataType.I64, part.type());
      assertEquals(longs.address() + 16, part.address());
      assertEquals(24, part.bytes());
      assertEquals(3, ((LongPointer) part.pointer()).capacity());
    }
  }

  @Test
  void theBeginningSharesTheView() {
    try (PooledMemory pooled = MemoryPool.take(DataType.F32, 6)) {
      assertSame(pooled.memory().view(), pooled.memory().first(DataType.F32, 2).view());
      Memory part = pooled.memory().slice(2, 3);
      part.setAll(7);
      assertEquals(7, pooled.memory().view().get(4));
      assertArrayEquals(new float[] {7, 7, 7}, all(part));
    }
  }

  @Test
  void aPartOfACallersBufferIsLentFromWhereItBegins() {
    FloatBuffer buffer = direct(0, 1, 2, 3, 4, 5);
    Memory part = ForeignMemory.of(buffer.position(1), 5).slice(2, 2);
    FloatBuffer lent = part.lend(2, () -> {});
    assertEquals(2, lent.capacity());
    assertEquals(3, lent.get(0));
    lent.put(1, 9);
    assertEquals(9, buffer.get(4));
    assertArrayEquals(new float[] {3, 9}, all(part));
    ByteBuffer bytes = ByteBuffer.allocateDirect(24).order(ByteOrder.nativeOrder());
    Memory last = ForeignMemory.of(bytes.position(4), DataType.F32, 5).slice(3, 2);
    last.lend(2, () -> {}).put(1, 9);
    assertEquals(9, bytes.getFloat(20));
  }

  @Test
  void onlyACallersBufferIsReadOnly() {
    FloatBuffer buffer = direct(1, 2);
    assertTrue(ForeignMemory.of(buffer.asReadOnlyBuffer(), 2).slice(1, 1).isReadOnly());
    assertFalse(ForeignMemory.of(buffer, 2).isReadOnly());
    try (PooledMemory pooled = MemoryPool.take(DataType.F32, 2)) {
      assertFalse(pooled.memory().isReadOnly());
    }
  }

  @Test
  void whoseOwnerHasFreedItSaysSo() {
    FloatPointer pointer = new FloatPointer(6);
    Memory part = ForeignMemory.of(pointer, DataType.F32, 6).slice(1, 2);
    part.requireThere("x");
    pointer.close();
    String message =
        assertThrows(IllegalStateException.class, () -> part.requireThere("x")).getMessage();
    assertEquals("the memory under the tensor x was freed", message);
  }
}
