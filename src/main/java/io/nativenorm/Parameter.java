package io.nativenorm;

import io.nativenorm.engine.memory.Memory;
import org.jspecify.annotations.Nullable;

/**
 * A tensor that a layer owns, and the handle its users see. They are two, so that a user who closes
 * the handle does not take the memory from under the layer.
 */
final class Parameter {
  private final Tensor memory;
  private Tensor handle;

  private Parameter(Tensor memory) {
    this.memory = memory;
    handle = memory.share();
  }

  /** A parameter of a shape with all elements one value. */
  static Parameter filled(float value, long... shape) {
    Tensor memory = Tensor.uninitialized(DataType.F32, Layout.CHANNELS_FIRST, shape);
    memory.memory().setAll(value);
    return new Parameter(memory);
  }

  /** A count, of nothing yet. */
  static Parameter count() {
    Tensor memory = Tensor.uninitialized(DataType.I64, Layout.CHANNELS_FIRST);
    memory.memory().setAll(0);
    return new Parameter(memory);
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
