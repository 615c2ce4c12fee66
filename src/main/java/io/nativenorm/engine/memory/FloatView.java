package io.nativenorm.engine.memory;

/**
 * Access to native elements as floats, one by one or some at once; the memory must stay reachable
 * while its view is used. JavaCPP's indexers do the same over {@code sun.misc.Unsafe}, which makes
 * JDK 24 and later print warnings.
 */
public abstract class FloatView {
  FloatView() {}

  /**
   * Reads an element.
   *
   * @param index its position
   * @return its value
   */
  public abstract float get(long index);

  /**
   * Writes an element.
   *
   * @param index its position
   * @param value its new value
   */
  public abstract void put(long index, float value);

  /**
   * Copies elements out.
   *
   * @param start the first of them
   * @param into where they go, from {@code offset} on
   * @param offset first place in the array
   * @param length how many
   */
  public abstract void read(long start, float[] into, int offset, int length);

  /**
   * Copies elements in.
   *
   * @param start the first place for them
   * @param from where they come from, from {@code offset} on
   * @param offset the first of them in the array
   * @param length how many
   */
  public abstract void write(long start, float[] from, int offset, int length);
}
