package io.nativenorm.libraries;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.tensorflow.ndarray.buffer.DataStorageVisitor;
import org.tensorflow.types.TFloat32;

/** Ours on the memory of a tensor of TensorFlow's. */
final class TensorFlowTensors {
  static Tensor wrap(TFloat32 theirs, Layout layout) {
    long[] shape = theirs.shape().asArray();
    if (layout == Layout.CHANNELS_LAST) { // NHWC there, N, C, H, W here
      long channels = shape[shape.length - 1];
      System.arraycopy(shape, 1, shape, 2, shape.length - 2);
      shape[1] = channels;
    }
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
