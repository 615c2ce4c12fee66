package io.nativenorm.gloo;

import io.nativenorm.ExchangeException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Why an exchange is dead.
 *
 * @param rank whose fault it is
 * @param message in words that begin with it
 * @param cause what Gloo said, or null; other workers are not told
 */
record Failure(int rank, String message, @Nullable Throwable cause) {
  /** What a message to another worker takes at most. */
  static final int LARGEST = 1024;

  static Failure of(int rank, String what) {
    return new Failure(rank, "rank " + rank + " " + what, null);
  }

  ExchangeException at(Object exchange) {
    return new ExchangeException(exchange + ": " + message, rank, cause);
  }

  void write(ByteBuffer to) {
    byte[] bytes = message.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, LARGEST - 2 * Integer.BYTES);
    to.clear().putInt(rank).putInt(length).put(bytes, 0, length);
  }

  static Failure read(ByteBuffer from) {
    int rank = from.clear().getInt();
    byte[] bytes = new byte[from.getInt()];
    from.get(bytes);
    return new Failure(rank, new String(bytes, StandardCharsets.UTF_8), null);
  }
}
