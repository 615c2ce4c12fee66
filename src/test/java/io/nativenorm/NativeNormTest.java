package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Engines, the choice among them, and the system properties. */
class NativeNormTest {
  /** Prints which engine a layer runs on. */
  static final class Explain {
    public static void main(String[] args) {
      try (LayerNorm layer = LayerNorm.of(4);
          Tensor x = Tensor.zeros(2, 4)) {
        System.out.println(layer.explain(x));
      }
    }
  }

  @Test
  void enginesSayWhatTheyAre() {
    List<NativeNorm.EngineInfo> engines = NativeNorm.engines();
    assertEquals(
        List.of(Backend.ONEDNN, Backend.JAVA, Backend.FUSED),
        engines.stream().map(NativeNorm.EngineInfo::backend).toList());
    assertTrue(engines.get(0).available());
    assertTrue(engines.get(0).detail().startsWith("oneDNN 3.11."), engines.get(0).detail());
    assertEquals("not part of this build", engines.get(2).detail());
    assertTrue(NativeNorm.describe().contains("FUSED is missing"), NativeNorm.describe());
  }

  @Test
  void explainNamesTheKernelAndTheOthersReasons() {
    try (LayerNorm layer = LayerNorm.builder(64).threads(2).build();
        Tensor x = Tensor.zeros(16, 64)) {
      assertEquals(
          """
          LayerNorm([64]) on F32 CHANNELS_FIRST [16, 64], backend AUTO, threads 2
            inference: ONEDNN, kernel onednn jit:uni
              not FUSED: not part of this build
              not JAVA: accepts it, but comes after ONEDNN
            training: ONEDNN, kernel onednn jit:uni
              not FUSED: not part of this build
              not JAVA: accepts it, but comes after ONEDNN
            backward: ONEDNN, kernel onednn jit:uni
              not FUSED: not part of this build
              not JAVA: accepts it, but comes after ONEDNN""",
          layer.explain(x));
    }
  }

  @Test
  void autoPassesOverTheReferenceLoopsOfOnednn() {
    try (GroupNorm layer = GroupNorm.of(2, 4);
        GroupNorm forced = GroupNorm.builder(2, 4).backend(Backend.ONEDNN).build();
        Tensor x = Tensor.zeros(2, 4, 3)) {
      assertTrue(layer.explain(x).contains("backward: JAVA, kernel reference"), layer.explain(x));
      assertTrue(
          forced.explain(x).contains("backward: ONEDNN, kernel onednn ref:any"), forced.explain(x));
    }
  }

  @Test
  void autoKeepsSmallGradientsOnTheirCallersThread() {
    try (LayerNorm layer = LayerNorm.of(8);
        Tensor x = Tensor.zeros(2, 8)) {
      assertTrue(layer.explain(x).contains("backward: JAVA, kernel reference"), layer.explain(x));
    }
  }

  @Test
  void anEmptyInputNeedsNoEngine() {
    try (LayerNorm layer = LayerNorm.of(8);
        Tensor x = Tensor.zeros(0, 8)) {
      assertTrue(layer.explain(x).contains("the input is empty"), layer.explain(x));
      assertEquals(0, layer.forward(new float[0]).length);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "-Dnativenorm.backend=java, 0, 'inference: JAVA, kernel reference'",
    "-Dnativenorm.backend=quick, 1, 'nativenorm.backend expects auto, fused, onednn or java, but got"
        + " quick'",
    "-Dnativenorm.threads=3, 0, threads 3",
    "-Dnativenorm.threads=many, 1, 'nativenorm.threads expects a whole number, but got many'",
    "'-Dnativenorm.require=onednn,java', 0, ONEDNN",
    "'-Dnativenorm.require=fused,onednn', 1, 'nativenorm.require names fused, which is missing: not"
        + " part of this build'",
    "-Dnativenorm.require=cuda, 1, 'nativenorm.require names cuda, which is missing: not part of"
        + " this build'"
  })
  void systemProperties(String property, int status, String says) throws Exception {
    JavaProcess process = JavaProcess.run(Explain.class, Map.of(), property);
    assertEquals(status, process.status(), process.output());
    assertTrue(process.output().contains(says), process.output());
  }
}
