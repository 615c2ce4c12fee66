package io.nativenorm.engine;

/** What a unit is. Instance normalization is {@link #GROUP} with one channel in a group. */
public enum Operation {
  /** All samples and positions of one channel. */
  BATCH,
  /** One row of {@code channels} elements. */
  LAYER,
  /** One row of {@code channels} elements, by its root mean square alone. */
  RMS,
  /** The channels of one group of one sample. */
  GROUP
}
