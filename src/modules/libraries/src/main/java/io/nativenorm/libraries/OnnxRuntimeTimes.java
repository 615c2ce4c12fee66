package io.nativenorm.libraries;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import java.util.Map;

/**
 * LayerNorm against a model of ONNX Runtime's that is one LayerNormalization, on the same memory.
 */
final class OnnxRuntimeTimes {
  private OnnxRuntimeTimes() {}

  public static void main(String[] arguments) throws Exception {
    for (int count : new int[] {1, 128, 1024}) {
      Rows rows = Rows.of(count, 768);
      OrtEnvironment environment = OrtEnvironment.getEnvironment();
      try (LayerNorm norm = rows.layerNorm();
          Tensor x = Tensor.of(rows.x(), rows.shape());
          Tensor y = Tensor.zeros(rows.shape());
          OrtSession session = environment.createSession(OnnxModel.layerNorm(rows));
          OnnxTensor input = OnnxTensor.createTensor(environment, x.buffer(), rows.shape());
          OnnxTensor output = OnnxTensor.createTensor(environment, y.buffer(), rows.shape())) {
        Map<String, OnnxTensor> inputs = Map.of("x", input);
        Map<String, OnnxTensor> outputs = Map.of("y", output);
        norm.forward(x, y);
        rows.requireRight("NativeNorm", y.buffer());
        y.copyFrom(new float[rows.x().length]);
        session.run(inputs, outputs).close();
        rows.requireRight("ONNX Runtime", y.buffer());
        Turns.race(
            count + " x 768",
            new Turns.Call("NativeNorm", () -> norm.forward(x, y)),
            new Turns.Call("ONNX Runtime", () -> session.run(inputs, outputs).close()));
      }
    }
  }
}
