package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import io.nativenorm.LayerNorm;
import io.nativenorm.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ONNX Runtime's tensors on memory of ours, and ours on theirs. */
class OnnxRuntimeTest extends LibraryTest {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final Rows rows = Rows.of(128, 768);
  @TempDir private Path models;
  private Path model;

  @BeforeEach
  void writeTheModel() throws Exception {
    model = Files.write(models.resolve("model.onnx"), OnnxModel.layerNorm(rows));
  }

  @Override
  String given() {
    return "String model = \"" + model + "\";\n";
  }

  @Test
  void aSessionReadsAndWritesOurMemory() throws Exception {
    try (Tensor x = Tensor.of(rows.x(), 128, 768);
        Tensor y = Tensor.zeros(128, 768);
        OrtSession session = environment.createSession(model.toString());
        OnnxTensor input = OnnxTensor.createTensor(environment, x.buffer(), x.shape());
        OnnxTensor output = OnnxTensor.createTensor(environment, y.buffer(), y.shape())) {
      session.run(Map.of("x", input), Map.of("y", output)).close();
      rows.requireRight("ONNX Runtime", y.toArray());
    }
  }

  @Test
  void memoryOfAClosedTensorIsReadAllTheSame() throws Exception {
    try (OrtSession session = environment.createSession(model.toString())) {
      OnnxTensor input;
      try (Tensor x = Tensor.of(rows.x(), 128, 768)) {
        input = OnnxTensor.createTensor(environment, x.buffer(), x.shape());
      }
      try (Tensor next = Tensor.zeros(128, 768);
          OrtSession.Result result = session.run(Map.of("x", input))) {
        assertEquals(0, next.get(0, 0)); // not on the memory that x has left
        rows.requireRight("ONNX Runtime", ((OnnxTensor) result.get(0)).getFloatBuffer());
      }
      input.close();
    }
  }

  @Test
  void aDirectBufferOfTheirsIsWrapped() throws Exception {
    FloatBuffer values =
        ByteBuffer.allocateDirect(rows.x().length * Float.BYTES)
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer()
            .put(0, rows.x());
    try (OnnxTensor theirs = OnnxTensor.createTensor(environment, values, rows.shape());
        LayerNorm norm = rows.layerNorm();
        Tensor ours = Tensor.wrap((FloatBuffer) theirs.getBufferRef().get(), rows.shape())) {
      norm.forward(ours, ours);
      rows.requireRight("what ONNX Runtime has", theirs.getFloatBuffer());
    }
  }

  @Test
  void aResultThatIsNotBoundHasNoBufferToWrap() throws Exception {
    try (Tensor x = Tensor.of(rows.x(), 128, 768);
        OrtSession session = environment.createSession(model.toString());
        OnnxTensor input = OnnxTensor.createTensor(environment, x.buffer(), x.shape());
        OrtSession.Result result = session.run(Map.of("x", input))) {
      OnnxTensor y = (OnnxTensor) result.get(0);
      assertThrows(NullPointerException.class, y::getBufferRef); // 1.29 does not look
      y.getFloatBuffer().put(0, Float.NaN);
      assertFalse(Float.isNaN(y.getFloatBuffer().get(0)), "each is a copy");
    }
  }
}
