package io.nativenorm;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** What a tensor is, whatever its elements are: type, shape and where they lie in memory. */
abstract sealed class TensorForm permits TensorElements {
  private final DataType dataType;
  private final Layout layout;
  private final long[] shape;
  private final @Nullable Pieces pieces;
  private final long size;

  /** The shape becomes its own. */
  TensorForm(DataType dataType, Layout layout, long[] shape, @Nullable Pieces pieces) {
    this.dataType = dataType;
    this.layout = layout;
    this.shape = shape;
    this.pieces = pieces;
    this.size = Shapes.size(shape);
  }

  /**
   * The logical extents.
   *
   * @return a copy of the shape
   */
  public long[] shape() {
    return shape.clone();
  }

  /** The shape itself, which no one may write to: tensors share it. */
  long[] extents() {
    return shape;
  }

  /**
   * The number of dimensions.
   *
   * @return the shape's length
   */
  public int rank() {
    return shape.length;
  }

  /**
   * The number of elements.
   *
   * @return the product of the extents, 1 for a scalar
   */
  public long size() {
    return size;
  }

  /**
   * The element type.
   *
   * @return the type
   */
  public DataType dataType() {
    return dataType;
  }

  /**
   * The physical order.
   *
   * @return the layout
   */
  public Layout layout() {
    return layout;
  }

  /** Null if the elements lie in one piece. */
  @Nullable Pieces pieces() {
    return pieces;
  }

  /** Type, layout, shape and, of a range that lies apart, its pieces; not the elements. */
  @Override
  public String toString() {
    return text(dataType, layout, shape, pieces);
  }

  static String text(DataType type, Layout layout, long[] shape, @Nullable Pieces pieces) {
    String text = text(type, layout, shape);
    return pieces == null ? text : text + " " + pieces;
  }

  static String text(DataType type, Layout layout, long[] shape) {
    return type + " " + layout + " " + Arrays.toString(shape);
  }
}
