package io.nativenorm;

import io.nativenorm.engine.Problem;
import io.nativenorm.engine.RowStrides;
import org.jspecify.annotations.Nullable;

/** The rows of tensors that may lie in pieces. */
final class RowPlaces {
  private RowPlaces() {}

  /** Checks that a tensor's rows follow each other within its pieces, if it has any. */
  static void requireRows(NormLayer layer, Tensor tensor) {
    if (tensor.pieces() == null) {
      return;
    }
    if (!layer.normalizesRows()) {
      throw new IllegalArgumentException(
          layer
              + ": only LayerNorm and RmsNorm take what does not lie in one piece, but got "
              + tensor
              + "; to(layout) copies it into one");
    }
    if (layer.needsReordering(tensor.extents(), tensor.layout())) {
      throw new IllegalArgumentException(
          layer
              + ": the rows of what does not lie in one piece must be channels first, but got "
              + tensor
              + "; to(layout) copies it");
    }
  }

  /**
   * A problem on tensors whose pieces are given, null for one and for what is not there.
   *
   * @throws IllegalArgumentException if a row lies in several pieces, or some tensors have other
   *     numbers of rows in theirs
   */
  static Problem of(
      Object layer,
      Problem problem,
      @Nullable Pieces x,
      @Nullable Pieces y,
      @Nullable Pieces dy,
      @Nullable Pieces dx) {
    long together = 0;
    for (Pieces pieces : new Pieces[] {x, y, dy, dx}) {
      if (pieces != null) {
        together = together(layer, problem, pieces, together);
      }
    }
    if (together == 0) {
      return problem;
    }
    return problem.withShape(
        problem
            .shape()
            .withStrides(new RowStrides(together, stride(x), stride(y), stride(dy), stride(dx))));
  }

  private static long together(Object layer, Problem problem, Pieces pieces, long others) {
    long length = problem.shape().channels();
    if (pieces.length() % length != 0) {
      throw new IllegalArgumentException(
          layer
              + ": expected pieces that have whole rows of "
              + length
              + ", but got a tensor "
              + pieces);
    }
    long together = pieces.length() / length;
    if (others != 0 && others != together) {
      throw new IllegalArgumentException(
          layer
              + ": expected tensors with as many rows in each piece, but got "
              + others
              + " and "
              + together);
    }
    return together;
  }

  private static long stride(@Nullable Pieces pieces) {
    return pieces == null ? 0 : pieces.stride();
  }
}
