package io.nativenorm.libraries;

import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/** LayerNorm against ND4J's operator, on its arrays. */
final class Nd4jTimes {
  private Nd4jTimes() {}

  public static void main(String[] arguments) throws Exception {
    for (int count : new int[] {1, 128, 1024}) {
      Rows rows = Rows.of(count, 768);
      INDArray x = Nd4j.create(rows.x(), rows.shape(), 'c');
      INDArray y = Nd4j.create(new float[rows.x().length], rows.shape(), 'c');
      DynamicCustomOp theirs =
          DynamicCustomOp.builder("layer_norm")
              .addInputs(x, Nd4j.createFromArray(rows.weight()), Nd4j.createFromArray(rows.bias()))
              .addOutputs(y)
              .addIntegerArguments(1)
              .addBooleanArguments(false)
              .build();
      try (LayerNorm norm = rows.layerNorm();
          Tensor input = Nd4jTensors.wrap(x);
          Tensor output = Nd4jTensors.wrap(y)) {
        norm.forward(input, output);
        rows.requireRight("NativeNorm", y.data().asFloat());
        y.assign(0);
        Nd4j.exec(theirs);
        rows.requireRight("ND4J", y.data().asFloat());
        Turns.race(
            count + " x 768",
            new Turns.Call("NativeNorm", () -> norm.forward(input, output)),
            new Turns.Call("with wrap", () -> wrapped(norm, x, y)),
            new Turns.Call("ND4J", () -> Nd4j.exec(theirs)));
      }
    }
    System.exit(0); // whatever threads ND4J leaves
  }

  private static void wrapped(LayerNorm norm, INDArray x, INDArray y) {
    try (Tensor input = Nd4jTensors.wrap(x);
        Tensor output = Nd4jTensors.wrap(y)) {
      norm.forward(input, output);
    }
  }
}
