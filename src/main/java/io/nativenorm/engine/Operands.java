package io.nativenorm.engine;

import io.nativenorm.engine.memory.Memory;

/**
 * The memory one execution of a {@link Plan} reads and writes. What a problem does not have is
 * null; the pointers stay the caller's and must stay valid until the execution returns.
 *
 * @param src input
 * @param dst output; backward reads it where the problem has an activation
 * @param weight scale of each channel
 * @param bias shift of each channel
 * @param mean read where statistics are given and in backward, written in training
 * @param variance likewise; for RMS the mean square
 * @param diffDst gradient of the output
 * @param diffSrc gradient of the input; may be {@code diffDst}
 * @param diffWeight gradient of the weight
 * @param diffBias gradient of the bias
 */
public record Operands(
    Memory src,
    Memory dst,
    Memory weight,
    Memory bias,
    Memory mean,
    Memory variance,
    Memory diffDst,
    Memory diffSrc,
    Memory diffWeight,
    Memory diffBias) {

  /**
   * Operands of inference and training.
   *
   * @param src input
   * @param dst output, which may be the input
   * @param weight scale or null
   * @param bias shift or null
   * @param mean mean or null
   * @param variance variance or null
   * @return operands without gradients
   */
  public static Operands forward(
      Memory src, Memory dst, Memory weight, Memory bias, Memory mean, Memory variance) {
    return new Operands(src, dst, weight, bias, mean, variance, null, null, null, null);
  }
}
