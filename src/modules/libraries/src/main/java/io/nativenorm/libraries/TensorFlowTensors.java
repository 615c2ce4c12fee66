package io.nativenorm.libraries;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.tensorflow.ndarray.buffer.DataStorageVisitor;
import org.tensorflow.types.TFloat32;

/** Ours on the memory of a tensor of TensorFlow's. */
final class TensorFlowTensors {
  /** The shape is N, C, then spatial, in either order. */
  static Tensor wrap(TFloat32 theirs, Layout layout, long... shape) {
    return theirs
        .asRawTensor()
        .data()
        .accept(
            new DataStorageVisitor<>() {
              @Override
              public Tensor visit(long address, long bytes, long elementBytes) {
                return Tensor.wrap(address, theirs, DataType.F32, layout, shape);
              }

              @Override
              public Tensor fallback() {
                throw new IllegalArgumentException("no memory outside the heap: " + theirs);
              }
            });
  }
}
