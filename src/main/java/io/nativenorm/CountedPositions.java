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
    byte[] chunk = new byte[(int) Math.min(CHUNK, shape.spatial())];
    for (int n = 0; n < samples; n++) {
      if (mask.perSample() != null) {
        made.takeLength(n, mask.perSample()[n] * (shape.spatial() / extents[2]), chunk);
      } else {
        made.take(n, mask.tensor().memory(), chunk);
      }
    }
    return made;
  }

  private void takeLength(int sample, long length, byte[] chunk) {
    long spatial = bytes.extents()[1];
    ofSample[sample] = length;
    for (long at = 0; at < spatial; at += chunk.length) {
      int count = (int) Math.min(chunk.length, spatial - at);
      int counted = (int) Math.max(0, Math.min(count, length - at));
      Arrays.fill(chunk, 0, counted, (byte) 1);
      Arrays.fill(chunk, counted, count, (byte) 0);
      Bytes.write(bytes.memory(), sample * spatial + at, chunk, count);
    }
  }

  private void take(int sample, Memory from, byte[] chunk) {
    long spatial = bytes.extents()[1];
    for (long at = 0; at < spatial; at += chunk.length) {
      int count = (int) Math.min(chunk.length, spatial - at);
      Bytes.read(from, sample * spatial + at, chunk, count);
      int counted = 0;
      for (int i = 0; i < count; i++) {
        counted += chunk[i] != 0 ? 1 : 0;
      }
      ofSample[sample] += counted;
      Bytes.write(bytes.memory(), sample * spatial + at, chunk, count);
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
