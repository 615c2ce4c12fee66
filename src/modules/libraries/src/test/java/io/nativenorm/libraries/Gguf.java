package io.nativenorm.libraries;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Small files of llama.cpp's format, version 3, with floats of one dimension, and where they lie.
 */
final class Gguf {
  private static final int MAGIC = 0x46554747; // GGUF
  private static final int VERSION = 3;
  private static final int STRING = 8;
  private static final int F32 = 0;

  /** Of the data, and of each tensor in it, unless the file says otherwise. */
  private static final int ALIGNMENT = 32;

  private Gguf() {}

  static Path write(Path file, Map<String, float[]> tensors) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putInt(MAGIC).putInt(VERSION).putLong(tensors.size()).putLong(1);
    put(bytes, "general.architecture");
    put(bytes.putInt(STRING), "llama");
    long offset = 0;
    for (Map.Entry<String, float[]> tensor : tensors.entrySet()) {
      put(bytes, tensor.getKey());
      bytes.putInt(1).putLong(tensor.getValue().length).putInt(F32).putLong(offset);
      offset = aligned(offset + (long) tensor.getValue().length * Float.BYTES);
    }
    for (float[] values : tensors.values()) {
      bytes.position((int) aligned(bytes.position()));
      for (float value : values) {
        bytes.putFloat(value);
      }
    }
    byte[] all = new byte[bytes.position()];
    bytes.get(0, all);
    return Files.write(file, all);
  }

  /** From the file's beginning on. */
  static Map<String, Long> offsets(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer bytes =
          channel
              .map(FileChannel.MapMode.READ_ONLY, 0, channel.size())
              .order(ByteOrder.LITTLE_ENDIAN);
      if (bytes.getInt() != MAGIC || bytes.getInt() != VERSION) {
        throw new IOException(file + " is not of this format");
      }
      long tensors = bytes.getLong();
      long values = bytes.getLong();
      for (long i = 0; i < values; i++) {
        text(bytes);
        if (bytes.getInt() != STRING) {
          throw new IOException("only texts are written here");
        }
        text(bytes);
      }
      Map<String, Long> offsets = new LinkedHashMap<>();
      for (long i = 0; i < tensors; i++) {
        String name = text(bytes);
        int dimensions = bytes.getInt();
        bytes.position(bytes.position() + dimensions * Long.BYTES + Integer.BYTES); // and the type
        offsets.put(name, bytes.getLong());
      }
      long data = aligned(bytes.position());
      offsets.replaceAll((name, offset) -> data + offset);
      return offsets;
    }
  }

  private static void put(ByteBuffer bytes, String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    bytes.putLong(utf8.length).put(utf8);
  }

  private static String text(ByteBuffer bytes) {
    byte[] utf8 = new byte[(int) bytes.getLong()];
    bytes.get(utf8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  private static long aligned(long offset) {
    return (offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
}
