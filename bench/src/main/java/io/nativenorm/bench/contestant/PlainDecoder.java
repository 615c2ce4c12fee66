package io.nativenorm.bench.contestant;

import io.nativenorm.bench.DecoderCalls;
import java.nio.FloatBuffer;

/**
 * The loops of single-file decoders in Java: a static function on arrays, with a float sum, called
 * for each token and each head.
 */
public final class PlainDecoder extends DecoderCalls {
  /** As llama2.java, llama3.java and what was made of them have it, but for the offsets. */
  private static void rmsnorm(
      float[] out, int outOffset, float[] x, int xOffset, FloatBuffer weight, int size, float eps) {
    float ss = 0f;
    for (int j = 0; j < size; j++) {
      ss += x[xOffset + j] * x[xOffset + j];
    }
    ss /= size;
    ss += eps;
    ss = (float) (1.0 / Math.sqrt(ss));
    for (int j = 0; j < size; j++) {
      out[outOffset + j] = weight.get(j) * (ss * x[xOffset + j]);
    }
  }

  private static void rmsnorm(
      float[] out, int outOffset, float[] x, int xOffset, float[] weight, int size, float eps) {
    float ss = 0f;
    for (int j = 0; j < size; j++) {
      ss += x[xOffset + j] * x[xOffset + j];
    }
    ss /= size;
    ss += eps;
    ss = (float) (1.0 / Math.sqrt(ss));
    for (int j = 0; j < size; j++) {
      out[outOffset + j] = weight[j] * (ss * x[xOffset + j]);
    }
  }

  /** Gemma's. */
  private static void rmsnormOfOnePlus(
      float[] out, int outOffset, float[] x, int xOffset, float[] weight, int size, float eps) {
    float ss = 0f;
    for (int j = 0; j < size; j++) {
      ss += x[xOffset + j] * x[xOffset + j];
    }
    ss /= size;
    ss += eps;
    ss = (float) (1.0 / Math.sqrt(ss));
    for (int j = 0; j < size; j++) {
      out[outOffset + j] = (1f + weight[j]) * (ss * x[xOffset + j]);
    }
  }

  @Override
  public void attentionNorm(int tokens) {
    for (int t = 0; t < tokens; t++) {
      rmsnorm(normalized, t * DIM, x, t * DIM, attention, DIM, EPS);
    }
  }

  @Override
  public void mappedNorm(int tokens) {
    for (int t = 0; t < tokens; t++) {
      rmsnorm(normalized, t * DIM, x, t * DIM, mapped, DIM, EPS);
    }
  }

  @Override
  public void gemmaNorm(int tokens) {
    for (int t = 0; t < tokens; t++) {
      rmsnormOfOnePlus(normalized, t * DIM, x, t * DIM, gemma, DIM, EPS);
    }
  }

  @Override
  public void queryNorm(int tokens) {
    for (int t = 0; t < tokens; t++) {
      for (int h = 0; h < HEADS; h++) {
        int at = t * PACKED + h * HEAD;
        rmsnorm(qkv, at, qkv, at, head, HEAD, EPS);
      }
    }
  }

  @Override
  public void keyNorm(int tokens) {
    for (int t = 0; t < tokens; t++) {
      for (int h = 0; h < KEY_HEADS; h++) {
        int at = t * PACKED + (HEADS + h) * HEAD;
        rmsnorm(qkv, at, qkv, at, head, HEAD, EPS);
      }
    }
  }

  @Override
  public void gemmaQueryNorm(int tokens) {
    for (int t = 0; t < tokens; t++) {
      for (int h = 0; h < HEADS; h++) {
        int at = t * PACKED + h * HEAD;
        rmsnormOfOnePlus(qkv, at, qkv, at, gemma, HEAD, EPS);
      }
    }
  }

  @Override
  public void close() {}
}
