package io.nativenorm.gloo;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/**
 * A worker's call as the others get it, in one message: the step and how many values there are,
 * then the values. So calls that differ are seen by all before a value is read.
 */
final class Frame {
  private static final int HEADER = 2 * Integer.BYTES;

  private final String step;
  private final byte[] name;
  private final double[] values;

  /** Copies the values. */
  Frame(String step, double[] values) {
    this.step = Objects.requireNonNull(step, "step");
    this.values = Objects.requireNonNull(values, "mine").clone();
    name = step.getBytes(StandardCharsets.UTF_8);
    if (offset() + (long) Double.BYTES * values.length > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "expected fewer than 2^28 values, but got " + values.length);
    }
  }

  double[] values() {
    return values;
  }

  /** All of it. */
  int bytes() {
    return offset() + Double.BYTES * values.length;
  }

  /** Of the values. */
  private int offset() {
    return (HEADER + name.length + Double.BYTES - 1) / Double.BYTES * Double.BYTES;
  }

  /**
   * Writes the call, or without room for all of it how much there is and how the step begins.
   *
   * @return how many bytes it took
   */
  int write(ByteBuffer to) {
    to.clear().putInt(values.length).putInt(name.length);
    if (bytes() > to.capacity()) {
      return to.put(name, 0, Math.min(name.length, to.remaining())).position();
    }
    to.put(name).position(offset()).asDoubleBuffer().put(values);
    return bytes();
  }

  /** Whether it is of a worker at this call too, as far as there was room. */
  boolean isLike(ByteBuffer other) {
    byte[] theirs = nameIn(other);
    return other.getInt(0) == values.length
        && other.getInt(Integer.BYTES) == name.length
        && Arrays.equals(theirs, Arrays.copyOf(name, theirs.length));
  }

  /** The values of a worker at this call too. */
  double[] valuesIn(ByteBuffer other) {
    double[] theirs = new double[values.length];
    other.clear().position(offset()).asDoubleBuffer().get(theirs);
    return theirs;
  }

  private static byte[] nameIn(ByteBuffer frame) {
    frame.clear().position(HEADER);
    byte[] name = new byte[Math.min(frame.getInt(Integer.BYTES), frame.remaining())];
    frame.get(name);
    return name;
  }

  /** The call that a frame is of, in words. */
  static String toString(ByteBuffer frame) {
    return new String(nameIn(frame), StandardCharsets.UTF_8) + " of " + frame.getInt(0) + " values";
  }

  /** The step. */
  @Override
  public String toString() {
    return step;
  }
}
