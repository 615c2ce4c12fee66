package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.JavaProcess;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.NormLayer;
import io.nativenorm.Tensor;
import io.nativenorm.file.TensorBytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Arrays of 16-bit floats, which NumPy calls f2: read, written and normalized as they are. */
class HalfFilesTest {
  /** 0 to 5, then the largest, the least, -0 and infinity. */
  private static final short[] BITS = {
    0, 0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x7BFF, 1, (short) 0x8000, 0x7C00
  };

  private static final float[] VALUES = {
    0, 1, 2, 3, 4, 5, 65504, 0x1p-24f, -0f, Float.POSITIVE_INFINITY
  };

  @TempDir private Path folder;

  private static byte[] file(ByteOrder order, int spaces, short[] bits, long... shape) {
    ByteBuffer data = ByteBuffer.allocate(bits.length * Short.BYTES).order(order);
    data.asShortBuffer().put(bits);
    String type = order == ByteOrder.LITTLE_ENDIAN ? "<f2" : ">f2";
    String header = NpyFiles.header(shape).replace("<f4", type) + " ".repeat(spaces);
    return NpyFiles.bytes(1, header, data.array());
  }

  private static byte[] read(NpyInput array, boolean mayMap, boolean mapped) throws Exception {
    try (array;
        Tensor tensor = array.tensor(mayMap, Layout.CHANNELS_FIRST, array.shape())) {
      assertEquals("F16 CHANNELS_FIRST [2, 5]", tensor.toString());
      assertEquals(mapped, array.isMapped());
      assertArrayEquals(VALUES, tensor.toArray());
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      TensorBytes.write(tensor, Channels.newChannel(bytes));
      return bytes.toByteArray();
    }
  }

  private static byte[] inNativeOrder(short[] bits) {
    ByteBuffer data = ByteBuffer.allocate(bits.length * 2).order(ByteOrder.nativeOrder());
    data.asShortBuffer().put(bits);
    return data.array();
  }

  /** Files in memory, files that are read, and streams, in both orders of bytes. */
  static void checkReading(Path folder) throws Exception {
    for (ByteOrder order : new ByteOrder[] {ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN}) {
      for (int spaces = 0; spaces < 4; spaces++) {
        byte[] bytes = file(order, spaces, BITS, 2, 5);
        Path path = Files.write(folder.resolve("a.npy"), bytes);
        boolean aligned = (bytes.length - 20) % 2 == 0 && order == ByteOrder.nativeOrder();
        byte[] data = inNativeOrder(BITS);
        assertArrayEquals(data, read(NpyInput.open(path), true, aligned));
        assertArrayEquals(data, read(NpyInput.open(path), false, false));
        ByteArrayInputStream stream = new ByteArrayInputStream(bytes);
        assertArrayEquals(data, read(NpyInput.open("a.npy", stream), true, false));
      }
    }
  }

  @Test
  void areReadAndWrittenAsTheyAre() throws Exception {
    checkReading(folder);
  }

  /** The same where there is no native access. */
  public static final class Main {
    public static void main(String[] args) throws Exception {
      Path folder = Files.createTempDirectory("nativenorm");
      try {
        checkReading(folder);
        System.out.println("all is well");
      } finally {
        Files.deleteIfExists(folder.resolve("a.npy"));
        Files.delete(folder);
      }
    }
  }

  @Test
  void withoutNativeAccessToo() throws Exception {
    JavaProcess.runWithoutNativeAccess(Main.class);
  }

  @Test
  void areAsLongAsTheirHeaderSays() throws Exception {
    byte[] whole = file(ByteOrder.LITTLE_ENDIAN, 0, BITS, 2, 5);
    Path path = folder.resolve("x.npy");
    for (int length : new int[] {whole.length - 1, whole.length + 1}) {
      Files.write(path, Arrays.copyOf(whole, length));
      CommandLineRun.normalize(path, folder.resolve("y.npy"))
          .assertRefused(length < whole.length ? "ends too early" : "has data after its array");
    }
  }

  @Test
  void areNormalizedInHalves() throws Exception {
    short[] bits = Arrays.copyOf(BITS, 6);
    Path x = Files.write(folder.resolve("x.npy"), file(ByteOrder.LITTLE_ENDIAN, 0, bits, 2, 3));
    Path y = folder.resolve("y.npy");
    short[] halves = {0x3800, 0x4000, (short) 0xC000}; // 0.5, 2, -2
    Path weight = Files.write(folder.resolve("w.npy"), file(ByteOrder.LITTLE_ENDIAN, 0, halves, 3));
    CommandLineRun run = CommandLineRun.normalize(x, y, "--weight=" + weight);
    run.assertDone();
    assertTrue(run.out().contains("LayerNorm([3]) on F16 CHANNELS_FIRST [2, 3]"), run.out());
    try (NormLayer layer = LayerNorm.builder(3).bias(false).build();
        Tensor floats = Tensor.of(new float[] {0, 1, 2, 3, 4, 5}, 2, 3);
        Tensor input = floats.to(DataType.F16);
        NpyInput written = NpyInput.open(y);
        Tensor found = written.tensor(false, Layout.CHANNELS_FIRST, 2, 3)) {
      layer.weight().copyFrom(new float[] {0.5f, 2, -2});
      try (Tensor expected = layer.forward(input)) {
        assertEquals(expected.toString(), found.toString());
        assertArrayEquals(expected.toArray(), found.toArray());
      }
    }
    String header = new String(Files.readAllBytes(y), StandardCharsets.ISO_8859_1);
    assertTrue(header.contains("'descr': '<f2', 'fortran_order': False, 'shape': (2, 3)"), header);
  }

  @Test
  void theLastAxisMayBeTheChannel() throws Exception {
    short[] bits = {0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800};
    Path x = Files.write(folder.resolve("x.npy"), file(ByteOrder.LITTLE_ENDIAN, 1, bits, 1, 4, 2));
    Path y = folder.resolve("y.npy");
    CommandLineRun.normalize(x, y, "--op=instance", "--layout=last").assertDone();
    float r = (float) Math.sqrt(5);
    float[] expected = {-3 / r, -3 / r, -1 / r, -1 / r, 1 / r, 1 / r, 3 / r, 3 / r};
    assertArrayEquals(expected, NpyFiles.values(y), 2e-3f);
  }
}
