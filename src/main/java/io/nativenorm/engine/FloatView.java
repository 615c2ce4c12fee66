package io.nativenorm.engine;

import java.nio.FloatBuffer;

/**
 * Element by element access to native floats. JavaCPP's indexers do the same over {@code
 * sun.misc.Unsafe}, which makes JDK 24 and later print warnings.
 */
public final class FloatView {
  /** A buffer addresses 2^31 - 1 bytes at most. */
  private static final int PART_BITS = 28;

  private static final int PART = 1 << PART_BITS;

  private final FloatBuffer[] parts;

  /**
   * A view of all floats of a pointer.
   *
   * @param floats the memory, which must stay valid while the view is used
   */
  public FloatView(NativeFloats floats) {
    long count = floats.capacity();
    parts = new FloatBuffer[(int) ((count + PART - 1) >>> PART_BITS)];
    for (int i = 0; i < parts.length; i++) {
      long start = (long) i << PART_BITS;
      parts[i] = floats.slice(start, Math.min(PART, count - start)).asBuffer();
    }
  }

  /**
   * A view, or nothing of nothing.
   *
   * @param floats the memory or null
   * @return a view or null
   */
  public static FloatView of(NativeFloats floats) {
    return floats == null ? null : new FloatView(floats);
  }

  /**
   * Reads an element.
   *
   * @param index its position
   * @return its value
   */
  public float get(long index) {
    return parts[(int) (index >>> PART_BITS)].get((int) index & PART - 1);
  }

  /**
   * Writes an element.
   *
   * @param index its position
   * @param value its new value
   */
  public void put(long index, float value) {
    parts[(int) (index >>> PART_BITS)].put((int) index & PART - 1, value);
  }
}
