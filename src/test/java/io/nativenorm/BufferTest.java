package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ReadOnlyBufferException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/** {@link Tensor#buffer}: live, and its memory lasts as long as it or what is made of it. */
@LeavesMemoryToTheCollector
class BufferTest {
  private static final int ROUNDS = 40;
  private static final int SIZE = 1000;

  /** More than all other tests leave behind. */
  private static final int LARGE = 16 << 20;

  private static Tensor filled(float value) {
    float[] values = new float[SIZE];
    Arrays.fill(values, value);
    return Tensor.of(values, SIZE);
  }

  /**
   * Takes buffers of tensors that are gone, lets others take the memory if it is free, and looks.
   */
  static int changedBuffers(boolean close) throws InterruptedException {
    List<FloatBuffer> buffers = new ArrayList<>();
    for (int i = 0; i < ROUNDS; i++) {
      Tensor tensor = filled(i);
      FloatBuffer buffer = tensor.buffer();
      buffers.add(
          switch (i % 4) {
            case 0 -> buffer;
            case 1 -> buffer.slice(1, 2);
            case 2 -> buffer.duplicate();
            default -> buffer.asReadOnlyBuffer().slice(1, 3).slice(1, 1);
          });
      if (close) {
        tensor.close();
      }
    }
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(20);
    }
    List<Tensor> others = new ArrayList<>();
    for (int i = 0; i < 3 * ROUNDS; i++) {
      others.add(filled(-1));
    }
    int changed = 0;
    for (int i = 0; i < ROUNDS; i++) {
      changed += buffers.get(i).get(0) == i ? 0 : 1;
    }
    others.forEach(Tensor::close);
    return changed;
  }

  /** The same where there is no native access. */
  public static final class Main {
    public static void main(String[] args) throws InterruptedException {
      System.out.println("changed buffers: " + changedBuffers(false) + changedBuffers(true));
    }
  }

  @Test
  void aBufferKeepsTheMemoryOfATensorThatIsGone() throws InterruptedException {
    assertEquals(0, changedBuffers(false));
    assertEquals(0, changedBuffers(true));
  }

  @Test
  void withoutNativeAccessToo() throws Exception {
    JavaProcess process =
        JavaProcess.run(
            Main.class, Map.of(), "-Dorg.bytedeco.javacpp.loadLibraries=false", "-Xmx128m");
    assertTrue(process.output().contains("changed buffers: 00"), process.output());
  }

  @Test
  void theMemoryGoesBackWhenTheBufferIsGone() throws InterruptedException {
    Tensor tensor = filled(1);
    long address = tensor.pointer().address();
    assertEquals(1, tensor.buffer().get(0));
    tensor.close();
    List<Tensor> others = new ArrayList<>();
    boolean again = false;
    for (int i = 0; i < 200 && !again; i++) {
      System.gc();
      Thread.sleep(10);
      others.add(filled(2));
      again = others.get(i).pointer().address() == address;
    }
    others.forEach(Tensor::close);
    assertTrue(again, "nobody got the memory again");
  }

  @Test
  void isLiveInMemoryOrder() {
    LayerNorm layer = LayerNorm.of(2);
    try (Tensor last = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 1, 2, 3)) {
      FloatBuffer buffer = last.buffer();
      assertEquals(6, buffer.remaining());
      assertEquals(0, buffer.position());
      assertEquals(ByteOrder.nativeOrder(), buffer.order());
      buffer.put(1, 7);
      assertEquals(7, last.toArray()[1]);
      last.copyFrom(new float[] {0, 1, 2, 3, 4, 5});
      assertEquals(5, buffer.get(5));
      FloatBuffer weight = layer.weight().buffer();
      layer.close();
      assertEquals(1, weight.get(1));
    }
  }

  @Test
  void ofWrappedMemoryIsThatMemory() {
    FloatBuffer direct =
        ByteBuffer.allocateDirect(32).order(ByteOrder.nativeOrder()).asFloatBuffer();
    try (FloatPointer memory = new FloatPointer(9, 1, 2);
        Tensor onBuffer = Tensor.wrap(direct.position(2), 5);
        Tensor readOnly = Tensor.wrap(direct.asReadOnlyBuffer(), 5);
        Tensor onPointer =
            Tensor.wrap(memory.position(1), DataType.F32, Layout.CHANNELS_FIRST, 2)) {
      onBuffer.buffer().put(4, 6);
      assertEquals(6, direct.get(6));
      assertEquals(5, onBuffer.buffer().capacity());
      assertTrue(readOnly.buffer().isReadOnly());
      assertThrows(ReadOnlyBufferException.class, () -> readOnly.buffer().put(0, 1));
      assertEquals(2, onPointer.buffer().get(1));
      assertEquals(2, onPointer.buffer().capacity());
    }
  }

  @Test
  void aBufferKeepsAWrappedPointer() throws InterruptedException {
    long before = Pointer.totalBytes();
    FloatBuffer buffer = onDroppedPointer();
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertTrue(Pointer.totalBytes() - before >= 4L * LARGE, "the pointer's memory was freed");
    assertEquals(0, buffer.get(LARGE - 1));
  }

  private static FloatBuffer onDroppedPointer() {
    FloatPointer memory = new FloatPointer(LARGE);
    Pointer.memset(memory, 0, 4L * LARGE);
    return Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, LARGE).buffer();
  }

  @Test
  void isRefusedWhereThereIsNone() {
    try (Tensor longs = Tensor.allocate(DataType.I64, Layout.CHANNELS_FIRST, 2);
        Tensor empty = Tensor.zeros(0)) {
      assertThrows(IllegalArgumentException.class, longs::buffer);
      assertEquals(0, empty.buffer().capacity());
    }
    Tensor closed = Tensor.zeros(2);
    closed.close();
    assertThrows(IllegalStateException.class, closed::buffer);
  }
}
