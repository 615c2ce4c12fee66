package io.nativenorm;

import io.nativenorm.engine.Slot;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Heap arrays of gradients; all but dy may be null. */
record ArrayTargets(
    float[] dy,
    float @Nullable [] dx,
    float @Nullable [] dWeight,
    float @Nullable [] dBias,
    boolean adds)
    implements GradientTargets {
  @Override
  public void requireFit(GradientCheck check) {
    check.requireArrays();
    check.requireLength("dy", dy);
    if (dx != null) {
      check.requireLength("dx", dx);
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

  private void requireParametersApart(
      GradientCheck check, String name, float @Nullable [] gradient) {
    if (gradient != null) {
      check.requireApart(name, gradient, "dy", dy);
      check.requireApart(name, gradient, "dx", dx);
      check.requireApartFromRead(name, gradient);
    }
  }

  @Override
  public @Nullable Pieces dyPieces() {
    return null;
  }

  @Override
  public @Nullable Pieces dxPieces() {
    return null;
  }

  @Override
  public boolean isAnyWanted() {
    return dx != null || dWeight != null || dBias != null;
  }

  @Override
  public void clear() {
    if (dWeight != null && !adds) {
      Arrays.fill(dWeight, 0);
    }
    if (dBias != null && !adds) {
      Arrays.fill(dBias, 0);
    }
  }

  @Override
  public void putInto(LentArrays operands) {
    operands.read(Slot.DIFF_DST, dy);
    operands.write(Slot.DIFF_SRC, dx, false);
    operands.write(Slot.DIFF_WEIGHT, dWeight, adds);
    operands.write(Slot.DIFF_BIAS, dBias, adds);
  }
}
