package io.nativenorm;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Safetensors files byte by byte, right or wrong, without the code that writes them. */
final class SafetensorsBytes {
  private final List<String> entries = new ArrayList<>();
  private final ByteArrayOutputStream data = new ByteArrayOutputStream();

  /** The bytes of a header's length, a header and data, whatever they are. */
  static byte[] of(String header, byte[] data) {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    return of(text.length, text, data);
  }

  static byte[] of(long length, byte[] header, byte[] data) {
    ByteBuffer file = ByteBuffer.allocate(8 + header.length + data.length);
    return file.order(ByteOrder.LITTLE_ENDIAN).putLong(length).put(header).put(data).array();
  }

  /** One more tensor behind the others. */
  SafetensorsBytes add(String name, String type, String shape, byte[] elements) {
    int from = data.size();
    data.writeBytes(elements);
    entries.add(entry(name, type, shape, from, data.size()));
    return this;
  }

  static String entry(String name, String type, String shape, long from, long to) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
        .formatted(name, type, shape, from, to);
  }

  SafetensorsBytes add(String name, float... values) {
    return add(name, "F32", "[" + values.length + "]", floats(values));
  }

  static byte[] floats(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  static byte[] longs(long... values) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asLongBuffer().put(values);
    return bytes.array();
  }

  static byte[] shorts(short... values) {
    ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asShortBuffer().put(values);
    return bytes.array();
  }

  String header() {
    return "{" + String.join(",", entries) + "}";
  }

  byte[] data() {
    return data.toByteArray();
  }

  /** The file, its data at a multiple of 8 and some bytes more. */
  byte[] file(int misaligned) {
    String header = header();
    int spaces = Math.floorMod(misaligned - header.length(), 8);
    return of(header + " ".repeat(spaces), data());
  }
}
