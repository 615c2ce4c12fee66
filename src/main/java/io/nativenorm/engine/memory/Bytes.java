package io.nativenorm.engine.memory;

/** Elements of 8 bits, as they are. */
public final class Bytes {
  private Bytes() {}

  /**
   * Copies some elements out.
   *
   * @param memory of elements of one byte
   * @param start the first of them
   * @param into gets them from its beginning on
   * @param count how many
   */
  public static void read(Memory memory, long start, byte[] into, int count) {
    memory.bytes(start, count).get(0, into, 0, count);
  }

  /**
   * Copies an array's beginning in.
   *
   * @param memory of elements of one byte
   * @param start the first that is written
   * @param from the new elements
   * @param count how many
   */
  public static void write(Memory memory, long start, byte[] from, int count) {
    memory.bytes(start, count).put(0, from, 0, count);
  }
}
