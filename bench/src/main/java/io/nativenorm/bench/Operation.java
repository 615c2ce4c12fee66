package io.nativenorm.bench;

/** What is normalized together. */
public enum Operation {
  BATCH,
  LAYER,
  RMS,
  GROUP,
  INSTANCE
}
