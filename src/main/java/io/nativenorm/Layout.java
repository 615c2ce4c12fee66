package io.nativenorm;

/**
 * The physical order of a tensor's elements. Shapes are always logical: N, C, then the spatial
 * dimensions. For tensors without spatial dimensions both orders are the same.
 */
public enum Layout {
  /** N, C, spatial: NCHW and its likes, row-major. */
  CHANNELS_FIRST,
  /** N, spatial, C: NHWC and its likes; the channel varies fastest. */
  CHANNELS_LAST
}
