package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Shape;
import io.nativenorm.engine.memory.Bytes;
import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;

/** What a mask counts in an input, as it was when it was looked at: a byte for each position. */
final class CountedPositions implements AutoCloseable {
  /** Bytes that are copied at once. */
  private static final int CHUNK = 1 << 16;

  private final Tensor bytes;

  /** How many count, of each sample. */
  private final long[] ofSample;

  private CountedPositions(Tensor bytes, long[] ofSample) {
    this.bytes = bytes;
    this.ofSample = ofSample;
  }

  /** Of a mask whose tensor is in use, and that fits the input. */
  static CountedPositions of(Mask mask, Shape shape, long[] extents) {
    int samples = Math.toIntExact(shape.elements() == 0 ? 0 : shape.batch());
    Tensor bytes =
        Tensor.uninitialized(
            DataType.U8, Layout.CHANNELS_FIRST, new long[] {samples, shape.spatial()});
    CountedPositions made = new CountedPositions(bytes, new long[samples]);
    try {
      boolean hasLengths = mask.perSample() != null && samples > 0;
      made.take(mask, hasLengths ? shape.spatial() / extents[2] : 1);
      return made;
    } catch (RuntimeException | Error e) {
      made.close();
      throw e;
    }
  }

  /**
   * Takes a mask by chunks, whatever the samples: each is a call into native memory, of which a
   * mask of (N, C) would have two for each byte.
   */
  private void take(Mask mask, long positionsOfLength) {
    long[] lengths = mask.perSample();
    long all = bytes.size();
    long spatial = bytes.extents()[1];
    byte[] chunk = new byte[(int) Math.min(CHUNK, all)];
    for (long at = 0; at < all; at += chunk.length) {
      int count = (int) Math.min(chunk.length, all - at);
      if (lengths == null) {
        Bytes.read(mask.tensor().memory(), at, chunk, count);
      }
      for (int begin = 0, end; begin < count; begin = end) {
        int sample = (int) ((at + begin) / spatial);
        long position = (at + begin) % spatial;
        end = (int) Math.min(count, begin + spatial - position);
        if (lengths != null) {
          long left = lengths[sample] * positionsOfLength - position;
          int middle = begin + (int) Math.max(0, Math.min(end - begin, left));
          Arrays.fill(chunk, begin, middle, (byte) 1);
          Arrays.fill(chunk, middle, end, (byte) 0);
        }
        for (int i = begin; i < end; i++) {
          ofSample[sample] += chunk[i] != 0 ? 1 : 0;
        }
      }
      Bytes.write(bytes.memory(), at, chunk, count);
    }
  }

  Memory memory() {
    return bytes.memory();
  }

  /** How many positions count, of each sample. */
  long[] ofSample() {
    return ofSample;
  }

  /** The same of all. */
  long all() {
    return Arrays.stream(ofSample).sum();
  }

  /** Takes a pass's statistics into running ones. */
  void update(RunningStatistics running, PassState pass) {
    Memory means = pass.mean.memory();
    Memory variances = pass.variance.memory();
    if (pass.problem.norm().operation() != Operation.BATCH) {
      running.update(means, variances, ofSample);
    } else if (all() > 0) {
      running.update(means, variances, all());
    }
  }

  @Override
  public void close() {
    bytes.close();
  }
}
