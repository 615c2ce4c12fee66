package io.nativenorm.engine.memory;

import io.nativenorm.DataType;

/**
 * Rows that do not all follow each other, as if they did: {@code together} of them do, the next
 * ones begin {@code stride} elements after the first of these.
 */
public final class RowsView extends FloatView {
  private final FloatView whole;
  private final long run;
  private final long stride;

  /**
   * A view of the rows in a memory.
   *
   * @param whole all elements from the first row's on, also those between rows
   * @param length elements of a row
   * @param together rows that follow each other
   * @param stride elements from the first of some rows to the first of the next ones
   */
  public RowsView(FloatView whole, long length, long together, long stride) {
    this.whole = whole;
    run = length * together;
    this.stride = stride;
  }

  private long place(long index) {
    return index / run * stride + index % run;
  }

  @Override
  boolean isOf(DataType type) {
    return whole.isOf(type);
  }

  @Override
  public float get(long index) {
    return whole.get(place(index));
  }

  @Override
  public void put(long index, float value) {
    whole.put(place(index), value);
  }

  @Override
  void move(long index, FloatView from, long at) {
    whole.move(place(index), from, at);
  }

  @Override
  void readPart(int part, int start, float[] into, int offset, int length) {
    long at = startOf(part) + start;
    for (int done = 0; done < length; ) {
      int count = (int) Math.min(length - done, run - (at + done) % run);
      whole.read(place(at + done), into, offset + done, count);
      done += count;
    }
  }

  @Override
  void writePart(int part, int start, float[] from, int offset, int length) {
    long at = startOf(part) + start;
    for (int done = 0; done < length; ) {
      int count = (int) Math.min(length - done, run - (at + done) % run);
      whole.write(place(at + done), from, offset + done, count);
      done += count;
    }
  }
}
