package io.nativenorm;

import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.Memory;
import org.jspecify.annotations.Nullable;

/** Tensors of gradients, in use; all but dy may be null. */
record TensorTargets(
    Tensor dy, @Nullable Tensor dx, @Nullable Tensor dWeight, @Nullable Tensor dBias, boolean adds)
    implements GradientTargets {
  /** All of them, to be written. */
  static TensorTargets of(Tensor dy, Gradients gradients) {
    return new TensorTargets(dy, gradients.input(), gradients.weight(), gradients.bias(), false);
  }

  @Override
  public void requireFit(GradientCheck check) {
    check.requireGradientOfOutput(dy);
    if (dx != null) {
      check.requireGradientOfInput(dx, dy);
      check.requireSameOrApart("dx", dx, "dy", dy);
      check.requireApartFromRead("dx", dx);
    }
    check.requireParameter("dWeight", dWeight, "weight");
    check.requireParameter("dBias", dBias, "bias");
    requireParametersApart(check, "dWeight", dWeight);
    requireParametersApart(check, "dBias", dBias);
    if (dWeight != null) {
      check.requireApart("dWeight", dWeight, "dBias", dBias);
    }
  }

  private void requireParametersApart(GradientCheck check, String name, @Nullable Tensor gradient) {
    if (gradient != null) {
      check.requireApart(name, gradient, "dy", dy);
      check.requireApart(name, gradient, "dx", dx);
      check.requireApartFromRead(name, gradient);
    }
  }

  @Override
  public @Nullable Pieces dyPieces() {
    return dy.pieces();
  }

  @Override
  public @Nullable Pieces dxPieces() {
    return dx == null ? null : dx.pieces();
  }

  @Override
  public boolean isAnyWanted() {
    return dx != null || dWeight != null || dBias != null;
  }

  @Override
  public void clear() {
    if (dWeight != null && !adds) {
      dWeight.memory().setAll(0);
    }
    if (dBias != null && !adds) {
      dBias.memory().setAll(0);
    }
  }

  @Override
  public void putInto(LentArrays operands) {
    putInto(operands, dy.span(), dx == null ? null : dx.span());
  }

  /** The same with other memory for the first two. */
  void putInto(LentArrays operands, Memory orderedDy, @Nullable Memory orderedDx) {
    operands.put(Slot.DIFF_DST, orderedDy);
    operands.put(Slot.DIFF_SRC, orderedDx);
    operands.put(Slot.DIFF_WEIGHT, memory(dWeight));
    operands.put(Slot.DIFF_BIAS, memory(dBias));
  }

  private static @Nullable Memory memory(@Nullable Tensor tensor) {
    return tensor == null ? null : tensor.memory();
  }
}
