package io.nativenorm.engine;

import io.nativenorm.Layout;

/**
 * The extents of input and output, and the order they lie in. Every shape is reduced to three
 * extents. For {@link Operation#BATCH} and {@link Operation#GROUP} they are N, C and the product of
 * the spatial dimensions; a layer's or RMS's rows are the batch and a row's elements its channels.
 * Without spatial extent both layouts are the same memory, and the shape is {@link
 * Layout#CHANNELS_LAST}.
 *
 * @param layout physical order of input and output
 * @param batch N, or the number of rows
 * @param channels C, or the elements of a row
 * @param spatial product of the spatial dimensions, 1 where there are none
 * @param groups groups of the channels; 1 except for GROUP
 * @param strides where rows lie
 */
public record Shape(
    Layout layout, long batch, long channels, long spatial, long groups, RowStrides strides) {

  /** Names the one layout of a shape without spatial extent. */
  public Shape {
    if (spatial == 1) {
      layout = Layout.CHANNELS_LAST;
    }
  }

  /**
   * Elements that follow each other.
   *
   * @param layout physical order of input and output
   * @param batch N, or the number of rows
   * @param channels C, or the elements of a row
   * @param spatial product of the spatial dimensions, 1 where there are none
   * @param groups groups of the channels; 1 except for GROUP
   */
  public Shape(Layout layout, long batch, long channels, long spatial, long groups) {
    this(layout, batch, channels, spatial, groups, RowStrides.CLOSE);
  }

  /**
   * Rows, each a unit of its own or a sample.
   *
   * @param rows how many
   * @param length the elements of each
   * @return a shape without spatial extent
   */
  public static Shape ofRows(long rows, long length) {
    return new Shape(Layout.CHANNELS_LAST, rows, length, 1, 1);
  }

  /**
   * All elements of the input.
   *
   * @return batch x channels x spatial
   */
  public long elements() {
    return batch * channels * spatial;
  }

  /**
   * The same channels of other samples.
   *
   * @param otherBatch how many
   * @param otherSpatial the positions of each
   * @return a shape that differs in nothing else
   */
  public Shape withSamples(long otherBatch, long otherSpatial) {
    return new Shape(layout, otherBatch, channels, otherSpatial, groups);
  }

  /**
   * The same elements in other groups.
   *
   * @param otherGroups groups of the channels
   * @return a shape that differs in nothing else
   */
  public Shape withGroups(long otherGroups) {
    return new Shape(layout, batch, channels, spatial, otherGroups);
  }

  /**
   * The same rows, which lie elsewhere. If they follow each other after all, as one group or none
   * does whatever the stride, the shape is that of such rows: they have one plan.
   *
   * @param other where they lie
   * @return a shape that differs in nothing else
   */
  public Shape withStrides(RowStrides other) {
    long close = other.together() * channels;
    boolean areClose =
        other.together() >= batch
            || (isClose(other.src(), close)
                && isClose(other.dst(), close)
                && isClose(other.diffDst(), close)
                && isClose(other.diffSrc(), close));
    RowStrides where = areClose ? RowStrides.CLOSE : other;
    return new Shape(layout, batch, channels, spatial, groups, where);
  }

  private static boolean isClose(long stride, long close) {
    return stride == 0 || stride == close;
  }

  /** The extents, behind the layout where there are two. */
  @Override
  public String toString() {
    if (spatial != 1) {
      return layout + " " + batch + "x" + channels + "x" + spatial;
    }
    String text = batch + "x" + channels;
    return strides.areClose() ? text : text + " (" + strides + ")";
  }
}
