package io.nativenorm.libraries;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.complex.FixedSizeListVector;

/** Ours on the memory of a vector of Arrow's: a row for each of its lists. */
final class ArrowTensors {
  static Tensor wrap(FixedSizeListVector lists) {
    if (!(lists.getDataVector() instanceof Float4Vector values) || values.getNullCount() > 0) {
      throw new IllegalArgumentException("expected floats, none of them null: " + lists.getField());
    }
    long[] shape = {lists.getValueCount(), lists.getListSize()};
    return Tensor.wrap(
        values.getDataBuffer().memoryAddress(), lists, DataType.F32, Layout.CHANNELS_FIRST, shape);
  }
}
