package io.nativenorm.bench.contestant;

import io.nativenorm.RmsNorm;
import io.nativenorm.bench.DecoderCalls;

/** The same calls: a function where a program has one, a layer for the heads in packed rows. */
public final class NativeNormDecoder extends DecoderCalls {
  private final RmsNorm heads = RmsNorm.builder(HEAD).eps(EPS).build();
  private final RmsNorm gemmaHeads = RmsNorm.builder(HEAD).eps(EPS).unitOffset(1).build();

  /** Layers hold their weights. */
  public NativeNormDecoder() {
    heads.weight().copyFrom(head);
    float[] weight = new float[HEAD];
    System.arraycopy(gemma, 0, weight, 0, HEAD);
    gemmaHeads.weight().copyFrom(weight);
  }

  @Override
  public void attentionNorm(int tokens) {
    RmsNorm.normalize(x, 0, normalized, 0, tokens, DIM, attention, 0, EPS);
  }

  @Override
  public void mappedNorm(int tokens) {
    RmsNorm.normalize(x, 0, normalized, 0, tokens, DIM, mapped, 0, EPS);
  }

  @Override
  public void gemmaNorm(int tokens) {
    RmsNorm.normalize(x, 0, normalized, 0, tokens, DIM, gemma, 0, EPS, 1);
  }

  @Override
  public void queryNorm(int tokens) {
    heads.forward(qkv, 0, PACKED, qkv, 0, PACKED, HEADS, tokens * HEADS);
  }

  @Override
  public void keyNorm(int tokens) {
    int from = HEADS * HEAD;
    heads.forward(qkv, from, PACKED, qkv, from, PACKED, KEY_HEADS, tokens * KEY_HEADS);
  }

  @Override
  public void gemmaQueryNorm(int tokens) {
    gemmaHeads.forward(qkv, 0, PACKED, qkv, 0, PACKED, HEADS, tokens * HEADS);
  }

  @Override
  public void close() {
    heads.close();
    gemmaHeads.close();
  }
}
