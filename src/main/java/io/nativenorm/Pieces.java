package io.nativenorm;

import io.nativenorm.engine.memory.FloatView;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.RowsView;
import org.jspecify.annotations.Nullable;

/**
 * Where the elements of a tensor lie that are not in one piece: so many follow each other, the next
 * ones begin a stride after the first of these. A tensor in one piece has none.
 *
 * @param length elements of a piece
 * @param stride elements from the first of a piece to the first of the next one
 */
record Pieces(long length, long stride) {
  /** What is done with a piece, or with all elements in one. */
  interface Use {
    /**
     * Uses a piece.
     *
     * @param place of its first element in memory
     * @param position of that among all elements
     * @param count how many it has
     */
    void accept(long place, long position, long count);
  }

  /** Where an element lies, by its position among all. */
  static long place(@Nullable Pieces pieces, long position) {
    return pieces == null
        ? position
        : position / pieces.length * pieces.stride + position % pieces.length;
  }

  /** From the first of so many elements to the last one, with what is between pieces. */
  static long span(@Nullable Pieces pieces, long size) {
    return size == 0 ? 0 : place(pieces, size - 1) + 1;
  }

  /** Piece by piece, in the order in which they lie. */
  static void forEach(@Nullable Pieces pieces, long size, Use use) {
    if (pieces == null) {
      use.accept(0, 0, size);
      return;
    }
    for (long at = 0; at < size; at += pieces.length) {
      use.accept(at / pieces.length * pieces.stride, at, pieces.length);
    }
  }

  /** The elements as if they followed each other. */
  FloatView view(Memory span) {
    return new RowsView(span.view(), length, 1, stride);
  }

  /** The product of the extents that vary faster than one in memory. */
  static long inner(int dimension, long[] shape, Layout layout) {
    long inner = 1;
    for (int d : innermostFirst(shape.length, layout)) {
      if (d == dimension) {
        break;
      }
      inner *= shape[d];
    }
    return inner;
  }

  private static int[] innermostFirst(int rank, Layout layout) {
    int[] order = new int[rank];
    boolean channelIsLast = layout == Layout.CHANNELS_LAST && rank > 2;
    int next = 0;
    if (channelIsLast) {
      order[next++] = 1;
    }
    for (int d = rank - 1; d >= 0; d--) {
      if (!channelIsLast || d != 1) {
        order[next++] = d;
      }
    }
    return order;
  }

  /**
   * The pieces of a range of one dimension of a tensor, null if it is one; throws if they are not
   * all equally far apart.
   */
  static @Nullable Pieces ofRange(TensorForm whole, int dimension, long[] extents) {
    if (extents[dimension] == whole.extents()[dimension]) {
      return whole.pieces();
    }
    long length = 1;
    long stride = 0;
    long count = 1;
    for (int d : innermostFirst(extents.length, whole.layout())) {
      long inner = inner(d, whole.extents(), whole.layout());
      long step = place(whole.pieces(), inner);
      boolean even = isEven(whole.pieces(), inner, whole.extents()[d]);
      if (even && extents[d] == 1) {
        continue;
      }
      if (even && stride == 0 && step == length) {
        length *= extents[d];
      } else if (even && (stride == 0 || step == stride * count)) {
        stride = stride == 0 ? step : stride;
        count *= extents[d];
      } else {
        throw new IllegalArgumentException(
            "narrow expects a range whose pieces are equally far apart, but those of dimension "
                + dimension
                + " of "
                + whole
                + " are not");
      }
    }
    return stride == 0 ? null : new Pieces(length, stride);
  }

  /** Whether the steps from each index of a dimension to the next are alike. */
  private static boolean isEven(@Nullable Pieces pieces, long inner, long extent) {
    return pieces == null
        || extent == 1
        || pieces.length % (inner * extent) == 0
        || inner % pieces.length == 0;
  }

  /** How many, and how far apart. */
  @Override
  public String toString() {
    return "in pieces of " + length + " every " + stride;
  }
}
