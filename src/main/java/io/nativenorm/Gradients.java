package io.nativenorm;

import org.jspecify.annotations.Nullable;

/**
 * What {@link Pass#backward(Tensor)} gives: the gradients of the loss. Closing it closes all of
 * them.
 *
 * <pre>{@code
 * try (LayerNorm norm = LayerNorm.of(64);
 *     Tensor x = Tensor.zeros(8, 64);
 *     Pass pass = norm.forwardTraining(x);
 *     Gradients gradients = pass.backward(x)) {               // of a loss whose gradient at y is x
 *   norm.weight().addScaled(-0.1f, gradients.weight());       // a step of an optimizer
 *   norm.bias().addScaled(-0.1f, gradients.bias());
 * }
 * }</pre>
 */
public final class Gradients implements AutoCloseable {
  private final Tensor input;
  private final @Nullable Tensor weight;
  private final @Nullable Tensor bias;

  Gradients(Tensor input, @Nullable Tensor weight, @Nullable Tensor bias) {
    this.input = input;
    this.weight = weight;
    this.bias = bias;
  }

  /**
   * The gradient of the layer's input.
   *
   * @return a tensor of the input's shape, type and layout
   */
  public Tensor input() {
    return input;
  }

  /**
   * The gradient of the weight.
   *
   * @return a tensor of the weight's shape, or null if the layer has no weight
   */
  public @Nullable Tensor weight() {
    return weight;
  }

  /**
   * The gradient of the bias.
   *
   * @return a tensor of the bias's shape, or null if the layer has no bias
   */
  public @Nullable Tensor bias() {
    return bias;
  }

  /** Frees the gradients. Closing again does nothing. */
  @Override
  public void close() {
    input.close();
    if (weight != null) {
      weight.close();
    }
    if (bias != null) {
      bias.close();
    }
  }
}
