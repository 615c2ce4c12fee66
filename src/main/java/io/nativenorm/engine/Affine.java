package io.nativenorm.engine;

/**
 * What the normalized values are multiplied with and what is added to them.
 *
 * @param weight whether there is a weight (and backward gives its gradient)
 * @param bias whether there is a bias (and backward gives its gradient)
 */
public record Affine(boolean weight, boolean bias) {}
