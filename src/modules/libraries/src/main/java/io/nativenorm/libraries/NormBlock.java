package io.nativenorm.libraries;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import java.nio.ByteBuffer;

/**
 * DJL's LayerNorm on its PyTorch engine, with its parameters, files and training; inference of
 * floats on a processor is NativeNorm's.
 */
public final class NormBlock extends ai.djl.nn.norm.LayerNorm {
  /** Whose OpenMP threads make what a block is given, and take what it gives. */
  static final String PYTORCH = System.mapLibraryName("torch_cpu");

  /** A layer on the memory of DJL's parameters. */
  private record Own(NDArray gamma, NDArray beta, LayerNorm norm) {}

  private volatile Own own;

  /** Whether the last input was one row. To ask DJL for a shape takes as long as two such rows. */
  private volatile boolean wasRow;

  /**
   * A block in place of DJL's.
   *
   * @param options as for DJL's
   */
  public NormBlock(Builder options) {
    super(options);
  }

  @Override
  protected NDList forwardInternal(
      ParameterStore store, NDList inputs, boolean training, PairList<String, Object> more) {
    NDArray x = inputs.singletonOrThrow();
    NDArray y = training || !wasRow ? null : row(x);
    if (y == null && !training && isOnOurs(x)) {
      y = rows(x);
    }
    return y == null ? super.forwardInternal(store, inputs, training, more) : new NDList(y);
  }

  private static boolean isOnOurs(NDArray array) {
    return array.getDataType() == DataType.FLOAT32 && array.getDevice().equals(Device.cpu());
  }

  /**
   * A copy of an array of one row, normalized where it lies; null if the array is another. That of
   * one row is dense. Of others it may be permuted as they are, and a buffer of it another copy.
   */
  private NDArray row(NDArray x) {
    NDArray y = x.duplicate();
    ByteBuffer bytes = y.toByteBuffer(true);
    long length = normalizedShape.get(0);
    if (bytes.remaining() != length * Float.BYTES || !isOnOurs(y)) {
      y.close();
      return null;
    }
    try (Tensor tensor = Tensor.wrap(bytes.asFloatBuffer(), length)) {
      own().norm.forward(tensor, tensor);
    }
    return y;
  }

  /** The rows of an array, normalized into a new one; null if there are none. */
  private NDArray rows(NDArray x) {
    Shape shape = x.getShape();
    if (shape.size() == 0) {
      return null;
    }
    wasRow = normalizedShape.dimension() == 1 && shape.size() == normalizedShape.get(0);
    NDArray y = x.getManager().create(shape);
    try (Tensor from = wrap(x, shape);
        Tensor to = wrap(y, shape)) {
      own().norm.forward(from, to);
    }
    return y;
  }

  private Own own() {
    Own now = own;
    NDArray weight = gamma.getArray();
    NDArray bias = beta.getArray();
    if (now == null || now.gamma != weight || now.beta != bias) {
      try (Tensor sharedWeight = wrap(weight, normalizedShape);
          Tensor sharedBias = wrap(bias, normalizedShape)) {
        LayerNorm norm =
            LayerNorm.builder(normalizedShape.getShape())
                .eps(epsilon)
                .weight(sharedWeight)
                .bias(sharedBias)
                .threadsOf(PYTORCH)
                .build();
        now = new Own(weight, bias, norm);
      }
      own = now;
    }
    return now;
  }

  /** On its memory if it is dense, else on a copy, which its manager closes. */
  private static Tensor wrap(NDArray array, Shape shape) {
    return Tensor.wrap(array.toByteBuffer(true).asFloatBuffer(), shape.getShape());
  }
}
