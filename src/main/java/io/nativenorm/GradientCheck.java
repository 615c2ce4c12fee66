package io.nativenorm;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** What the gradients of a pass must be like, and must not lie on. */
record GradientCheck(Training training, PassState pass, LayerParameters parameters) {
  void requireGradientOfOutput(Tensor dy) {
    if (!isLikePass(dy)) {
      throw refused("expected a gradient like the output, " + pass + ", but got " + dy);
    }
    training.check().requireRows(pass, dy, null);
  }

  void requireGradientOfInput(Tensor dx, Tensor dy) {
    if (!isLikePass(dx)) {
      throw refused("expected dx like the input, " + pass + ", but got " + dx);
    }
    training.check().requireRows(pass, dx, dy);
    requireWritable("dx", dx);
  }

  private boolean isLikePass(Tensor tensor) {
    return tensor.dataType() == pass.type
        && tensor.layout() == pass.layout
        && Arrays.equals(tensor.extents(), pass.extents);
  }

  private void requireWritable(String name, Tensor tensor) {
    if (tensor.isReadOnly()) {
      throw refused(name + " is on a read-only buffer");
    }
  }

  /** A parameter's gradient, if it is wanted. */
  void requireParameter(String name, @Nullable Tensor gradient, String parameter) {
    if (gradient == null) {
      return;
    }
    Parameter own = requireThere(name, parameter);
    boolean alike =
        gradient.dataType() == DataType.F32
            && gradient.pieces() == null
            && (gradient.layout() == Layout.CHANNELS_FIRST || gradient.rank() < 3)
            && Arrays.equals(gradient.extents(), own.extents());
    if (!alike) {
      String like = Tensor.text(DataType.F32, Layout.CHANNELS_FIRST, own.extents());
      throw refused(
          "expected " + name + " like the " + parameter + ", " + like + ", but got " + gradient);
    }
    requireWritable(name, gradient);
  }

  private Parameter requireThere(String name, String parameter) {
    Parameter own = parameter.equals("weight") ? parameters.weight() : parameters.bias();
    if (own == null) {
      throw refused(name + " must be null, as there is no " + parameter);
    }
    return own;
  }

  /** The same of an array. */
  void requireParameter(String name, float @Nullable [] gradient, String parameter) {
    if (gradient == null) {
      return;
    }
    long size = requireThere(name, parameter).size();
    if (gradient.length != size) {
      throw refused("expected " + name + " of " + size + " elements, but got " + gradient.length);
    }
  }

  /** Whether arrays can be what the pass's tensors are. */
  void requireArrays() {
    training.check().requireArrays(pass);
  }

  void requireLength(String name, float[] array) {
    if (array.length != pass.size) {
      throw refused(
          "expected "
              + name
              + " of "
              + pass.size
              + " elements for shape "
              + Shapes.text(pass.extents)
              + ", but got "
              + array.length);
    }
  }

  void requireApartFromRead(String name, float[] written) {
    requireApart(name, written, "the pass's input", pass.input.array());
    if (pass.keepsResult()) {
      requireApart(name, written, "the pass's output", pass.outputArray());
    }
  }

  /** What is written must not be what is read, or written too. */
  void requireApart(String name, float[] written, String otherName, float @Nullable [] other) {
    if (written == other && written.length > 0) {
      throw refused(name + " must not be " + otherName);
    }
  }

  void requireApart(String name, Tensor written, String otherName, @Nullable Tensor other) {
    if (other != null && Overlap.isThere(written, other)) {
      throw refused(name + " must be apart from " + otherName + ", but overlaps it");
    }
  }

  void requireSameOrApart(String name, Tensor written, String otherName, Tensor other) {
    if (Overlap.isPartial(written, other)) {
      throw refused(name + " must be " + otherName + " or apart from it, but overlaps it in part");
    }
  }

  /** Apart from what backward reads of the pass and its layer. */
  void requireApartFromRead(String name, Tensor written) {
    Tensor input = pass.input.tensor();
    if (input != null) {
      requireApart(name, written, "the pass's input", input);
    }
    Tensor output = pass.output();
    if (output != null && !output.isClosed()) {
      if (pass.keepsResult()) {
        requireApart(name, written, "the pass's output", output);
      } else {
        requireSameOrApart(name, written, "the pass's output", output);
      }
    }
    parameters.requireApart(training, name, written);
    requireApart(name, written, "the pass's mean", pass.mean);
    requireApart(name, written, "the pass's variance", pass.variance);
  }

  private IllegalArgumentException refused(String what) {
    return new IllegalArgumentException(training + ": " + what);
  }
}
