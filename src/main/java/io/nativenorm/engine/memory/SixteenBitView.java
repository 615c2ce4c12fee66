package io.nativenorm.engine.memory;

import java.nio.ShortBuffer;

/** Elements of 16 bits, which are widened exactly and rounded to the nearest, ties to even. */
abstract class SixteenBitView extends FloatView {
  private final ShortBuffer[] parts;

  SixteenBitView(Memory memory) {
    long count = memory.bytes() / Short.BYTES;
    parts = new ShortBuffer[parts(count)];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = memory.shorts(startOf(i), lengthOf(i, count));
    }
  }

  abstract float widen(short bits);

  abstract short round(float value);

  @Override
  public final float get(long index) {
    return widen(parts[part(index)].get(inPart(index)));
  }

  @Override
  public final void put(long index, float value) {
    parts[part(index)].put(inPart(index), round(value));
  }

  @Override
  final void move(long index, FloatView from, long at) {
    short bits = ((SixteenBitView) from).parts[part(at)].get(inPart(at));
    parts[part(index)].put(inPart(index), bits);
  }

  @Override
  final void readPart(int part, int start, float[] into, int offset, int length) {
    ShortBuffer from = parts[part];
    for (int i = 0; i < length; i++) {
      into[offset + i] = widen(from.get(start + i));
    }
  }

  @Override
  final void writePart(int part, int start, float[] from, int offset, int length) {
    ShortBuffer to = parts[part];
    for (int i = 0; i < length; i++) {
      to.put(start + i, round(from[offset + i]));
    }
  }
}
