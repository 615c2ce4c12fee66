package io.nativenorm.cli;

import io.nativenorm.DataType;
import io.nativenorm.file.TensorBytes;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What stands before the elements of an array in NumPy's file format, versions 1 to 3: they are
 * floats of 32 or 16 bits in C order. The format has no bfloat16.
 *
 * @param type of the elements, F32 or F16
 * @param order the byte order of the elements
 * @param shape the extents
 * @see <a href="https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html">The format
 *     </a>
 */
record NpyHeader(DataType type, ByteOrder order, long[] shape) {
  /** NumPy's own limit: it reads back no file with more. */
  static final int MOST_DIMENSIONS = 64;

  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

  /** The data start at a multiple of this. */
  private static final int ALIGNMENT = 64;

  /** NumPy writes 118 bytes; a header of a gigabyte is not one. */
  private static final int LONGEST = 1 << 20;

  private static final Set<String> KEYS = Set.of("descr", "fortran_order", "shape");

  /** One entry of a Python dictionary; possessive, so that no input makes it try again. */
  private static final Pattern ENTRY =
      Pattern.compile(
          "\\G\\s*+(['\"])(\\w++)\\1\\s*+:\\s*+"
              + "('[^']*+'|\"[^\"]*+\"|\\([^)]*+\\)|\\[[^\\]]*+\\]|\\w++)\\s*+(?:,|$)");

  /** NumPy's names of the types. */
  private static final Map<String, DataType> TYPES = Map.of("f4", DataType.F32, "f2", DataType.F16);

  /** Byte order and type. */
  private static final Pattern FLOATS = Pattern.compile("['\"]([<>])(f[24])['\"]");

  /** Python 2 has an L after a long. */
  private static final Pattern EXTENT = Pattern.compile("([+-]?\\d++)L?+");

  /**
   * Reads it, up to the first element.
   *
   * @param name what to call the file in messages
   */
  static NpyHeader read(String name, ReadableByteChannel in)
      throws IOException, UnusableInputException {
    ByteBuffer start = ByteBuffer.allocate(MAGIC.length + 2);
    boolean whole = TensorBytes.fill(start, in);
    if (!whole || !Arrays.equals(MAGIC, Arrays.copyOf(start.array(), MAGIC.length))) {
      throw new UnusableInputException(name + " is not an .npy file");
    }
    int version = start.get(MAGIC.length);
    int minor = start.get(MAGIC.length + 1);
    if (version < 1 || version > 3 || minor != 0) {
      throw new UnusableInputException(
          name + " has version " + version + "." + minor + " of the format; known are 1.0 to 3.0");
    }
    ByteBuffer text = ByteBuffer.allocate(length(name, version, in));
    TensorBytes.readFully(text, in);
    return parse(name, new String(text.array(), StandardCharsets.UTF_8).strip());
  }

  private static int length(String name, int version, ReadableByteChannel in)
      throws IOException, UnusableInputException {
    ByteBuffer bytes = ByteBuffer.allocate(version == 1 ? Short.BYTES : Integer.BYTES);
    TensorBytes.readFully(bytes, in);
    bytes.order(ByteOrder.LITTLE_ENDIAN);
    long length =
        version == 1
            ? Short.toUnsignedInt(bytes.getShort(0))
            : Integer.toUnsignedLong(bytes.getInt(0));
    if (length > LONGEST) {
      throw new UnusableInputException(name + " has a header of " + length + " bytes");
    }
    return (int) length;
  }

