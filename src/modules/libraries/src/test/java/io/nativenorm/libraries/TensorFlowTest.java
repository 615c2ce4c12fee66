package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.nativenorm.BatchNorm;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.junit.jupiter.api.Test;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

/** Tensors of ours on TensorFlow's memory. */
class TensorFlowTest extends LibraryTest {
  private final Images images = Images.of(2, 5, 7, 3);

  private static float[] values(TFloat32 tensor) {
    float[] values = new float[(int) tensor.size()];
    tensor.asRawTensor().data().asFloats().read(values);
    return values;
  }

  @Test
  void imagesAreNormalizedWhereTheyLie() {
    try (TFloat32 theirs =
            TFloat32.tensorOf(
                Shape.of(2, 7, 3, 5), DataBuffers.of(images.in(Layout.CHANNELS_LAST, images.x())));
        BatchNorm norm = images.batchNorm();
        Tensor x = TensorFlowTensors.wrap(theirs, Layout.CHANNELS_LAST)) {
      norm.forward(x, x);
      Answers.requireRight(
          "what TensorFlow has",
          values(theirs),
          images.in(Layout.CHANNELS_LAST, images.batchNormalized()));
    }
  }

  /** A result of an operation, in the eager session's memory. */
  @Test
  void resultsAreReadWhereTheyLie() {
    Ops ops = Ops.create();
    Operand<TFloat32> sum =
        ops.math.add(ops.constant(new float[] {1, 2, 3}), ops.constant(new float[] {4, 5, 6}));
    try (Tensor x = TensorFlowTensors.wrap(sum.asTensor(), Layout.CHANNELS_FIRST)) {
      assertArrayEquals(new float[] {5, 7, 9}, x.toArray());
    }
  }
}
