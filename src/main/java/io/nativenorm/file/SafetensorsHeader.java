package io.nativenorm.file;

import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import io.nativenorm.DataType;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Which tensors lie where in a safetensors file: eight bytes with the length of the header, the
 * header in JSON, and behind it the tensors, one after the other without a hole. What is not so is
 * refused before anything of it is used. Of Gson only what its oldest versions have is called: a
 * program may bring one.
 */
public final class SafetensorsHeader {
  /** The most bytes that the format's own library reads. */
  private static final long LONGEST = 100_000_000;

  /**
   * The share of the heap that a header may have. One of nothing but empty tensors, all of them
   * wanted, is read in a heap of 12 times its bytes, not in one of 8.
   */
  private static final int SHARE = 32;

  /** As many as NumPy's arrays have. */
  private static final int MOST_DIMENSIONS = 64;

  private static final int MOST_OF_A_NAME = 100;

  /** What the types that are read are called. */
  private static final Map<String, DataType> TYPES =
      Arrays.stream(DataType.values())
          .collect(Collectors.toUnmodifiableMap(SafetensorsHeader::nameOf, type -> type));

  /**
   * What a type is called in a file.
   *
   * @param type the type
   * @return its name there
   */
  public static String nameOf(DataType type) {
    return type == DataType.S8 ? "I8" : type.name();
  }

  /**
   * A tensor in a file.
   *
   * @param name the file's for it
   * @param type the file's name of its type
   * @param shape its extents, none of them negative
   * @param begin where in the file its elements are
   * @param end where they end: where the type is known, behind as many as the shape says
   */
  public record Entry(String name, String type, long[] shape, long begin, long end) {
    /**
     * The type, if it is one of those that are read.
     *
     * @return it, or null
     */
    public DataType dataType() {
      return TYPES.get(type);
    }

    /**
     * The size.
     *
     * @return how many bytes the elements take
     */
    public long bytes() {
      return end - begin;
    }

    /** Name, type and size, for messages; no name is longer than a line. */
    @Override
    public String toString() {
      return quoted(name) + " (" + shortened(type) + ", " + bytes() + " bytes)";
    }
  }

  private SafetensorsHeader() {}

  /**
   * Reads a file's header.
   *
   * @param channel the file
   * @return its tensors, in the order in which they lie in it
   * @throws IOException if it cannot be read, or is no such file; the message says why, not which
   */
  public static List<Entry> read(FileChannel channel) throws IOException {
    long size = channel.size();
    if (size < Long.BYTES) {
      throw new IOException("it has " + size + " bytes, fewer than the length of a header");
    }
    ByteBuffer first = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    TensorBytes.readFully(first, channel.position(0));
    long length = first.getLong(0);
    if (length < 0 || length > size - Long.BYTES) {
      throw new IOException(
          "its header of " + Long.toUnsignedString(length) + " bytes is longer than the file");
    }
    long most = Math.min(LONGEST, Runtime.getRuntime().maxMemory() / SHARE);
    if (length > most) {
      throw new IOException(
          "its header has "
              + length
              + " bytes, more than the "
              + most
              + " that are read (at most "
              + LONGEST
              + ", or a "
              + SHARE
              + "th of the heap)");
    }
    ByteBuffer json = ByteBuffer.allocate((int) length);
    TensorBytes.readFully(json, channel);
    long start = Long.BYTES + length;
    List<Entry> entries = parse(json.array(), start);
    entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    requireOneAfterTheOther(entries, start, size);
    return entries;
  }

  private static List<Entry> parse(byte[] json, long start) throws IOException {
    if (json.length == 0 || json[0] != '{') {
      throw new IOException("its header does not begin with {");
    }
    // A decoder of its own refuses what is no UTF-8; that of a charset by name replaces it.
    try (JsonReader reader =
        new JsonReader(
            new InputStreamReader(
                new ByteArrayInputStream(json), StandardCharsets.UTF_8.newDecoder()))) {
      List<Entry> entries = new ArrayList<>();
      Set<String> names = new HashSet<>();
      reader.beginObject();
      while (reader.hasNext()) {
        String name = reader.nextName();
        if (!names.add(name)) {
          throw new IOException("its header has " + quoted(name) + " twice");
        }
        if (name.equals("__metadata__")) {
          skipMetadata(reader);
        } else {
          entries.add(entry(name, start, reader));
        }
      }
      reader.endObject();
      reader.peek(); // throws if there is anything but spaces
      return entries;
    } catch (CharacterCodingException e) {
      throw new IOException("its header is not in UTF-8", e);
    } catch (MalformedJsonException | EOFException e) {
      throw new IOException("its header is no JSON" + placeIn(e), e);
    } catch (IllegalStateException e) {
      throw new IOException("its header is not as it should be: " + firstLine(e), e);
    }
  }

  /** Where Gson was; what it says else is how to accept more. */
  private static String placeIn(Exception e) {
    String said = firstLine(e);
    return said.substring(Math.max(said.indexOf(" at line"), 0));
  }

