package io.nativenorm.bench;

import io.nativenorm.Layout;
import java.util.List;

/**
 * What is raced: a shape in a layout and a direction. Every shape is reduced to three extents; a
 * row is a sample whose elements are its channels.
 */
public record Cell(Shape shape, Layout layout, Direction direction) {

  /** All cells of a shape. */
  public static List<Cell> of(Shape shape) {
    return shape.layouts().stream()
        .flatMap(
            layout ->
                List.of(Direction.values()).stream()
                    .map(direction -> new Cell(shape, layout, direction)))
        .toList();
  }

  /** The cell of an {@link #id}. */
  public static Cell named(String id) {
    String[] parts = id.split("/");
    return new Cell(Shape.named(parts[0]), Layout.valueOf(parts[1]), Direction.valueOf(parts[2]));
  }

  /** Shape, layout and direction, as in {@code bert-base/CHANNELS_FIRST/BACKWARD}. */
  public String id() {
    return shape.name() + "/" + layout + "/" + direction;
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
    return (direction == Direction.BACKWARD ? 3L : 2L) * Float.BYTES * size();
  }
}
