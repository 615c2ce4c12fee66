package io.nativenorm.engine;

/**
 * What the normalized values are multiplied with and what is added to them.
 *
 * @param weight whether there is a weight (and backward gives its gradient)
 * @param bias whether there is a bias (and backward gives its gradient)
 * @param unitOffset what the weight of {@link Operation#LAYER} and {@link Operation#RMS} is added
 *     to before it multiplies, as floats: 1 is Gemma's 1 + w; 0 without a weight
 */
public record Affine(boolean weight, boolean bias, double unitOffset) {
  /**
   * A weight that multiplies as it is.
   *
   * @param weight whether there is a weight
   * @param bias whether there is a bias
   */
  public Affine(boolean weight, boolean bias) {
    this(weight, bias, 0);
  }
}
