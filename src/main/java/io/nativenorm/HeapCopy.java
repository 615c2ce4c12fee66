package io.nativenorm;

import io.nativenorm.engine.NativeFloats;
import java.nio.FloatBuffer;

/** Copies between heap arrays and native memory. */
final class HeapCopy {
  /** A buffer addresses 2^31 - 1 bytes at most, an array up to 2^33. */
  private static final int CHUNK = 1 << 28;

  private HeapCopy() {}

  static void in(float[] from, NativeFloats to) {
    for (int start = 0; start < from.length; start += Math.min(CHUNK, from.length - start)) {
      buffer(to, start, from.length).put(from, start, Math.min(CHUNK, from.length - start));
    }
  }

  static void out(NativeFloats from, float[] to) {
    for (int start = 0; start < to.length; start += Math.min(CHUNK, to.length - start)) {
      buffer(from, start, to.length).get(to, start, Math.min(CHUNK, to.length - start));
    }
  }

  private static FloatBuffer buffer(NativeFloats memory, int start, int end) {
    return memory.slice(start, Math.min(CHUNK, end - start)).asBuffer();
  }
}
