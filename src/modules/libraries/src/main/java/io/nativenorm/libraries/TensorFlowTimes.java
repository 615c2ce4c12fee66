package io.nativenorm.libraries;

import io.nativenorm.BatchNorm;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import java.util.Arrays;
import org.tensorflow.Graph;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.nn.FusedBatchNorm;
import org.tensorflow.types.TFloat32;

/** BatchNorm's inference against a graph that is one FusedBatchNorm, on TensorFlow's tensors. */
final class TensorFlowTimes {
  private TensorFlowTimes() {}

  public static void main(String[] arguments) throws Exception {
    race(Images.of(1, 64, 56, 56));
    race(Images.of(8, 64, 56, 56));
  }

  private static void race(Images images) throws Exception {
    long[] shape = images.shape();
    Shape theirShape = Shape.of(shape[0], shape[2], shape[3], shape[1]);
    try (Graph graph = new Graph();
        Session session = new Session(graph);
        TFloat32 input =
            TFloat32.tensorOf(
                theirShape, DataBuffers.of(images.in(Layout.CHANNELS_LAST, images.x())));
        TFloat32 output = TFloat32.tensorOf(theirShape);
        BatchNorm norm = images.batchNorm();
        Tensor x = TensorFlowTensors.wrap(input, Layout.CHANNELS_LAST);
        Tensor y = TensorFlowTensors.wrap(output, Layout.CHANNELS_LAST)) {
      Ops ops = Ops.create(graph);
      Placeholder<TFloat32> fed = ops.placeholder(TFloat32.class);
      FusedBatchNorm<TFloat32, TFloat32> operation =
          ops.nn.fusedBatchNorm(
              fed,
              ops.constant(images.weight()),
              ops.constant(images.bias()),
              ops.constant(images.mean()),
              ops.constant(images.variance()),
              FusedBatchNorm.epsilon((float) Images.EPS),
              FusedBatchNorm.isTraining(false));
      Session.Runner runner = session.runner().feed(fed, input).fetch(operation.y());
      float[] expected = images.in(Layout.CHANNELS_LAST, images.batchNormalized());
      norm.forward(x, y);
      Answers.requireRight("NativeNorm", y.toArray(), expected);
      try (Result result = runner.run();
          Tensor theirs = TensorFlowTensors.wrap((TFloat32) result.get(0), Layout.CHANNELS_LAST)) {
        Answers.requireRight("TensorFlow", theirs.toArray(), expected);
      }
      Turns.race(
          "BatchNorm " + Arrays.toString(shape),
          new Turns.Call("NativeNorm", () -> norm.forward(x, y)),
          new Turns.Call(
              "NativeNorm, result allocated by TensorFlow and both wrapped",
              () -> {
                try (TFloat32 made = TFloat32.tensorOf(theirShape);
                    Tensor in = TensorFlowTensors.wrap(input, Layout.CHANNELS_LAST);
                    Tensor out = TensorFlowTensors.wrap(made, Layout.CHANNELS_LAST)) {
                  norm.forward(in, out);
                }
              }),
          new Turns.Call("TensorFlow", () -> runner.run().close()));
    }
  }
}
