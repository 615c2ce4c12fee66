package io.nativenorm.engine.memory;

import io.nativenorm.DataType;
import java.util.Arrays;

/** Runs of elements that do not follow each other, as if they did. */
public final class RunsView extends FloatView {
  private final FloatView whole;
  private final long[] starts;
  private final long[] ends;
  private final int runs;
  private final long shift;

  /**
   * A view of some elements in a memory.
   *
   * @param whole all elements
   * @param starts where each run begins, behind {@code shift}
   * @param ends how many elements there are up to the end of each run
   * @param runs how many of these
   * @param shift what all runs begin behind
   */
  public RunsView(FloatView whole, long[] starts, long[] ends, int runs, long shift) {
    this.whole = whole;
    this.starts = starts;
    this.ends = ends;
    this.runs = runs;
    this.shift = shift;
  }

  /** The run that an element is in. */
  private int runOf(long index) {
    int found = Arrays.binarySearch(ends, 0, runs, index);
    return found < 0 ? -found - 1 : found + 1;
  }

  private long place(int run, long index) {
    return shift + starts[run] + index - (run == 0 ? 0 : ends[run - 1]);
  }

  @Override
  boolean isOf(DataType type) {
    return whole.isOf(type);
  }

  @Override
  public float get(long index) {
    return whole.get(place(runOf(index), index));
  }

  @Override
  public void put(long index, float value) {
    whole.put(place(runOf(index), index), value);
  }

  @Override
  void move(long index, FloatView from, long at) {
    whole.move(place(runOf(index), index), from, at);
  }

  @Override
  void readPart(int part, int start, float[] into, int offset, int length) {
    long at = startOf(part) + start;
    int run = runOf(at);
    for (int done = 0; done < length; run++) {
      int count = (int) Math.min(length - done, ends[run] - (at + done));
      long place = place(run, at + done);
      if (count == 1) {
        into[offset + done] = whole.get(place);
      } else {
        whole.read(place, into, offset + done, count);
      }
      done += count;
    }
  }

  @Override
  void writePart(int part, int start, float[] from, int offset, int length) {
    long at = startOf(part) + start;
    int run = runOf(at);
    for (int done = 0; done < length; run++) {
      int count = (int) Math.min(length - done, ends[run] - (at + done));
      whole.write(place(run, at + done), from, offset + done, count);
      done += count;
    }
  }
}
