package io.nativenorm.engine.onednn;

import io.nativenorm.engine.memory.Memory;

/**
 * max(0, y) and its gradient, in place, with NaN staying NaN. oneDNN's own does not do: both its
 * eltwise primitive and BatchNorm's fused one make 0 of NaN in their JIT kernels. Blocks go through
 * heap arrays, whose loops the JVM vectorizes.
 */
final class Relu {
  /** Two blocks of 16 KB stay in the L1 cache. */
  private static final int BLOCK = 4096;

  private Relu() {}

  /** y = max(0, y). */
  static void apply(Memory y, long count) {
    float[] block = new float[(int) Math.min(count, BLOCK)];
    for (long start = 0; start < count; start += BLOCK) {
      int length = (int) Math.min(BLOCK, count - start);
      y.read(start, block, 0, length);
      for (int i = 0; i < length; i++) {
        block[i] = Math.max(block[i], 0f);
      }
      y.write(start, block, 0, length);
    }
  }

  /** dx = dy where y is positive or NaN, else 0. */
  static void mask(Memory y, Memory dy, Memory dx, long count) {
    float[] output = new float[(int) Math.min(count, BLOCK)];
    float[] gradient = new float[output.length];
    for (long start = 0; start < count; start += BLOCK) {
      int length = (int) Math.min(BLOCK, count - start);
      y.read(start, output, 0, length);
      dy.read(start, gradient, 0, length);
      for (int i = 0; i < length; i++) {
        gradient[i] = output[i] <= 0 ? 0 : gradient[i];
      }
      dx.write(start, gradient, 0, length);
    }
  }
}
