package io.nativenorm;

import io.nativenorm.engine.Shape;
import java.util.Arrays;

/** The trailing dimensions that LayerNorm and RmsNorm normalize over. */
final class NormalizedShape {
  private final String layer;
  private final long[] extents;

  /** Checks a layer's normalized shape, which becomes this one's own. */
  NormalizedShape(String layerKind, long[] normalizedShape) {
    layer = nameOf(layerKind, normalizedShape);
    if (normalizedShape.length == 0) {
      throw new IllegalArgumentException(
          layer
              + ": Expected normalized_shape to be at least 1-dimensional, i.e., containing at"
              + " least one element, but got normalized_shape = []");
    }
    for (long extent : normalizedShape) {
      Shapes.requirePositive(layer, "normalized_shape", extent);
    }
    extents = normalizedShape;
  }

  static String nameOf(String layerKind, long[] normalizedShape) {
    return layerKind + "(" + Shapes.text(normalizedShape) + ")";
  }

  long[] extents() {
    return extents;
  }

  /** The rows of an input whose trailing dimensions are these. */
  Shape rowsOf(long[] shape) {
    return Shapes.ofRows(shape, leading(shape).length);
  }

  /** The dimensions of an input before the normalized ones. */
  long[] leading(long[] shape) {
    int leading = shape.length - extents.length;
    boolean fits =
        leading >= 0 && Arrays.equals(shape, leading, shape.length, extents, 0, extents.length);
    if (!fits) {
      String trailing = Shapes.text(extents).substring(1);
      throw new IllegalArgumentException(
          layer
              + ": Given normalized_shape="
              + Shapes.text(extents)
              + ", expected input with shape [*, "
              + trailing
              + ", but got input of size"
              + Shapes.text(shape));
    }
    return Arrays.copyOf(shape, leading);
  }

  /** Rows of this shape that make up an array. */
  long[] implied(int length) {
    long row = Shapes.size(extents);
    if (length % row != 0) {
      throw new IllegalArgumentException(
          layer + ": expected a multiple of " + row + " elements, but got an array of " + length);
    }
    long[] shape = new long[extents.length + 1];
    shape[0] = length / row;
    System.arraycopy(extents, 0, shape, 1, extents.length);
    return shape;
  }
}