  /** Below it Gson gives an address to read on. */
  private static String firstLine(Exception e) {
    return shortened(String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
  }

  /** A map of texts to texts, which are nothing to us. */
  private static void skipMetadata(JsonReader reader) throws IOException {
    reader.beginObject();
    while (reader.hasNext()) {
      reader.nextName();
      text("__metadata__", reader);
    }
    reader.endObject();
  }

  private static Entry entry(String name, long start, JsonReader reader) throws IOException {
    String type = null;
    long[] shape = null;
    long[] offsets = null;
    Set<String> fields = new HashSet<>();
    reader.beginObject();
    while (reader.hasNext()) {
      String field = reader.nextName();
      if (!fields.add(field)) {
        throw new IOException("the tensor " + quoted(name) + " has " + quoted(field) + " twice");
      }
      switch (field) {
        case "dtype" -> type = text(name, reader);
        case "shape" -> shape = numbers(name, MOST_DIMENSIONS, reader);
        case "data_offsets" -> offsets = numbers(name, 2, reader);
        default -> skipValue(name, reader);
      }
    }
    reader.endObject();
    if (type == null || shape == null || offsets == null || offsets.length != 2) {
      throw new IOException(
          "the tensor " + quoted(name) + " has not all of dtype, shape and two data_offsets");
    }
    return checked(name, type, shape, offsets[0], offsets[1], start);
  }

  private static Entry checked(
      String name, String type, long[] shape, long from, long to, long start) throws IOException {
    long end = start + to;
    if (from > to || end < 0) {
      throw new IOException(
          "the tensor " + quoted(name) + " lies from " + from + " to " + to + ", nowhere");
    }
    Entry entry = new Entry(name, type, shape, start + from, end);
    long bytes = entry.dataType() == null ? 1 : entry.dataType().bytes();
    try {
      for (long extent : shape) {
        bytes = Math.multiplyExact(bytes, extent);
      }
    } catch (ArithmeticException e) {
      throw new IOException("the tensor " + quoted(name) + " has too many elements", e);
    }
    if (entry.dataType() != null && bytes != to - from) {
      throw new IOException(
          "the tensor "
              + quoted(name)
              + " has "
              + (to - from)
              + " bytes, but its type and shape take "
              + bytes);
    }
    return entry;
  }

  private static String text(String name, JsonReader reader) throws IOException {
    if (reader.peek() != JsonToken.STRING) {
      throw new IOException(quoted(name) + " has a " + reader.peek() + " where a text should be");
    }
    return reader.nextString();
  }

  private static long[] numbers(String name, int most, JsonReader reader) throws IOException {
    long[] numbers = new long[most];
    int count = 0;
    reader.beginArray();
    while (reader.hasNext()) {
      if (count == most) {
        throw new IOException("the tensor " + quoted(name) + " has more than " + most + " numbers");
      }
      numbers[count++] = number(name, reader);
    }
    reader.endArray();
    return Arrays.copyOf(numbers, count);
  }

  private static long number(String name, JsonReader reader) throws IOException {
    if (reader.peek() != JsonToken.NUMBER) {
      throw new IOException(
          "the tensor " + quoted(name) + " has a " + reader.peek() + " where a number should be");
    }
    String digits = reader.nextString();
    try {
      long number = Long.parseLong(digits);
      if (number >= 0) {
        return number;
      }
    } catch (NumberFormatException e) {
      // A fraction, or more than a long holds: said below.
    }
    throw new IOException(
        "the tensor "
            + quoted(name)
            + " has the number "
            + shortened(digits)
            + ", which is no size");
  }

  /** What a later version of the format may say of a tensor; nothing is looked for in depth. */
  private static void skipValue(String name, JsonReader reader) throws IOException {
    JsonToken token = reader.peek();
    if (token == JsonToken.BEGIN_ARRAY || token == JsonToken.BEGIN_OBJECT) {
      throw new IOException("the tensor " + quoted(name) + " has a field that is not known");
    }
    reader.skipValue();
  }

  private static void requireOneAfterTheOther(List<Entry> entries, long start, long size)
      throws IOException {
    long at = start;
    for (Entry entry : entries) {
      if (entry.end() > size) {
        throw new IOException(
            "the tensor "
                + entry
                + " ends at byte "
                + entry.end()
                + ", but the file has "
                + size
                + "; it may have been cut");
      }
      if (entry.begin() != at) {
        throw new IOException(
            "the tensor "
                + entry
                + " begins at byte "
                + entry.begin()
                + (entry.begin() < at ? ", within another one" : ", behind a hole")
                + " up to byte "
                + at);
      }
      at = entry.end();
    }
    if (at != size) {
      throw new IOException("its tensors end at byte " + at + ", but the file has " + size);
    }
  }

  private static String quoted(String name) {
    return '"' + shortened(name) + '"';
  }

  private static String shortened(String text) {
    return text.length() <= MOST_OF_A_NAME ? text : text.substring(0, MOST_OF_A_NAME) + "...";
  }
}
