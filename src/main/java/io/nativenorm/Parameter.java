package io.nativenorm;

import io.nativenorm.engine.NativeFloats;

/**
 * A tensor that a layer owns, and the handle its users see. They are two, so that a user who closes
 * the handle does not take the memory from under the layer.
 */
final class Parameter {
  private final Tensor memory;
  private Tensor handle;

  /** A parameter of a shape with all elements one value. */
  Parameter(float value, long... shape) {
    memory = Tensor.uninitialized(DataType.F32, Layout.CHANNELS_FIRST, shape);
    memory.floats().setAll(value);
    handle = memory.share();
  }

  static Tensor handle(Parameter parameter) {
    return parameter == null ? null : parameter.openHandle();
  }

  private synchronized Tensor openHandle() {
    if (handle.isClosed() && !memory.isClosed()) {
      handle = memory.share();
    }
    return handle;
  }

  static NativeFloats floats(Parameter parameter) {
    return parameter == null ? null : parameter.memory.floats();
  }

  long[] shape() {
    return memory.shape();
  }

  long size() {
    return memory.size();
  }

  /** Copies as many values in. */
  void set(float[] values) {
    memory.floats().write(0, values, 0, values.length);
  }

  synchronized void close() {
    handle.close();
    memory.close();
  }
}
