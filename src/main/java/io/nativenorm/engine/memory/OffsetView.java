package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/** Floats with a number added to each as it is read, rounded once. */
public final class OffsetView extends FloatView {
  private final FloatView values;
  private final float offset;

  /**
   * A view of what others write.
   *
   * @param values what the number is added to
   * @param offset the number
   */
  public OffsetView(FloatView values, float offset) {
    this.values = values;
    this.offset = offset;
  }

  @Override
  boolean isOf(DataType type) {
    return false;
  }

  @Override
  public float get(long index) {
    return values.get(index) + offset;
  }

  @Override
  public void put(long index, float value) {
    throw new UnsupportedOperationException();
  }

  @Override
  void move(long index, FloatView from, long at) {
    throw new UnsupportedOperationException();
  }

  @Override
  void readPart(int part, int start, float[] into, int offset, int length) {
    values.read(startOf(part) + start, into, offset, length);
    for (int i = offset; i < offset + length; i++) {
      into[i] += this.offset;
    }
  }

  @Override
  void writePart(int part, int start, float[] from, int offset, int length) {
    throw new UnsupportedOperationException();
  }
}
