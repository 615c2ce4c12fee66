package io.nativenorm.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Random;

/**
 * The normalizations of a decoder like Llama's, Qwen 3's or Gemma's, on its arrays. Weights are 1
 * and -1, so that what is normalized in place again and again keeps its size.
 */
public abstract class DecoderCalls implements AutoCloseable {
  public static final int MOST_TOKENS = 64;
  protected static final int DIM = 2048;
  protected static final int HEADS = 16;
  protected static final int KEY_HEADS = 8;
  protected static final int HEAD = 128;

  /** A token's queries, keys and values. */
  protected static final int PACKED = (HEADS + 2 * KEY_HEADS) * HEAD;

  protected static final float EPS = 1e-6f;

  protected final float[] x = normal(1, MOST_TOKENS * DIM);
  protected final float[] normalized = new float[x.length];
  protected final float[] qkv = normal(2, MOST_TOKENS * PACKED);
  protected final float[] attention = signs(3, DIM, 0);
  protected final float[] head = signs(4, HEAD, 0);

  /** To which 1 is added. */
  protected final float[] gemma = signs(5, DIM, -1);

  /** As of a mapped file. */
  protected final FloatBuffer mapped =
      ByteBuffer.allocateDirect(DIM * Float.BYTES)
          .order(ByteOrder.nativeOrder())
          .asFloatBuffer()
          .put(0, signs(6, DIM, 0));

  /** One call in the programs' words. */
  record Named(String name, Call call) {}

  /** On so many tokens. */
  interface Call {
    void run(DecoderCalls of, int tokens);
  }

  static final Named[] ALL = {
    new Named("RMS of 2048", DecoderCalls::attentionNorm),
    new Named("RMS of 2048, weights in a direct buffer", DecoderCalls::mappedNorm),
    new Named("RMS of 2048, 1 + w", DecoderCalls::gemmaNorm),
    new Named("16 query heads of 128 in packed rows", DecoderCalls::queryNorm),
    new Named("8 key heads of 128 in packed rows", DecoderCalls::keyNorm),
    new Named("16 query heads of 128 in packed rows, 1 + w", DecoderCalls::gemmaQueryNorm),
  };

  /** What a call writes to. */
  float[][] outputs() {
    return new float[][] {normalized, qkv};
  }

  private static float[] normal(long seed, int count) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static float[] signs(long seed, int count, float add) {
    float[] values = normal(seed, count);
    for (int i = 0; i < count; i++) {
      values[i] = Math.signum(values[i]) + add;
    }
    return values;
  }

  /** Before attention. */
  public abstract void attentionNorm(int tokens);

  /** The same with weights in a direct buffer. */
  public abstract void mappedNorm(int tokens);

  /** The same with 1 + w. */
  public abstract void gemmaNorm(int tokens);

  /** Of each head of the queries, in place. */
  public abstract void queryNorm(int tokens);

  /** Of each head of the keys, in place. */
  public abstract void keyNorm(int tokens);

  /** Of each head of the queries, in place, with 1 + w. */
  public abstract void gemmaQueryNorm(int tokens);

  @Override
  public abstract void close();
}
