package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NpyFileTest {
  @TempDir private Path folder;

  /** A file as NumPy writes it, of the numbers 0, 1, 2... */
  private Path numpy(int version, String header, int count, ByteOrder order) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) version, 0});
    byte[] text = (header + "\n").getBytes(StandardCharsets.UTF_8);
    ByteBuffer length = ByteBuffer.allocate(version == 1 ? 2 : 4).order(ByteOrder.LITTLE_ENDIAN);
    if (version == 1) {
      length.putShort((short) text.length);
    } else {
      length.putInt(text.length);
    }
    bytes.write(length.array());
    bytes.write(text);
    ByteBuffer data = ByteBuffer.allocate(count * Float.BYTES).order(order);
    for (int i = 0; i < count; i++) {
      data.putFloat(i);
    }
    bytes.write(data.array());
    return Files.write(folder.resolve("numpy.npy"), bytes.toByteArray());
  }

  private void refused(String message, Path path) {
    UnusableInputException e = assertThrows(UnusableInputException.class, () -> NpyFile.read(path));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void readsWhatItWrote() throws Exception {
    float[] values = new float[100_000]; // more than one chunk
    for (int i = 0; i < values.length; i++) {
      values[i] = i * 0.5f;
    }
    Path path = folder.resolve("a.npy");
    for (long[] shape : new long[][] {{100_000}, {100, 1000}, {10, 10, 10, 100}}) {
      new NpyFile(values, shape).write(path);
      NpyFile read = NpyFile.read(path);
      assertArrayEquals(values, read.values());
      assertArrayEquals(shape, read.shape());
    }
  }

  @Test
  void writesNumpysOwnForm() throws Exception {
    Path path = folder.resolve("a.npy");
    new NpyFile(new float[] {1}, new long[] {1}).write(path);
    byte[] bytes = Files.readAllBytes(path);
    assertEquals(128 + 4, bytes.length);
    assertEquals(118, bytes[8]); // the header's length, so that the data start at 128
    String header = new String(bytes, 10, 118, StandardCharsets.US_ASCII);
    assertTrue(
        header.startsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"), header);
    assertTrue(header.endsWith(" \n"));
  }

  @Test
  void readsEveryVersionScalarsEmptyArraysAndTheOtherByteOrder() throws Exception {
    String little = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    for (int version : new int[] {1, 2, 3}) {
      NpyFile read = NpyFile.read(numpy(version, little, 6, ByteOrder.LITTLE_ENDIAN));
      assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5}, read.values());
      assertArrayEquals(new long[] {2, 3}, read.shape());
    }
    String big = little.replace('<', '>');
    assertEquals(5, NpyFile.read(numpy(1, big, 6, ByteOrder.BIG_ENDIAN)).values()[5]);
    String otherOrder = "{ 'shape': (2, 3), 'descr' : '<f4', 'fortran_order': False}";
    assertArrayEquals(
        new long[] {2, 3},
        NpyFile.read(numpy(1, otherOrder.replace("' :", "':"), 6, ByteOrder.LITTLE_ENDIAN))
            .shape());
    String scalar = little.replace("(2, 3)", "()");
    assertEquals(0, NpyFile.read(numpy(1, scalar, 1, ByteOrder.LITTLE_ENDIAN)).shape().length);
    String empty = little.replace("(2, 3)", "(0, 3)");
    assertEquals(0, NpyFile.read(numpy(1, empty, 0, ByteOrder.LITTLE_ENDIAN)).values().length);
  }

  @Test
  void saysWhatItDoesNotRead() throws Exception {
    String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    refused(
        "expected 32-bit floats ('<f4'), but got '<f8'",
        numpy(1, header.replace("f4", "f8"), 12, ByteOrder.LITTLE_ENDIAN));
    refused(
        "expected C order, but got Fortran order",
        numpy(1, header.replace("False", "True"), 6, ByteOrder.LITTLE_ENDIAN));
    refused(
        "has a header that is not understood",
        numpy(1, "{'shape': (2, 3)}", 6, ByteOrder.LITTLE_ENDIAN));
    for (String shape : new String[] {"(2 3)", "(99999999999999999999,)", "(2, x)", "2", "(,)"}) {
      refused(
          "has a header that is not understood",
          numpy(1, header.replace("(2, 3)", shape), 6, ByteOrder.LITTLE_ENDIAN));
    }
    String many = "(" + "1, ".repeat(20_000) + ")"; // more than a recursive pattern can take
    NpyFile.read(numpy(2, header.replace("(2, 3)", many), 1, ByteOrder.LITTLE_ENDIAN));
    refused(
        "has more elements than a Java array",
        numpy(1, header.replace("3", "9000000000"), 6, ByteOrder.LITTLE_ENDIAN));
    refused("ends too early", numpy(1, header.replace("3", "3000"), 6, ByteOrder.LITTLE_ENDIAN));
    refused("does not exist", folder.resolve("none.npy"));
  }
}
