package io.nativenorm;

import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What the inputs and outputs of a layer's passes must be like. */
record PassCheck(NormLayer layer) {
  /** Checks that a pass takes the statistics that its layer would take now. */
  private void requireCurrent(PassState pass) {
    if (pass.counted != null) {
      throw new IllegalStateException(
          layer + ": this pass is of a mask; forwardTraining(x, mask) makes one for each step");
    }
    boolean frozen = layer.training.isFrozen(pass.kind);
    if (frozen != pass.isFrozen()) {
      throw new IllegalStateException(
          layer
              + " was "
              + (frozen ? "frozen" : "thawed")
              + " after this pass was made; forwardTraining makes one for its next steps");
    }
  }

  /** Checks a pass's next input and output, in use. */
  void requireFit(PassState pass, Tensor x, Tensor y) {
    requireCurrent(pass);
    boolean alike =
        x.dataType() == pass.type
            && x.layout() == pass.layout
            && Arrays.equals(x.extents(), pass.extents)
            && Objects.equals(x.pieces(), pass.plans.inputPieces);
    if (!alike) {
      throw refused("expected an input like the pass's, " + pass.inputText() + ", but got " + x);
    }
    requireOutput(x, y);
    if (!Objects.equals(y.pieces(), pass.plans.outputPieces)) {
      throw refused("expected an output like the pass's, " + pass.outputText() + ", but got " + y);
    }
  }

  /** Checks that gradients, in use, have their rows where a problem can say it. */
  void requireRows(PassState pass, Tensor one, @Nullable Tensor other) {
    RowPlaces.requireRows(layer, one);
    RowPlaces.of(
        layer,
        pass.problem,
        pass.plans.inputPieces,
        pass.plans.outputPieces,
        one.pieces(),
        other == null ? null : other.pieces());
  }

  void requireOutput(Tensor x, Tensor y) {
    boolean alike =
        y.dataType() == x.dataType()
            && y.layout() == x.layout()
            && Arrays.equals(y.extents(), x.extents());
    if (!alike) {
      throw refused("expected an output like the input, " + x + ", but got " + y);
    }
    if (y.isReadOnly()) {
      throw refused("the output is on a read-only buffer");
    }
    RowPlaces.requireRows(layer, y);
    if (x == y || Overlap.isThere(x, y)) {
      throw refused("the output of training must be apart from the input, which backward reads");
    }
    layer.parameters.requireApart(layer, "the output", y);
  }

  /** Checks a pass's next input and output. */
  void requireFit(PassState pass, float[] x, float[] y) {
    requireCurrent(pass);
    requireArrays(pass);
    requireArrays(x, y, pass.extents, pass.size);
  }

  void requireArrays(float[] x, float[] y, long[] shape, long size) {
    layer.requireLengths(x, y, shape, size);
    if (x == y) {
      throw refused("the output of training must be apart from the input, which backward reads");
    }
  }

  /** Whether arrays can be what a pass's tensors are. */
  void requireArrays(PassState pass) {
    boolean ordered = pass.layout == Layout.CHANNELS_FIRST || pass.extents.length < 3;
    boolean close = pass.plans.inputPieces == null && pass.plans.outputPieces == null;
    if (pass.type != DataType.F32 || !ordered || !close) {
      throw refused("expected tensors like the pass's, " + pass + ", but got arrays");
    }
  }

  private IllegalArgumentException refused(String what) {
    return new IllegalArgumentException(layer + ": " + what);
  }
}
