package io.nativenorm;

/**
 * The type of a tensor's elements. Statistics and parameters are {@link #F32} whatever it is,
 * counts are {@link #I64}.
 */
public enum DataType {
  /** IEEE 754 binary32. */
  F32(4),
  /** bfloat16: the upper half of a binary32. */
  BF16(2),
  /** IEEE 754 binary16. */
  F16(2),
  /** Signed 8-bit integer. */
  S8(1),
  /** Unsigned 8-bit integer. */
  U8(1),
  /** Signed 64-bit integer: counts. */
  I64(8);

  private final int bytes;

  DataType(int bytes) {
    this.bytes = bytes;
  }

  /**
   * The size of one element.
   *
   * @return bytes an element takes
   */
  public int bytes() {
    return bytes;
  }
}
