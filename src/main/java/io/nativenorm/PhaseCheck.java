package io.nativenorm;

import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What the phases of a batch normalization take. */
record PhaseCheck(PhasedNorm layer) {
  /** As arrays count them. */
  int channels() {
    if (layer.channels > (Integer.MAX_VALUE - 64) / 2) {
      throw refused("moments are arrays, which have no room for so many channels");
    }
    return (int) layer.channels;
  }

  /** The output, if backward reads it. */
  @Nullable Tensor outputRead(@Nullable Tensor y) {
    return layer.problems.activation() == Activation.NONE ? null : Objects.requireNonNull(y, "y");
  }

  void requireOutput(Tensor x, Tensor y) {
    layer.training.check().requireOutput(x, y);
  }

  /** Moments of a batch that has this part in it. */
  void requireMoments(Tensor x, ChannelMoments m) {
    requireMoments(m);
    requireEps();
    if (x.size() > 0 && m.count() == 0) {
      throw refused("expected moments of the whole batch for " + x + ", but got " + m);
    }
  }

  void requireMoments(ChannelMoments m) {
    if (m.channels() != channels()) {
      throw refused("expected moments of " + channels() + " channels, but got " + m);
    }
    if (m.count() == 1 && !layer.passesOneValue()) {
      throw refused("Expected more than 1 value per channel when training, got " + m);
    }
  }

  void requireEps() {
    if (layer.eps() == 0) {
      throw refused("batch_norm eps must be positive during training, but got 0");
    }
  }

  void requireSums(GradientSums sums) {
    if (sums.channels() != channels()) {
      throw refused("expected gradient sums of " + channels() + " channels, but got " + sums);
    }
  }

  /** The input, what was made of it, and the gradient there. */
  void requireGradient(Tensor x, ChannelMoments m, @Nullable Tensor y, Tensor dy) {
    if (y != null) {
      requireLike("y", y, x);
    }
    requireLike("dy", dy, x);
    requireMoments(x, m);
  }

  private void requireLike(String name, Tensor tensor, Tensor x) {
    boolean alike =
        tensor.dataType() == x.dataType()
            && tensor.layout() == x.layout()
            && Arrays.equals(tensor.extents(), x.extents());
    if (!alike) {
      throw refused("expected " + name + " like the input, " + x + ", but got " + tensor);
    }
    RowPlaces.requireRows(layer, tensor);
  }

  void requireGradientOfInput(Tensor x, @Nullable Tensor y, Tensor dy, Tensor dx) {
    requireLike("dx", dx, x);
    requireWritable("dx", dx);
    requireApart("dx", dx, "the input", x);
    requireApart("dx", dx, "the output", y);
    if (Overlap.isPartial(dx, dy)) {
      throw refused("dx must be dy or apart from it, but overlaps it in part");
    }
    layer.parameters.requireApart(layer, "dx", dx);
  }

  void requireParameterGradients(@Nullable Tensor dWeight, @Nullable Tensor dBias) {
    requireParameterGradient("dWeight", dWeight, "weight", layer.parameters.weight());
    requireParameterGradient("dBias", dBias, "bias", layer.parameters.bias());
    if (dWeight != null) {
      requireApart("dWeight", dWeight, "dBias", dBias);
    }
  }

  private void requireParameterGradient(
      String name, @Nullable Tensor gradient, String parameter, @Nullable Parameter own) {
    if (gradient == null) {
      return;
    }
    if (own == null) {
      throw refused(name + " must be null, as there is no " + parameter);
    }
    boolean alike =
        gradient.dataType() == DataType.F32
            && gradient.pieces() == null
            && Arrays.equals(gradient.extents(), own.extents());
    if (!alike) {
      throw refused(
          "expected "
              + name
              + " like the "
              + parameter
              + ", "
              + Tensor.text(DataType.F32, Layout.CHANNELS_FIRST, own.extents())
              + ", but got "
              + gradient);
    }
    requireWritable(name, gradient);
    layer.parameters.requireApart(layer, name, gradient);
  }

  private void requireWritable(String name, Tensor tensor) {
    if (tensor.isReadOnly()) {
      throw refused(name + " is on a read-only buffer");
    }
  }

  private void requireApart(String name, Tensor written, String otherName, @Nullable Tensor other) {
    if (other != null && Overlap.isThere(written, other)) {
      throw refused(name + " must be apart from " + otherName + ", but overlaps it");
    }
  }

  private IllegalArgumentException refused(String what) {
    return new IllegalArgumentException(layer + ": " + what);
  }
}
