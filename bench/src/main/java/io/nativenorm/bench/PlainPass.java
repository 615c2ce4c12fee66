package io.nativenorm.bench;

import io.nativenorm.NativeNorm;
import io.nativenorm.Tensor;

/**
 * The streaming limit: {@code y = a * x + b}, which reads half of the bytes and writes the other
 * half. A normalization that moves as many bytes cannot be faster.
 */
final class PlainPass implements Contestant.Session {
  private static final float FACTOR = 0.5f;
  private static final float SUMMAND = 1;

  private final int threads;
  private final Tensor x;
  private final Tensor y;

  /**
   * Prepares one.
   *
   * @param bytes read and written together
   */
  PlainPass(long bytes, int threads) {
    this.threads = threads;
    long floats = bytes / (2 * Float.BYTES);
    x = Tensor.zeros(floats);
    y = Tensor.zeros(floats);
  }

  /** Whether a call computes what it says. */
  boolean isRight() {
    call();
    for (float value : y.toArray()) {
      if (value != SUMMAND) { // of an input of zeros
        return false;
      }
    }
    return true;
  }

  @Override
  public void call() {
    NativeNorm.threads(threads);
    NativeNorm.plainPass(x, y, FACTOR, SUMMAND);
  }

  @Override
  public Results results() {
    return Results.output(y.toArray());
  }

  @Override
  public void close() {
    y.close();
    x.close();
  }
}
