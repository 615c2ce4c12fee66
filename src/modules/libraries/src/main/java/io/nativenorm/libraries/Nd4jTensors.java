package io.nativenorm.libraries;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Tensors on the memory of ND4J's arrays. */
final class Nd4jTensors {
  static Tensor wrap(INDArray array) {
    boolean fits = !array.isEmpty() && array.dataType().name().equals("FLOAT");
    long dense = 1; // stride in 'c' order, from the last dimension on; ordering() does not tell
    for (int i = array.rank() - 1; i >= 0; dense *= array.size(i--)) {
      fits &= array.size(i) == 1 || array.stride(i) == dense;
    }
    if (!fits) {
      throw new IllegalArgumentException(
          "expected floats dense in 'c' order, but got " + array.shapeInfoToString());
    }
    DataBuffer data = array.data(); // of the whole array, if this is a part of one
    long address = data.address() + Float.BYTES * array.offset();
    return Tensor.wrap(address, data, DataType.F32, Layout.CHANNELS_FIRST, array.shape());
  }
}
