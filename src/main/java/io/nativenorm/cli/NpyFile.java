package io.nativenorm.cli;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * An array in NumPy's file format, versions 1 to 3, of 32-bit floats in C order.
 *
 * @param values the elements, last dimension fastest
 * @param shape the extents
 * @see <a href="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html">The format
 *     </a>
 */
record NpyFile(float[] values, long[] shape) {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

  /** The data start at a multiple of this. */
  private static final int ALIGNMENT = 64;

  private static final int CHUNK = 1 << 16;

  /** A Python dictionary of three keys in any order. */
  private static final Pattern HEADER = Pattern.compile("\\{.*\\}\\s*", Pattern.DOTALL);

  private static final Pattern TYPE = Pattern.compile("'descr':\\s*'([^']*)'");
  private static final Pattern FORTRAN = Pattern.compile("'fortran_order':\\s*(True|False)");
  private static final Pattern SHAPE = Pattern.compile("'shape':\\s*\\(([\\d,\\s]*)\\)");

  /** Reads a file; the message of what is thrown names it. */
  static NpyFile read(Path path) throws UnusableInputException {
    if (Files.isDirectory(path)) {
      throw new UnusableInputException(path + " is a directory, not an .npy file");
    }
    try (InputStream file = Files.newInputStream(path);
        DataInputStream in = new DataInputStream(new BufferedInputStream(file, CHUNK))) {
      return read(path, in);
    } catch (NoSuchFileException e) {
      throw new UnusableInputException(path + " does not exist");
    } catch (EOFException e) {
      throw new UnusableInputException(path + " ends too early");
    } catch (IOException e) {
      throw new UnusableInputException(path + " cannot be read: " + e);
    }
  }

  private static NpyFile read(Path path, DataInputStream in)
      throws IOException, UnusableInputException {
    byte[] magic = new byte[MAGIC.length];
    if (in.readNBytes(magic, 0, magic.length) < magic.length || !Arrays.equals(magic, MAGIC)) {
      throw new UnusableInputException(path + " is not an .npy file");
    }
    int version = in.readUnsignedByte();
    in.readUnsignedByte();
    int length =
        version == 1
            ? Short.toUnsignedInt(Short.reverseBytes(in.readShort()))
            : Integer.reverseBytes(in.readInt());
    if (length < 0 || length > 1 << 20) {
      throw new UnusableInputException(path + " has a header of " + length + " bytes");
    }
    byte[] bytes = new byte[length];
    in.readFully(bytes);
    String header = new String(bytes, StandardCharsets.UTF_8);
    if (!HEADER.matcher(header).matches()) {
      throw new UnusableInputException(path + " has a header that is not understood");
    }
    ByteOrder order = byteOrder(path, value(path, header, TYPE));
    if (value(path, header, FORTRAN).equals("True")) {
      throw new UnusableInputException(
          path + ": expected C order, but got Fortran order; numpy.ascontiguousarray converts");
    }
    long[] shape = shape(path, value(path, header, SHAPE));
    return new NpyFile(values(path, in, order, count(path, shape)), shape);
  }

  private static String value(Path path, String header, Pattern entry)
      throws UnusableInputException {
    Matcher found = entry.matcher(header);
    if (!found.find()) {
      throw new UnusableInputException(path + " has a header that is not understood");
    }
    return found.group(1);
  }

  private static ByteOrder byteOrder(Path path, String type) throws UnusableInputException {
    return switch (type) {
      case "<f4" -> ByteOrder.LITTLE_ENDIAN;
      case ">f4" -> ByteOrder.BIG_ENDIAN;
      default ->
          throw new UnusableInputException(
              path
                  + ": expected 32-bit floats ('<f4'), but got '"
                  + type
                  + "'; numpy.float32(array) converts");
    };
  }

  private static long[] shape(Path path, String text) throws UnusableInputException {
    String extents = text.strip();
    if (extents.isEmpty()) {
      return new long[0];
    }
    // A tuple of one has a comma at its end.
    String[] each = extents.replaceFirst(",$", "").split(",", -1);
    try {
      return Arrays.stream(each).map(String::strip).mapToLong(Long::parseLong).toArray();
    } catch (NumberFormatException e) {
      throw new UnusableInputException(path + " has a header that is not understood");
    }
  }

  private static int count(Path path, long[] shape) throws UnusableInputException {
    long count = 1;
    for (long extent : shape) {
      count = Math.multiplyHigh(count, extent) != 0 ? Long.MAX_VALUE : count * extent;
      if (count < 0 || count > Integer.MAX_VALUE - 8) {
        throw new UnusableInputException(
            path + " has more elements than a Java array: " + Arrays.toString(shape));
      }
    }
    return (int) count;
  }

  private static float[] values(Path path, DataInputStream in, ByteOrder order, int count)
      throws IOException, UnusableInputException {
    long left = Files.size(path);
    if (left < (long) count * Float.BYTES) { // before an array is made of a wrong header
      throw new EOFException();
    }
    float[] values = new float[count];
    byte[] chunk = new byte[CHUNK];
    for (int at = 0; at < count; ) {
      int floats = Math.min(CHUNK / Float.BYTES, count - at);
      in.readFully(chunk, 0, floats * Float.BYTES);
      ByteBuffer.wrap(chunk).order(order).asFloatBuffer().get(values, at, floats);
      at += floats;
    }
    if (in.read() >= 0) {
      throw new UnusableInputException(path + " has data after its array");
    }
    return values;
  }

  /** Writes a file: all of it under its name, or nothing. */
  void write(Path path) throws UnusableInputException {
    Path partial = path.resolveSibling("." + path.getFileName() + "." + UUID.randomUUID());
    try {
      try (FileChannel channel =
          FileChannel.open(partial, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW)) {
        writeFully(channel, header());
        writeValues(channel);
      }
      Files.move(partial, path, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UnusableInputException(path + " cannot be written: " + e);
    } finally {
      partial.toFile().delete(); // there only if something failed
    }
  }

  private ByteBuffer header() {
    String extents =
        Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(", "));
    String tuple = "(" + extents + (shape.length == 1 ? ",)" : ")");
    String text = "{'descr': '<f4', 'fortran_order': False, 'shape': " + tuple + ", }";
    int prefix = MAGIC.length + 2 + Short.BYTES;
    int end = (prefix + text.length() + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ByteBuffer header = ByteBuffer.allocate(end).order(ByteOrder.LITTLE_ENDIAN);
    header.put(MAGIC).put((byte) 1).put((byte) 0).putShort((short) (end - prefix));
    header.put(text.getBytes(StandardCharsets.US_ASCII));
    while (header.remaining() > 1) {
      header.put((byte) ' ');
    }
    return header.put((byte) '\n').flip();
  }

  private void writeValues(FileChannel channel) throws IOException {
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at < values.length; ) {
      FloatBuffer floats = chunk.clear().asFloatBuffer();
      int count = Math.min(floats.remaining(), values.length - at);
      floats.put(values, at, count);
      writeFully(channel, chunk.limit(count * Float.BYTES));
      at += count;
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
