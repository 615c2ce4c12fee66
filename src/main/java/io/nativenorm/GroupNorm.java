package io.nativenorm;

import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Shape;

/**
 * Group normalization over the positions and channels of each group of each sample. Weight and bias
 * are of channels, as in PyTorch's {@code GroupNorm} and ONNX's GroupNormalization from version 21.
 *
 * <p>Input is {@code (N, C)} or {@code (N, C, spatial...)}; a group may be a single element, whose
 * result is exactly the bias.
 *
 * @see <a href="https://arxiv.org/abs/1803.08494">Wu and He, 2018</a>
 */
public final class GroupNorm extends NormLayer {
  private final long groups;
  private final long channels;

  private GroupNorm(Builder options) {
    super(Operation.GROUP, options, null, options.channels);
    this.groups = options.groups;
    this.channels = options.channels;
  }

  /**
   * A layer with PyTorch's defaults.
   *
   * @param groups number of groups
   * @param channels C, a multiple of the groups
   * @return a layer to be closed by the caller
   */
  public static GroupNorm of(long groups, long channels) {
    return builder(groups, channels).build();
  }

  /**
   * Options for a layer.
   *
   * @param groups number of groups
   * @param channels C, a multiple of the groups
   * @return a builder with PyTorch's defaults
   * @throws IllegalArgumentException if there is no group or channel, or the groups do not divide
   *     the channels
   */
  public static Builder builder(long groups, long channels) {
    return new Builder(groups, channels);
  }

  /** Options of a {@link GroupNorm}. */
  public static final class Builder extends LayerBuilder<Builder> {
    private final long groups;
    private final long channels;

    private Builder(long groups, long channels) {
      super("GroupNorm(" + groups + ", " + channels + ")", 1e-5, true);
      this.groups = Shapes.requirePositive(name(), "groups", groups);
      this.channels = Shapes.requirePositive(name(), "channels", channels);
      if (channels % groups != 0) {
        throw new IllegalArgumentException(
            name()
                + ": num_channels ("
                + channels
                + ") must be divisible by num_groups ("
                + groups
                + ")");
      }
    }

    @Override
    Builder self() {
      return this;
    }

    @Override
    public GroupNorm build() {
      return new GroupNorm(this);
    }
  }

  @Override
  Shape shapeOf(long[] shape, Layout layout) {
    if (shape.length < 2) {
      throw new IllegalArgumentException(
          this + ": Expected at least 2 dimensions for input tensor but received " + shape.length);
    }
    if (shape[1] != channels) {
      throw new IllegalArgumentException(
          this
              + ": expected input with "
              + channels
              + " channels in dimension 1, but got "
              + Shapes.text(shape));
    }
    return Shapes.ofChannels(shape, layout, groups);
  }

  @Override
  long[] statisticsShape(long[] shape) {
    return new long[] {shape[0], groups};
  }
}
