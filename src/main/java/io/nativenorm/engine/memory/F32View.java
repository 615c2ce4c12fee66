package io.nativenorm.engine.memory;

import java.nio.FloatBuffer;

/** Floats as they are, also those that an I64 element is two of. */
final class F32View extends FloatView {
  /** A buffer addresses 2^31 - 1 bytes at most. */
  private static final int PART_BITS = 28;

  private static final int PART = 1 << PART_BITS;

  /** What is copied in one step: 1 MB, since a copy holds off the collector until it is done. */
  private static final int CHUNK = 1 << 18;

  private final FloatBuffer[] parts;

  F32View(Memory memory) {
    long count = memory.bytes() / Float.BYTES;
    parts = new FloatBuffer[(int) ((count + PART - 1) >>> PART_BITS)];
    for (int i = 0; i < parts.length; i++) {
      long start = (long) i << PART_BITS;
      parts[i] = memory.floats(start, (int) Math.min(PART, count - start));
    }
  }

  @Override
  public float get(long index) {
    return parts[(int) (index >>> PART_BITS)].get((int) index & PART - 1);
  }

  @Override
  public void put(long index, float value) {
    parts[(int) (index >>> PART_BITS)].put((int) index & PART - 1, value);
  }

  @Override
  public void read(long start, float[] into, int offset, int length) {
    for (int done = 0; done < length; ) {
      long at = start + done;
      int count = stepFrom(at, length - done);
      parts[(int) (at >>> PART_BITS)].get((int) at & PART - 1, into, offset + done, count);
      done += count;
    }
  }

  @Override
  public void write(long start, float[] from, int offset, int length) {
    for (int done = 0; done < length; ) {
      long at = start + done;
      int count = stepFrom(at, length - done);
      parts[(int) (at >>> PART_BITS)].put((int) at & PART - 1, from, offset + done, count);
      done += count;
    }
  }

  /** How many floats the next step copies: never over the end of a part. */
  private static int stepFrom(long at, int left) {
    int inPart = PART - ((int) at & PART - 1);
    return Math.min(Math.min(left, CHUNK), inPart);
  }
}
