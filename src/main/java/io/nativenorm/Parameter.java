package io.nativenorm;

import io.nativenorm.engine.memory.Memory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A tensor that a layer owns or, on a caller's memory, holds, and the handle its users see. They
 * are two, so that a user who closes the handle does not take the memory from under the layer.
 */
final class Parameter {
  private final Tensor memory;
  private final boolean isShared;
  private Tensor handle;

  private Parameter(Tensor memory, boolean isShared) {
    this.memory = memory;
    this.isShared = isShared;
    handle = memory.share();
  }

  /** A parameter of a shape on a caller's memory, which this holds. */
  static Parameter shared(String layer, String name, Tensor given, long... shape) {
    long[] extents = Shapes.withoutOnes(given.extents());
    boolean isOrdered =
        given.layout() == Layout.CHANNELS_FIRST || given.rank() < 3 || extents.length < 2;
    boolean isClose = isOrdered && given.pieces() == null;
    if (!Arrays.equals(extents, Shapes.withoutOnes(shape)) || !isClose) {
      throw new IllegalArgumentException(
          layer
              + ": expected a shared "
              + name
              + " of shape "
              + Shapes.text(shape)
              + ", but for extents of 1, in order and in one piece, but got "
              + given);
    }
    if (given.dataType() != DataType.F32) {
      throw new IllegalArgumentException(
          layer
              + ": this version computes with parameters in F32 only, also for inputs of other"
              + " types, but the shared "
              + name
              + " is "
              + given
              + "; load copies and widens it");
    }
    return new Parameter(given.shareAs(shape), true);
  }

  /** A parameter of a shape with all elements one value. */
  static Parameter filled(float value, long... shape) {
    Tensor memory = Tensor.uninitialized(DataType.F32, Layout.CHANNELS_FIRST, shape);
    memory.memory().setAll(value);
    return new Parameter(memory, false);
  }

  /** A count, of nothing yet. */
  static Parameter count() {
    Tensor memory = Tensor.uninitialized(DataType.I64, Layout.CHANNELS_FIRST);
    memory.memory().setAll(0);
    return new Parameter(memory, false);
  }

  static @Nullable Tensor handle(@Nullable Parameter parameter) {
    return parameter == null ? null : parameter.openHandle();
  }

  private synchronized Tensor openHandle() {
    if (handle.isClosed() && !memory.isClosed()) {
      handle = memory.share();
    }
    return handle;
  }

  static @Nullable Memory memory(@Nullable Parameter parameter) {
    return parameter == null ? null : parameter.memory.memory();
  }

  boolean isShared() {
    return isShared;
  }

  boolean isReadOnly() {
    return memory.isReadOnly();
  }

  /** Throws if a caller's memory has ended. */
  void requireThere() {
    memory.memory().requireThere(memory);
  }

  long[] shape() {
    return memory.shape();
  }

  long[] extents() {
    return memory.extents();
  }

  long size() {
    return memory.size();
  }

  /** Copies the elements of a tensor of the same size and type in. */
  void set(Tensor values) {
    values.memory().copyTo(memory.memory());
  }

  synchronized void close() {
    handle.close();
    memory.close();
  }
}
