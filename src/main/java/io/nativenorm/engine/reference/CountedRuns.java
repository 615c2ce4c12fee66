package io.nativenorm.engine.reference;

import io.nativenorm.Layout;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Units;
import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.RunsView;
import java.util.Arrays;
import java.util.function.LongConsumer;

/**
 * What a mask counts, as runs of neighbours: of one sample, or for batch normalization of all. They
 * are summed up as if they followed each other.
 */
final class CountedRuns {
  private final Shape shape;
  private final boolean batch;
  private final boolean channelsFirst;
  private final Units units;
  private final FloatView mask;

  /** Those of the sample that was asked for last; -1 for none. */
  private long sample = -1;

  private long positions;
  private long[] starts = new long[16];
  private long[] ends = new long[16];
  private int runs;

  CountedRuns(Problem problem, Operands operands) {
    shape = problem.shape();
    batch = problem.norm().operation() == Operation.BATCH;
    channelsFirst = shape.layout() == Layout.CHANNELS_FIRST;
    units = Units.of(problem);
    mask = operands.view(Slot.MASK);
  }

  /** How many positions count, of a sample, or of all for batch normalization. */
  long positions(long ofSample) {
    find(batch ? 0 : ofSample);
    return positions;
  }

  /** The same of a unit. */
  long positionsOfUnit(long unit) {
    return positions(unit / units.perSample());
  }

  /** How many values count, of a unit. */
  long values(long unit) {
    return positionsOfUnit(unit) * (batch ? 1 : shape.channels() / shape.groups());
  }

  /** The mask of some elements of a channels-first row, from one of the tensor on. */
  void read(long at, float[] into, int count) {
    long s = shape.spatial();
    mask.read(at / (shape.channels() * s) * s + at % s, into, 0, count);
  }

  /** Whether the position of a channels-last element counts. */
  boolean isCounted(long at) {
    return mask.get(at / shape.channels()) != 0;
  }

  /** What counts of a channels-first unit. */
  FloatView ofUnit(FloatView x, long unit) {
    find(batch ? 0 : unit / units.perSample());
    return new RunsView(x, starts, ends, runs, units.offset(unit));
  }

  /** The rows that count of a channels-last sample, which for batch normalization is the whole. */
  FloatView ofSample(FloatView x, long ofSample) {
    find(ofSample);
    long elements = shape.spatial() * shape.channels();
    return new RunsView(x, starts, ends, runs, ofSample * elements);
  }

  /** A unit with what counts in it. */
  ExactUnit exact(long unit) {
    long first = batch ? 0 : unit / units.perSample() * shape.spatial();
    long outer = batch ? shape.spatial() : channelsFirst ? 0 : 1;
    long inner = batch || channelsFirst ? 1 : 0;
    return new ExactUnit(
        Unit.of(units, unit), (i, j) -> mask.get(first + i * outer + j * inner) != 0);
  }

  /** Whether something is 0 at all positions that do not count. */
  boolean isZeroInPadding(FloatView values) {
    boolean[] zero = {true};
    forPadding(at -> zero[0] &= values.get(at) == 0);
    return zero[0];
  }

  void clearPadding(FloatView values) {
    forPadding(at -> values.put(at, 0));
  }

  private void forPadding(LongConsumer body) {
    long c = shape.channels();
    long s = shape.spatial();
    for (long at = 0; at < shape.batch() * s; at++) {
      for (long k = 0; mask.get(at) == 0 && k < c; k++) {
        body.accept(channelsFirst ? at / s * c * s + k * s + at % s : at * c + k);
      }
    }
  }

  private void find(long ofSample) {
    if (sample == ofSample) {
      return;
    }
    sample = ofSample;
    positions = 0;
    runs = 0;
    long item = channelsFirst ? 1 : shape.channels();
    long elements = shape.channels() * shape.spatial();
    for (long n = 0; batch && n < shape.batch(); n++) {
      add(n * shape.spatial(), n * elements, item);
    }
    long rows = batch ? 0 : channelsFirst ? units.outer() : 1;
    for (long row = 0; row < rows; row++) {
      add(ofSample * shape.spatial(), row * shape.spatial(), item);
    }
    positions /= Math.max(rows, 1);
  }

  /** Adds the runs of a sample's mask, of items from an element on. */
  private void add(long from, long element, long item) {
    long begin = 0;
    while (begin < shape.spatial()) {
      if (mask.get(from + begin) == 0) {
        begin++;
        continue;
      }
      long end = begin + 1;
      while (end < shape.spatial() && mask.get(from + end) != 0) {
        end++;
      }
      if (runs == starts.length) {
        starts = Arrays.copyOf(starts, 2 * runs);
        ends = Arrays.copyOf(ends, 2 * runs);
      }
      starts[runs] = element + begin * item;
      ends[runs] = (runs == 0 ? 0 : ends[runs - 1]) + (end - begin) * item;
      runs++;
      positions += end - begin;
      begin = end;
    }
  }
}
