package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.FloatBuffer;

/** Copies of elements as floats and in other types, each rounded once where it is written. */
public final class Conversion {
  /** Elements that are converted at once: 16 KB of floats. */
  private static final int CHUNK = 1 << 12;

  private Conversion() {}

  /**
   * Copies all elements, bit by bit where the type is the same; each is rounded once.
   *
   * @param from where they are
   * @param to as many, which do not overlap
   * @throws IllegalArgumentException if a long cannot be what an element is; some were copied then
   */
  public static void copy(Memory from, Memory to) {
    if (from.type() == to.type()) {
      from.copyTo(to);
      return;
    }
    float[] chunk = new float[(int) Math.min(CHUNK, from.elements())];
    for (long at = 0; at < from.elements(); at += chunk.length) {
      int count = (int) Math.min(chunk.length, from.elements() - at);
      if (from.type() == DataType.I64 && to.type() != DataType.F32) {
        Longs.readForRounding(from, at, chunk, count);
      } else {
        read(from, at, chunk, count);
      }
      if (from.type() == DataType.BF16) {
        makeQuiet(chunk, count);
      }
      write(to, at, chunk, count);
    }
  }

  /** Copies from buffers to buffers. */
  static void copyBits(Memory from, Memory to) {
    boolean ofFloats = Memory.isOfFloats(from.type());
    long all = ofFloats ? from.floats() : from.elements();
    for (long at = 0; at < all; at += FloatView.PART) {
      int count = (int) Math.min(FloatView.PART, all - at);
      if (ofFloats) {
        to.floats(at, count).put(from.floats(at, count));
      } else {
        to.shorts(at, count).put(from.shorts(at, count));
      }
    }
  }

  /** BF16 is widened by a shift, which keeps a signaling NaN; F16's view makes it quiet. */
  private static void makeQuiet(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      if (Float.isNaN(values[i])) {
        values[i] = Float.intBitsToFloat(Float.floatToRawIntBits(values[i]) | 0x40_0000);
      }
    }
  }

  /**
   * Copies elements out.
   *
   * @param memory where they are
   * @param start the first of them
   * @param into where they go, from 0 on
   * @param count how many
   */
  public static void read(Memory memory, long start, float[] into, int count) {
    if (memory.type() == DataType.I64) {
      Longs.read(memory, start, into, count);
    } else {
      memory.read(start, into, 0, count);
    }
  }

  /**
   * Copies elements in: all of them or, if a long cannot be what one is, nothing.
   *
   * @param memory where they go
   * @param start the first of them
   * @param from where they are, from 0 on; nobody else may write there
   * @param count how many
   * @throws IllegalArgumentException if a long cannot be what one of them is
   */
  public static void write(Memory memory, long start, float[] from, int count) {
    if (memory.type() == DataType.I64) {
      Longs.write(memory, start, from, count);
    } else {
      memory.write(start, from, 0, count);
    }
  }

  /**
   * Copies elements in: all of them or, if a long cannot be what one is, nothing.
   *
   * @param memory where they go, from its first element on
   * @param from as many as it has, from 0 to the capacity
   * @throws IllegalArgumentException if a long cannot be what one of them is
   */
  public static void write(Memory memory, FloatBuffer from) {
    // Longs all at once: whether they can be what they are is looked at before they are written.
    int step = memory.type() == DataType.I64 ? from.capacity() : CHUNK;
    float[] chunk = new float[Math.min(step, from.capacity())];
    for (int at = 0; at < from.capacity(); at += chunk.length) {
      int count = Math.min(chunk.length, from.capacity() - at);
      from.get(at, chunk, 0, count);
      write(memory, at, chunk, count);
    }
  }
}