  private static NpyHeader parse(String name, String text) throws UnusableInputException {
    Map<String, String> entries = new HashMap<>();
    boolean isDictionary = text.startsWith("{") && text.endsWith("}");
    String inside = isDictionary ? text.substring(1, text.length() - 1).strip() : text;
    Matcher entry = ENTRY.matcher(inside);
    int end = 0;
    boolean repeated = false;
    while (entry.find()) {
      repeated |= entries.put(entry.group(2), entry.group(3)) != null;
      end = entry.end();
    }
    if (!isDictionary || repeated || end < inside.length() || !entries.keySet().equals(KEYS)) {
      throw notUnderstood(name);
    }
    Matcher floats = floats(name, entries.get("descr"));
    ByteOrder order = floats.group(1).equals("<") ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
    requireOrderOfC(name, entries.get("fortran_order"));
    return new NpyHeader(TYPES.get(floats.group(2)), order, shape(name, entries.get("shape")));
  }

  private static UnusableInputException notUnderstood(String name) {
    return new UnusableInputException(name + " has a header that is not understood");
  }

  private static Matcher floats(String name, String type) throws UnusableInputException {
    Matcher floats = FLOATS.matcher(type);
    if (!floats.matches()) {
      throw new UnusableInputException(
          name
              + ": expected floats of 32 or 16 bits ('<f4' or '<f2'), but got "
              + type
              + "; numpy.float32(array) converts");
    }
    return floats;
  }

  private static void requireOrderOfC(String name, String fortranOrder)
      throws UnusableInputException {
    switch (fortranOrder) {
      case "False" -> {}
      case "True" ->
          throw new UnusableInputException(
              name + ": expected C order, but got Fortran order; numpy.ascontiguousarray converts");
      default -> throw notUnderstood(name);
    }
  }

  private static long[] shape(String name, String text) throws UnusableInputException {
    if (!text.startsWith("(")) {
      throw notUnderstood(name);
    }
    String extents = text.substring(1, text.length() - 1).strip();
    if (extents.isEmpty()) {
      return new long[0];
    }
    // A tuple of one has a comma at its end.
    String[] each = extents.replaceFirst(",$", "").split(",", -1);
    if (each.length > MOST_DIMENSIONS) {
      throw new UnusableInputException(
          name + " has " + each.length + " dimensions; NumPy has " + MOST_DIMENSIONS + " at most");
    }
    long[] shape = new long[each.length];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = extent(name, each[i].strip());
    }
    return shape;
  }

  private static long extent(String name, String text) throws UnusableInputException {
    Matcher number = EXTENT.matcher(text);
    if (!number.matches()) {
      throw notUnderstood(name);
    }
    try {
      long extent = Long.parseLong(number.group(1));
      if (extent >= 0) {
        return extent;
      }
    } catch (NumberFormatException e) {
      // More digits than a long has.
    }
    throw new UnusableInputException(name + " has a dimension of " + text + " elements");
  }

  /**
   * How many bytes the elements take.
   *
   * @param name what to call the file in messages
   */
  long bytes(String name) throws UnusableInputException {
    if (Arrays.stream(shape).anyMatch(extent -> extent == 0)) {
      return 0;
    }
    try {
      return Arrays.stream(shape).reduce(type.bytes(), Math::multiplyExact);
    } catch (ArithmeticException e) {
      throw new UnusableInputException(name + " has too many elements: " + Arrays.toString(shape));
    }
  }

  /** As NumPy writes it, version 1. */
  ByteBuffer encoded() {
    String name = type == DataType.F16 ? "f2" : "f4";
    String descr = order == ByteOrder.LITTLE_ENDIAN ? "'<" + name + "'" : "'>" + name + "'";
    String extents =
        Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(", "));
    String tuple = "(" + extents + (shape.length == 1 ? ",)" : ")");
    String text = "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + tuple + ", }";
    int prefix = MAGIC.length + 2 + Short.BYTES;
    int end = (prefix + text.length() + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ByteBuffer bytes = ByteBuffer.allocate(end).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put(MAGIC).put((byte) 1).put((byte) 0).putShort((short) (end - prefix));
    bytes.put(text.getBytes(StandardCharsets.US_ASCII));
    while (bytes.remaining() > 1) {
      bytes.put((byte) ' ');
    }
    return bytes.put((byte) '\n').flip();
  }
}
