package io.nativenorm.bench;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.List;

/**
 * What is raced: a shape in a layout and a direction. Every shape is reduced to three extents; a
 * row is a sample whose elements are its channels.
 *
 * @param type of the input and the output
 */
public record Cell(Shape shape, Layout layout, Direction direction, DataType type) {
  /** What can be raced. */
  public static final List<DataType> TYPES = List.of(DataType.F32, DataType.BF16, DataType.F16);

  /** A cell in F32. */
  public Cell(Shape shape, Layout layout, Direction direction) {
    this(shape, layout, direction, DataType.F32);
  }

  /** All cells of a shape, in F32. */
  public static List<Cell> of(Shape shape) {
    return shape.layouts().stream()
        .flatMap(
            layout ->
                List.of(Direction.values()).stream()
                    .map(direction -> new Cell(shape, layout, direction)))
        .toList();
  }

  /** The same in another type. */
  public Cell in(DataType other) {
    return new Cell(shape, layout, direction, other);
  }

  /** The same in another direction. */
  Cell in(Direction other) {
    return new Cell(shape, layout, other, type);
  }

  /** The cell of an {@link #id}. */
  public static Cell named(String id) {
    String[] parts = id.split("/");
    Cell cell =
        new Cell(Shape.named(parts[0]), Layout.valueOf(parts[1]), Direction.valueOf(parts[2]));
    return parts.length > 3 ? cell.in(DataType.valueOf(parts[3])) : cell;
  }

  /**
   * Shape, layout and direction, as in {@code bert-base/CHANNELS_FIRST/BACKWARD}, and the type if
   * it is not F32, which all were before others were raced.
   */
  public String id() {
    String id = shape.name() + "/" + layout + "/" + direction;
    return isF32() ? id : id + "/" + type;
  }

  public boolean isF32() {
    return type == DataType.F32;
  }

  public Operation operation() {
    return shape.operation();
  }

  /** Layer and RMS normalization: each row by itself, with a weight for each element. */
  public boolean isRows() {
    return operation() == Operation.LAYER || operation() == Operation.RMS;
  }

  public boolean channelsLast() {
    return layout == Layout.CHANNELS_LAST;
  }

  /** N, or the number of rows. */
  public int batch() {
    return isRows() ? size() / channels() : shape.extents().get(0);
  }

  /** C, or the length of a row. */
  public int channels() {
    return shape.extents().get(isRows() ? shape.extents().size() - 1 : 1);
  }

  /** The product of the spatial extents; 1 for rows. */
  public int spatial() {
    return isRows() ? 1 : size() / batch() / channels();
  }

  /** Groups of group normalization; of instance normalization each channel is one. */
  public int groups() {
    return operation() == Operation.INSTANCE ? channels() : shape.groups();
  }

  /** Elements of the input. */
  public int size() {
    return shape.extents().stream().reduce(1, Math::multiplyExact);
  }

  /** N, C, spatial extents: the logical shape, whatever the layout. */
  public long[] extents() {
    return shape.extents().stream().mapToLong(Integer::longValue).toArray();
  }

  /** Where a sample's channel begins in memory. */
  public int offset(int n, int c) {
    return channelsLast() ? n * spatial() * channels() + c : (n * channels() + c) * spatial();
  }

  /** From a position of a channel to the next in memory. */
  public int step() {
    return channelsLast() ? channels() : 1;
  }

  /** What must move at least: x, y; for gradients x, dy, dx. Parameters are small beside them. */
  public long bytes() {
    return (direction == Direction.BACKWARD ? 3L : 2L) * type.bytes() * size();
  }
}
