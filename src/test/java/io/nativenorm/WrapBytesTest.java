package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import io.nativenorm.engine.Storage;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Tensors on a caller's buffers of bytes, in every type. */
@LeavesMemoryToTheCollector
class WrapBytesTest {
  private static final Layout FIRST = Layout.CHANNELS_FIRST;
  private static final float[] VALUES = {1, -2, 3, 40, 0.5f, 0};
  private static final float[] WHOLE = {1, -2, 3, 40, 5, 0};

  private static ByteBuffer bytes(int count) {
    return ByteBuffer.allocateDirect(count).order(ByteOrder.nativeOrder());
  }

  private static void put(ByteBuffer to, int at, DataType type, int bits) {
    switch (type.bytes()) {
      case 1 -> to.put(at, (byte) bits);
      case 2 -> to.putShort(at, (short) bits);
      case 4 -> to.putInt(at, bits);
      default -> to.putLong(at, bits);
    }
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void elementsAreLiveFromThePositionOn(DataType type) {
    float[] values = Storage.COMPUTED.contains(type) ? VALUES : WHOLE.clone();
    values[1] = type == DataType.U8 ? 254 : -2;
    ByteBuffer direct = bytes(8 * type.bytes()).position(2 * type.bytes());
    try (Tensor tensor = Tensor.wrap(direct, type, Layout.CHANNELS_LAST, 1, 2, 3);
        Tensor same = Tensor.wrap(direct, type, FIRST, 6)) {
      assertEquals(type + " CHANNELS_LAST [1, 2, 3]", tensor.toString());
      tensor.copyFrom(values);
      assertArrayEquals(values, same.toArray());
      int one = type == DataType.BF16 ? 0x3F80 : type == DataType.F16 ? 0x3C00 : 1;
      int bits = type == DataType.F32 ? 0x3F80_0000 : one;
      put(direct, 7 * type.bytes(), type, bits);
      put(direct, type.bytes(), type, bits);
      assertEquals(1, tensor.toArray()[5]);
      assertEquals(2 * type.bytes(), direct.position(), "the buffer's own position stays");
      try (Tensor other = tensor.to(FIRST)) {
        float[] ordered = values.clone();
        ordered[5] = 1;
        assertArrayEquals(TestData.channelsFirst(ordered, 1, 2, 3), other.toArray());
      }
    }
  }

  @Test
  void layersReadAndWriteThere() {
    for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16)) {
      ByteBuffer direct = bytes(12 * type.bytes());
      try (LayerNorm layer = LayerNorm.of(6);
          Tensor x = Tensor.wrap(direct, type, FIRST, 6);
          Tensor y = Tensor.wrap(direct.position(6 * type.bytes()), type, FIRST, 6)) {
        x.copyFrom(VALUES);
        try (Tensor wide = x.to(DataType.F32);
            Tensor y32 = layer.forward(wide);
            Tensor expected = y32.to(type)) {
          layer.forward(x, y);
          assertArrayEquals(expected.toArray(), y.toArray());
        }
      }
    }
  }

  private static void refused(String message, ByteBuffer buffer, DataType type, long... shape) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Tensor.wrap(buffer, type, FIRST, shape).close());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void whatDoesNotFitIsRefused() {
    ByteBuffer direct = bytes(16);
    refused("direct ByteBuffer", ByteBuffer.allocate(16), DataType.F32, 4);
    refused("native byte order", ByteBuffer.allocateDirect(16), DataType.F32, 4);
    refused("has room for 4", direct, DataType.F32, 5);
    refused("has room for 8", direct, DataType.BF16, 9);
    refused("has room for 2", direct, DataType.I64, 3);
    refused("has room for 3", bytes(16).limit(14), DataType.F32, 4);
    refused("has room for 3", bytes(16).position(4), DataType.F32, 4);
    refused("aligned to 4 bytes", bytes(16).position(2), DataType.F32, 3);
    refused("aligned to 2 bytes", bytes(16).position(1), DataType.F16, 3);
    refused("aligned to 8 bytes", bytes(32).position(4), DataType.I64, 3);
    refused("has room for 16", direct, DataType.U8, 17);
    Tensor.wrap(bytes(16).position(3), DataType.S8, FIRST, 13).close();
    refused("negative", direct, DataType.F32, -1);
    Tensor.wrap(bytes(14), DataType.F32, FIRST, 3).close();
    Tensor.wrap(bytes(0), DataType.BF16, FIRST, 0).close();
    Tensor.wrap(bytes(16).position(2), DataType.F16, FIRST, 7).close();
  }

  @Test
  void aReadOnlyOneIsOnlyRead() {
    ByteBuffer direct = bytes(12);
    try (Tensor all = Tensor.wrap(direct, DataType.BF16, FIRST, 6);
        LayerNorm layer = LayerNorm.of(6)) {
      all.copyFrom(VALUES);
      ByteBuffer readOnly = direct.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
      try (Tensor x = Tensor.wrap(readOnly, DataType.BF16, FIRST, 6);
          Tensor y = layer.forward(x)) {
        assertArrayEquals(VALUES, x.toArray());
        assertEquals(6, y.size());
        assertThrows(IllegalArgumentException.class, () -> layer.forward(x, x));
        assertThrows(IllegalArgumentException.class, () -> x.copyFrom(VALUES));
      }
    }
  }

  @Test
  void aBufferOfItsFloatsIsThatMemory() {
    ByteBuffer direct = bytes(32);
    ByteBuffer readOnly = direct.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
    try (Tensor tensor = Tensor.wrap(direct.position(8), DataType.F32, FIRST, 5);
        Tensor last = Tensor.wrap(readOnly, DataType.F32, FIRST, 8)) {
      FloatBuffer floats = tensor.buffer();
      assertEquals(5, floats.capacity());
      floats.put(4, 6);
      assertEquals(6, direct.getFloat(24));
      assertEquals(6, last.buffer().get(6));
      assertTrue(last.buffer().isReadOnly());
      assertFalse(floats.isReadOnly());
    }
  }

  /** The same where there is no native access. */
  public static final class Main {
    public static void main(String[] args) {
      WrapBytesTest test = new WrapBytesTest();
      for (DataType type :
          new DataType[] {DataType.F32, DataType.BF16, DataType.F16, DataType.I64}) {
        test.elementsAreLiveFromThePositionOn(type);
      }
      test.layersReadAndWriteThere();
      test.whatDoesNotFitIsRefused();
      test.aReadOnlyOneIsOnlyRead();
      test.aBufferOfItsFloatsIsThatMemory();
      System.out.println("all is well");
    }
  }

  @Test
  void withoutNativeAccessToo() throws Exception {
    JavaProcess.runWithoutNativeAccess(Main.class);
  }
}
