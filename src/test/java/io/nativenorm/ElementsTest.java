package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Elements one by one, from buffers, and added up. */
@LeavesMemoryToTheCollector
class ElementsTest {
  private static final Layout FIRST = Layout.CHANNELS_FIRST;

  private static void refused(String message, Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  private static FloatBuffer direct(ByteOrder order, float... values) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(4 * values.length).order(order);
    return bytes.asFloatBuffer().put(values).flip();
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void oneIsWhereItsIndexSays(DataType type) {
    for (Layout layout : Layout.values()) {
      try (Tensor tensor = Tensor.allocate(type, layout, 2, 3, 4)) {
        for (int i = 0; i < 24; i++) {
          tensor.set(i, i / 12, i / 4 % 3, i % 4);
        }
        assertEquals(17, tensor.get(1, 1, 1));
        try (Tensor ordered = tensor.to(FIRST)) {
          for (int i = 0; i < 24; i++) {
            assertEquals(i, ordered.toArray()[i]);
            assertEquals(i, tensor.get(i / 12, i / 4 % 3, i % 4));
          }
        }
      }
    }
    try (Tensor scalar = Tensor.allocate(type, FIRST)) {
      scalar.set(3);
      assertEquals(3, scalar.get());
    }
  }

  @Test
  void oneIsRoundedOnce() {
    try (Tensor bf16 = Tensor.allocate(DataType.BF16, FIRST, 2);
        Tensor longs = Tensor.allocate(DataType.I64, FIRST, 2)) {
      bf16.set(1 + 0x1p-8f + 0x1p-20f, 1);
      assertEquals(1 + 0x1p-7f, bf16.get(1));
      longs.set(0x1p62f, 1);
      assertEquals(1L << 62, longs.getLong(1));
      refused("an I64 tensor takes whole numbers, but got 0.5", () -> longs.set(0.5f, 1));
      assertEquals(0x1p62f, longs.get(1));
    }
  }

  @Test
  void whatIsNotThereIsRefused() {
    Tensor tensor = Tensor.zeros(2, 3);
    for (long[] index : new long[][] {{2, 0}, {0, 3}, {-1, 0}, {0}, {0, 0, 0}, {}}) {
      assertThrows(IndexOutOfBoundsException.class, () -> tensor.get(index));
      assertThrows(IndexOutOfBoundsException.class, () -> tensor.set(1, index));
    }
    try (Tensor readOnly =
        Tensor.wrap(direct(ByteOrder.nativeOrder(), 1, 2).asReadOnlyBuffer(), 2)) {
      assertEquals(2, readOnly.get(1));
      refused("is on a read-only buffer", () -> readOnly.set(1, 0));
      refused("is on a read-only buffer", () -> readOnly.copyFrom(FloatBuffer.allocate(2)));
      try (Tensor other = Tensor.zeros(2)) {
        refused("is on a read-only buffer", () -> readOnly.addScaled(1, other));
        other.addScaled(2, readOnly);
        assertArrayEquals(new float[] {2, 4}, other.toArray());
      }
    }
    tensor.close();
    assertThrows(IllegalStateException.class, () -> tensor.get(0, 0));
    assertThrows(IllegalStateException.class, () -> tensor.set(1, 0, 0));
    assertThrows(IllegalStateException.class, () -> tensor.copyFrom(FloatBuffer.allocate(6)));
    try (Tensor open = Tensor.zeros(2, 3)) {
      assertThrows(IllegalStateException.class, () -> tensor.addScaled(1, open));
      assertThrows(IllegalStateException.class, () -> open.addScaled(1, tensor));
    }
  }

  @Test
  void buffersOfAnyKindAreCopied() {
    float[] values = TestData.normal(1, 10_000, 0, 1);
    ByteOrder other =
        ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
            ? ByteOrder.LITTLE_ENDIAN
            : ByteOrder.BIG_ENDIAN;
    for (FloatBuffer buffer :
        new FloatBuffer[] {
          FloatBuffer.wrap(values),
          FloatBuffer.wrap(values).asReadOnlyBuffer(),
          direct(ByteOrder.nativeOrder(), values),
          direct(other, values)
        }) {
      buffer.position(3).limit(9_998);
      for (DataType type : new DataType[] {DataType.F32, DataType.BF16, DataType.F16}) {
        try (Tensor tensor = Tensor.allocate(type, FIRST, 9_995);
            Tensor whole = Tensor.of(values, values.length);
            Tensor rounded = whole.to(type)) {
          tensor.copyFrom(buffer);
          for (int i : new int[] {0, 1, 4095, 4096, 9_994}) {
            assertEquals(rounded.get(i + 3), tensor.get(i));
          }
        }
      }
      assertEquals(3, buffer.position());
      assertEquals(9_998, buffer.limit());
    }
    try (Tensor tensor = Tensor.zeros(3);
        Tensor longs = Tensor.allocate(DataType.I64, FIRST, 5_000)) {
      refused("expected 3 values", () -> tensor.copyFrom(FloatBuffer.allocate(4)));
      float[] whole = new float[5_000];
      whole[0] = 7;
      whole[4_999] = 0.5f;
      refused("whole numbers", () -> longs.copyFrom(FloatBuffer.wrap(whole)));
      assertEquals(0, longs.getLong(0), "nothing is written");
      whole[4_999] = 5;
      longs.copyFrom(FloatBuffer.wrap(whole));
      assertEquals(5, longs.getLong(4_999));
    }
  }

  @Test
  void sumsAreFloatsRoundedOnce() {
    int size = 10_000;
    float[] a = TestData.normal(1, size, 0, 1);
    float[] b = TestData.normal(2, size, 0, 1);
    for (DataType type : new DataType[] {DataType.F32, DataType.BF16, DataType.F16}) {
      for (DataType otherType : new DataType[] {DataType.F32, DataType.BF16, DataType.F16}) {
        try (Tensor a32 = Tensor.of(a, size);
            Tensor b32 = Tensor.of(b, size);
            Tensor sum = a32.to(type);
            Tensor other = b32.to(otherType)) {
          float[] summands = other.toArray();
          float[] expected = sum.toArray();
          for (int i = 0; i < size; i++) {
            expected[i] += -0.3f * summands[i];
          }
          sum.addScaled(-0.3f, other);
          try (Tensor whole = Tensor.of(expected, size);
              Tensor rounded = whole.to(type)) {
            assertArrayEquals(rounded.toArray(), sum.toArray());
          }
          assertArrayEquals(summands, other.toArray());
        }
      }
    }
    try (Tensor tensor = Tensor.of(new float[] {1, 2}, 2)) {
      tensor.addScaled(2, tensor);
      assertArrayEquals(new float[] {3, 6}, tensor.toArray());
    }
  }

  @Test
  void sumsOfWhatDoesNotFitAreRefused() {
    FloatBuffer shared = direct(ByteOrder.nativeOrder(), 1, 2, 3, 4, 5, 6);
    try (Tensor six = Tensor.zeros(6);
        Tensor two = Tensor.zeros(2, 3);
        Tensor longs = Tensor.allocate(DataType.I64, FIRST, 6);
        Tensor first = Tensor.wrap(shared, 5);
        Tensor last = Tensor.wrap(shared.position(1), 5);
        Tensor firstAgain = Tensor.wrap(shared.position(0), 5)) {
      refused("of one shape and layout", () -> six.addScaled(1, two));
      refused("of types in [F32, BF16, F16]", () -> six.addScaled(1, longs));
      refused("overlap in part", () -> first.addScaled(1, last));
      first.addScaled(1, firstAgain);
      assertEquals(10, last.get(3));
    }
  }
}
