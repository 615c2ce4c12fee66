package io.nativenorm;

import org.jspecify.annotations.Nullable;

/** The gradient of the output, and where the gradients that are wanted go, of one backward. */
sealed interface GradientTargets permits TensorTargets, ArrayTargets {
  /** Checks all of them against a pass; nothing is touched before. */
  void requireFit(GradientCheck check);

  /** Where dy lies; null if in one piece. */
  @Nullable Pieces dyPieces();

  /** The same of dx, and null if it is not wanted. */
  @Nullable Pieces dxPieces();

  /** Whether a gradient is wanted. */
  boolean isAnyWanted();

  /** Whether the parameters' gradients are added to. */
  boolean adds();

  /** What they are if the input is empty. */
  void clear();

  /** Puts them among the operands, dy and dx in the pass's order. */
  void putInto(LentArrays operands);
}
