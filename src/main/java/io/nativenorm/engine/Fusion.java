package io.nativenorm.engine;

import io.nativenorm.Activation;

/**
 * What is done in the same pass over memory.
 *
 * @param activation applied to the result
 */
public record Fusion(Activation activation) {
  /** Nothing more. */
  public static final Fusion NONE = new Fusion(Activation.NONE);
}
