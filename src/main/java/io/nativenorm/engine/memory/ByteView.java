package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.nio.ByteBuffer;

/** Whole numbers of 8 bits, signed or not, whose range is not looked at here. */
final class ByteView extends FloatView {
  private final ByteBuffer[] parts;
  private final DataType type;

  /** What of a byte is the number: all bits of one that is unsigned, in an int. */
  private final int mask;

  ByteView(Memory memory, DataType type) {
    long count = memory.bytes();
    this.type = type;
    mask = type == DataType.U8 ? 0xFF : ~0;
    parts = new ByteBuffer[parts(count)];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = memory.bytes(startOf(i), lengthOf(i, count));
    }
  }

  @Override
  boolean isOf(DataType other) {
    return type == other;
  }

  @Override
  public float get(long index) {
    return parts[part(index)].get(inPart(index)) & mask;
  }

  @Override
  public void put(long index, float value) {
    parts[part(index)].put(inPart(index), (byte) (int) value);
  }

  @Override
  void move(long index, FloatView from, long at) {
    put(index, from.get(at));
  }

  @Override
  void readPart(int part, int start, float[] into, int offset, int length) {
    ByteBuffer from = parts[part];
    for (int i = 0; i < length; i++) {
      into[offset + i] = from.get(start + i) & mask;
    }
  }

  @Override
  void writePart(int part, int start, float[] from, int offset, int length) {
    ByteBuffer to = parts[part];
    for (int i = 0; i < length; i++) {
      to.put(start + i, (byte) (int) from[offset + i]);
    }
  }
}
