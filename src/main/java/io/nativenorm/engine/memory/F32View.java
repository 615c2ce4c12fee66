package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.FloatBuffer;

/** Floats as they are, also those that an I64 element is two of. */
final class F32View extends FloatView {
  private final FloatBuffer[] parts;

  F32View(Memory memory) {
    long count = memory.bytes() / Float.BYTES;
    parts = new FloatBuffer[parts(count)];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = memory.floats(startOf(i), lengthOf(i, count));
    }
  }

  @Override
  boolean isOf(DataType type) {
    return Memory.isOfFloats(type);
  }

  @Override
  public float get(long index) {
    return parts[part(index)].get(inPart(index));
  }

  @Override
  public void put(long index, float value) {
    parts[part(index)].put(inPart(index), value);
  }

  @Override
  void move(long index, FloatView from, long at) {
    put(index, from.get(at));
  }

  @Override
  void readPart(int part, int start, float[] into, int offset, int length) {
    parts[part].get(start, into, offset, length);
  }

  @Override
  void writePart(int part, int start, float[] from, int offset, int length) {
    parts[part].put(start, from, offset, length);
  }
}
