package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Tensors at an address, whose owner is asked if it can tell. */
@LeavesMemoryToTheCollector
class WrapAddressTest {
  private static final Layout FIRST = Layout.CHANNELS_FIRST;

  private static Tensor wrap(long address, Object owner, long... shape) {
    return Tensor.wrap(address, owner, DataType.F32, FIRST, shape);
  }

  private static void refused(String message, Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  private static ByteBuffer bytes(int count) {
    return ByteBuffer.allocateDirect(count).order(ByteOrder.nativeOrder());
  }

  @Test
  void anyOwnerIsKept() {
    try (FloatPointer memory = new FloatPointer(1, 2, 3, 4);
        Tensor tensor = wrap(memory.address() + 4, new Object[] {memory}, 3)) {
      assertArrayEquals(new float[] {2, 3, 4}, tensor.toArray());
      tensor.copyFrom(new float[] {5, 6, 7});
      assertEquals(7, memory.get(3));
      assertEquals(6, tensor.buffer().get(1));
    }
  }

  @Test
  void whatIsNoMemoryIsRefused() {
    Object owner = new Object();
    refused("got address 0x0", () -> wrap(0, owner, 1));
    refused("got address 0xffffffffffffff00", () -> wrap(-256, owner, 1));
    refused("aligned to 4 bytes, but got address 0x1002", () -> wrap(0x1002, owner, 1));
    refused("within the owner's", () -> wrap(Long.MAX_VALUE - 3, owner, 2));
    refused("negative", () -> wrap(0x1000, owner, -1));
  }

  @Test
  void aPointerTellsWhetherItIsThere() {
    FloatPointer memory = new FloatPointer(8);
    try (Tensor tensor = wrap(memory.address(), memory, 8);
        LayerNorm layer = LayerNorm.of(8)) {
      Pointer.memset(memory, 0, 32);
      layer.forward(tensor, tensor);
      memory.close();
      assertThrows(IllegalStateException.class, () -> layer.forward(tensor, tensor));
      assertThrows(IllegalStateException.class, () -> wrap(0x1000, memory, 8));
    }
  }

  @Test
  void aBufferIsTheMemoryItIsAPartOf() {
    ByteBuffer direct = bytes(32);
    long address = new BytePointer(direct).address();
    FloatBuffer floats = direct.asFloatBuffer();
    direct.position(16).limit(20); // of no concern: the address says where
    try (Tensor onBytes = wrap(address + 8, direct, 6);
        Tensor onFloats = wrap(address + 8, floats.position(3), 6);
        Tensor onLongs = wrap(address, bytesAsLongs(direct), 8)) {
      onBytes.copyFrom(new float[] {1, 2, 3, 4, 5, 6});
      assertArrayEquals(onBytes.toArray(), onFloats.toArray());
      assertEquals(6, onLongs.toArray()[7]);
      assertEquals(6, onLongs.buffer().get(7));
      assertEquals(6, onBytes.buffer().get(5));
      assertEquals(6, onFloats.buffer().get(5));
    }
    refused(
        "within the owner's 32 bytes at 0x" + Long.toHexString(address) + ", but got 28 bytes at",
        () -> wrap(address + 8, direct, 7));
    refused("within the owner's 32 bytes", () -> wrap(address - 4, floats, 1));
    refused("within the owner's 32 bytes", () -> wrap(address + 36, floats, 0));
    refused("the owner is a buffer on it", () -> wrap(address, FloatBuffer.allocate(8), 1));
    try (Tensor readOnly = wrap(address, direct.asReadOnlyBuffer(), 8)) {
      refused("read-only", () -> readOnly.copyFrom(new float[8]));
    }
  }

  private static Object bytesAsLongs(ByteBuffer direct) {
    return direct.duplicate().clear().order(ByteOrder.nativeOrder()).asLongBuffer();
  }

  @Test
  void aSegmentIsTheMemoryItIsAPartOf() throws Exception {
    assumeTrue(TestArena.ARE_THERE, "there are no segments before JDK 22");
    for (String kind : new String[] {"Shared", "Confined", "Auto", "Global"}) {
      TestArena arena = TestArena.of(kind);
      Object segment = arena.segment(32);
      long address = TestArena.address(segment);
      try (LayerNorm layer = LayerNorm.of(6);
          Tensor tensor = wrap(address + 8, segment, 6)) {
        tensor.copyFrom(new float[] {1, 2, 3, 4, 5, 6});
        ByteBuffer bytes = (ByteBuffer) TestArena.ask(segment, "asByteBuffer");
        assertEquals(6, bytes.order(ByteOrder.nativeOrder()).getFloat(28));
        assertEquals(6, tensor.buffer().get(5));
        layer.forward(tensor, tensor);
        assertEquals(-1.4638f, tensor.toArray()[0], 1e-3f);
        refused(
            "within the owner's 32 bytes at 0x" + Long.toHexString(address),
            () -> wrap(address + 8, segment, 7));
        refused("within the owner's 32 bytes", () -> wrap(address - 4, segment, 1));
        Object readOnly = TestArena.ask(segment, "asReadOnly");
        try (Tensor x = wrap(address, readOnly, 8)) {
          refused("read-only", () -> x.copyFrom(new float[8]));
          assertTrue(x.buffer().isReadOnly());
        }
        if (kind.equals("Shared") || kind.equals("Confined")) {
          arena.close();
          assertThrows(IllegalStateException.class, () -> layer.forward(tensor, tensor));
          assertThrows(IllegalStateException.class, tensor::toArray);
          assertThrows(IllegalStateException.class, () -> wrap(address, segment, 8));
        }
      }
    }
    Object onHeap = TestArena.ofBuffer(FloatBuffer.allocate(8));
    refused("the owner is a MemorySegment on it", () -> wrap(64, onHeap, 1));
  }

  @Test
  void memoryBeyond2GigabytesIsReached() throws Exception {
    assumeTrue(TestArena.ARE_THERE, "there are no segments before JDK 22");
    Path file = Files.createTempFile("nativenorm", ".sparse");
    long bytes = 9L << 30; // more than 2^31 floats
    try (RandomAccessFile sized = new RandomAccessFile(file.toFile(), "rw");
        TestArena arena = TestArena.of("Shared")) {
      sized.setLength(bytes);
      Object segment = arena.map(file, bytes);
      long address = TestArena.address(segment);
      try (LayerNorm layer = LayerNorm.of(4);
          Tensor all = wrap(address, segment, bytes / 16, 4);
          Tensor last = wrap(address + bytes - 16, segment, 1, 4)) {
        assertEquals(bytes / 4, all.size());
        last.copyFrom(new float[] {1, 2, 3, 4});
        sized.seek(bytes - 1);
        assertEquals(0x40, sized.read());
        try (Tensor end = all.narrow(0, bytes / 16 - 2, 2)) {
          assertArrayEquals(new float[] {0, 0, 0, 0, 1, 2, 3, 4}, end.toArray());
          assertEquals(3, all.get(bytes / 16 - 1, 2));
          all.set(5, bytes / 16 - 2, 0);
          layer.forward(end, end);
          assertEquals(1.7320f, end.get(0, 0), 1e-3f);
          assertEquals(-1.3416f, last.get(0, 0), 1e-3f);
          last.copyFrom(new float[] {1, 2, 3, 4});
        }
        try (Tensor y = layer.forward(last)) {
          assertEquals(-1.3416f, y.toArray()[0], 1e-3f);
        }
      }
    } finally {
      Files.delete(file);
    }
  }

  /** Where there is no native access there are no addresses. */
  static final class Main {
    public static void main(String[] args) {
      try {
        wrap(0x1000, new Object(), 1);
      } catch (NativeNormException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void withoutAddressesItIsRefused() throws Exception {
    JavaProcess process =
        JavaProcess.run(Main.class, Map.of(), "-Dorg.bytedeco.javacpp.loadLibraries=false");
    assertTrue(process.output().contains("there are no pointers here"), process.output());
  }
}
