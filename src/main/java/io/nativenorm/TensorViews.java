package io.nativenorm;

import io.nativenorm.engine.Lifetime;
import io.nativenorm.engine.memory.Memory;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Other tensors on the same memory: ranges, shapes, handles. */
abstract sealed class TensorViews extends TensorCopies permits Tensor {
  TensorViews(
      Memory memory, Lifetime shared, Layout layout, long[] shape, @Nullable Pieces pieces) {
    super(memory, shared, layout, shape, pieces);
  }

  /**
   * The same elements in another shape, in the logical order of the old one.
   *
   * @param newShape extents with the same product
   * @return a tensor of its own to close: on the same memory where the order allows it, which is
   *     always for {@link Layout#CHANNELS_FIRST}; a channels-first copy else
   * @throws IllegalArgumentException if the number of elements differs
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor reshape(long... newShape) {
    long[] extents = Objects.requireNonNull(newShape, "newShape").clone();
    if (Shapes.size(extents) != size()) {
      throw new IllegalArgumentException(
          "shape " + Shapes.text(extents) + " is invalid for input of size " + size());
    }
    if (layout() == Layout.CHANNELS_FIRST || rank() < 3) {
      return TensorScope.made(sharing(Layout.CHANNELS_FIRST, extents));
    }
    try (Tensor ordered = copy(Layout.CHANNELS_FIRST)) {
      return TensorScope.made(ordered.shareAs(extents));
    }
  }

  /**
   * A range of one dimension, as a view: nothing is copied, and what is written to one is in the
   * other. It keeps the memory, also after this tensor is closed.
   *
   * <pre>{@code
   * try (Tensor firstHalf = batch.narrow(0, 0, 16)) {         // samples 0 to 15 of 32
   *   norm.forward(firstHalf, firstHalf);
   * }
   * try (Tensor packed = Tensor.of(qkv, tokens, heads + 2 * keyHeads, length);
   *     Tensor queries = packed.narrow(1, 0, heads)) {         // some columns of every row
   *   queryNorm.forward(queries, queries);
   * }
   * }</pre>
   *
   * <p>A range of the dimension that comes first in memory, or of one before which all extents are
   * 1, lies in one piece and is as any tensor. Others, such as columns of a matrix, lie in pieces,
   * which {@link #toString} tells. {@link LayerNorm} and {@link RmsNorm} take them, for inference
   * and training, where each piece has one row or several; so do all copies, {@link #get}, {@link
   * #set} and {@link #addScaled}. Other layers, {@link #pointer} and {@link #buffer} refuse them:
   * {@link #to(Layout)} copies them into one.
   *
   * @param dimension which one, from 0 on
   * @param from the first index of the range
   * @param count how many there are; 0 is allowed
   * @return a tensor of its own to close, whose extent of that dimension is the count
   * @throws IndexOutOfBoundsException if there is no such dimension, or the range is not within it
   * @throws IllegalArgumentException if this lies in pieces, and those of the range would not be
   *     equally far apart
   * @throws IllegalStateException if this tensor is closed
   */
  public Tensor narrow(int dimension, long from, long count) {
    Shapes.requireRange(extents(), dimension, from, count);
    long[] extents = shape();
    extents[dimension] = count;
    long size = Shapes.size(extents);
    Pieces pieces = size == 0 ? null : Pieces.ofRange(this, dimension, extents);
    long before = size == 0 ? 0 : from * Pieces.inner(dimension, extents(), layout());
    long start = Pieces.place(pieces(), before);
    acquire();
    try {
      Memory part = span().slice(start, Pieces.span(pieces, size));
      return TensorScope.made(new Tensor(part, shareMemory(), layout(), extents, pieces));
    } finally {
      release();
    }
  }

  /** This tensor in an order and in one piece: another handle on the same memory, or a copy. */
  Tensor in(Layout wanted) {
    boolean isOrdered = wanted == layout() || rank() < 3;
    return isOrdered && pieces() == null ? sharing(wanted, extents()) : copy(wanted);
  }

  /** Another handle on the same memory, which keeps it. */
  Tensor share() {
    return sharing(layout(), extents());
  }

  /** The same in another shape of as many elements, which it must fit, channels first. */
  Tensor shareAs(long... extents) {
    return sharing(Layout.CHANNELS_FIRST, extents);
  }

  private Tensor sharing(Layout order, long[] extents) {
    acquire();
    try {
      return new Tensor(span(), shareMemory(), order, extents, pieces());
    } finally {
      release();
    }
  }
}
