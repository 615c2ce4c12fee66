package io.nativenorm.cli;

import io.nativenorm.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Arrays in .npy files: read as the command line reads them, written byte by byte. */
public final class NpyFiles {
  private NpyFiles() {}

  /** The elements of a file. */
  public static float[] values(Path path) throws IOException {
    try (NpyInput array = open(path);
        Tensor tensor = array.floats()) {
      return tensor.toArray();
    } catch (UnusableInputException e) {
      throw new IOException(e.getMessage());
    }
  }

  /** The shape of a file. */
  public static long[] shape(Path path) throws IOException {
    try (NpyInput array = open(path)) {
      return array.shape();
    }
  }

  private static NpyInput open(Path path) throws IOException {
    try {
      return NpyInput.open(path);
    } catch (UnusableInputException e) {
      throw new IOException(e.getMessage());
    }
  }

  /** A file of these elements. */
  static Path write(Path path, float[] values, long... shape) throws IOException {
    return Files.write(path, bytes(values, shape));
  }

  /** What is in such a file. */
  static byte[] bytes(float[] values, long... shape) {
    ByteBuffer data = ByteBuffer.allocate(values.length * Float.BYTES);
    data.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(values);
    return bytes(1, header(shape), data.array());
  }

  /** A header's text. */
  static String header(long... shape) {
    String extents = Arrays.toString(shape).replaceAll("[\\[\\]]", "");
    String end = shape.length == 1 ? ",)" : ")";
    return "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + end + ", }";
  }

  /** What is in a file of a version, whose header may be anything. */
  static byte[] bytes(int version, String header, byte[] data) {
    byte[] text = (header + "\n").getBytes(StandardCharsets.UTF_8);
    ByteBuffer file = ByteBuffer.allocate(12 + text.length + data.length);
    file.order(ByteOrder.LITTLE_ENDIAN).put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'});
    file.put((byte) version).put((byte) 0);
    if (version == 1) {
      file.putShort((short) text.length);
    } else {
      file.putInt(text.length);
    }
    file.put(text).put(data);
    return Arrays.copyOf(file.array(), file.position());
  }
}
