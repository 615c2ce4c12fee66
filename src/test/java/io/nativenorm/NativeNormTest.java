package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Engines, the choice among them, and the system properties. */
class NativeNormTest {
  /** What FUSED says in a clone where there was no compiler. */
  private static final String NOT_BUILT =
      "its library cannot be loaded: no "
          + System.mapLibraryName("jninativenorm")
          + " for "
          + Loader.getPlatform()
          + " was found, which ./build-native.sh --install in ";

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
        List.of(Backend.FUSED, Backend.ONEDNN, Backend.JAVA),
        engines.stream().map(NativeNorm.EngineInfo::backend).toList());
    assertTrue(engines.get(1).available());
    assertTrue(engines.get(1).detail().startsWith("oneDNN 3.11."), engines.get(1).detail());
    String fused = engines.get(0).detail();
    assertTrue(fused.startsWith(TestEngines.hasFused() ? "kernels for " : NOT_BUILT), fused);
    for (NativeNorm.EngineInfo engine : engines) {
      String line =
          engine.backend() + (engine.available() ? ": " : " is missing: ") + engine.detail();
      assertTrue(NativeNorm.describe().contains("\n  " + line), NativeNorm.describe());
    }
  }

  @Test
  void explainNamesTheKernelAndTheOthersReasons() {
    TestEngines.assumeFused();
    try (LayerNorm layer = LayerNorm.builder(64).threads(2).build();
        Tensor x = Tensor.zeros(16, 64)) {
      String reasons =
          """

              not ONEDNN: accepts it, but comes after FUSED
              not JAVA: accepts it, but comes after FUSED
          """
              .stripTrailing();
      String pattern = "LayerNorm([64]) on F32 CHANNELS_FIRST [16, 64], backend AUTO, threads 2";
      for (String direction : List.of("inference", "training", "backward")) {
        pattern += "\n  " + direction + ": FUSED, kernel fused KERNEL" + reasons;
      }
      String text = layer.explain(x).replaceAll("kernel fused .*", "kernel fused KERNEL");
      assertEquals(pattern, text);
    }
  }

  @Test
  void aNamedBackendSaysThatTheOthersWereNotAsked() {
    String kernel = Loader.getPlatform().endsWith("-arm64") ? "simple:any" : "jit:uni";
    try (LayerNorm layer = LayerNorm.builder(64).threads(2).backend(Backend.ONEDNN).build();
        Tensor x = Tensor.zeros(16, 64)) {
      assertEquals(
          """
          LayerNorm([64]) on F32 CHANNELS_FIRST [16, 64], backend ONEDNN, threads 2
            inference: ONEDNN, kernel onednn KERNEL
              not FUSED: not asked: the backend is ONEDNN
              not JAVA: not asked: the backend is ONEDNN
            training: ONEDNN, kernel onednn KERNEL
              not FUSED: not asked: the backend is ONEDNN
              not JAVA: not asked: the backend is ONEDNN
            backward: ONEDNN, kernel onednn KERNEL
              not FUSED: not asked: the backend is ONEDNN
              not JAVA: not asked: the backend is ONEDNN"""
              .replace("KERNEL", kernel),
          layer.explain(x));
    }
  }

  @Test
  void autoPassesOverTheReferenceLoopsOfOnednn() {
    try (GroupNorm layer = GroupNorm.of(2, 4);
        GroupNorm forced = GroupNorm.builder(2, 4).backend(Backend.ONEDNN).build();
        Tensor x = Tensor.zeros(2, 4, 3)) {
      assertTrue(
          layer.explain(x).contains("not ONEDNN: accepts it, but has only its ref:any loops"),
          layer.explain(x));
      assertTrue(
          forced.explain(x).contains("backward: ONEDNN, kernel onednn sums in blocks"),
          forced.explain(x));
    }
  }

  @Test
  void autoKeepsSmallGradientsOnTheirCallersThread() {
    try (LayerNorm layer = LayerNorm.of(8);
        Tensor x = Tensor.zeros(2, 8)) {
      assertTrue(
          layer.explain(x).contains("not ONEDNN: accepts it, but JAVA is as fast for so little"),
          layer.explain(x));
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
    "-Dnativenorm.pool=lots, 1, 'nativenorm.pool expects a number of bytes, such as 512m, or 0, but"
        + " got lots'",
    "'-Dnativenorm.require=onednn,java', 0, ONEDNN",
    "-Dnativenorm.backend=onednn, 0, 'not FUSED: not asked'",
    "-Dnativenorm.require=cuda, 1, 'nativenorm.require names cuda, which is missing: not part of"
        + " this build'"
  })
  void systemProperties(String property, int status, String says) throws Exception {
    JavaProcess process = JavaProcess.run(Explain.class, Map.of(), property);
    assertEquals(status, process.status(), process.output());
    assertTrue(process.output().contains(says), process.output());
  }

  @Test
  void aRequiredEngineIsThereOrNothingStarts() throws Exception {
    JavaProcess process =
        JavaProcess.run(Explain.class, Map.of(), "-Dnativenorm.require=fused,onednn");
    boolean there = TestEngines.hasFused();
    assertEquals(there ? 0 : 1, process.status(), process.output());
    String says =
        there
            ? "inference: FUSED"
            : "nativenorm.require names fused, which is missing: " + NOT_BUILT;
    assertTrue(process.output().contains(says), process.output());
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 17, 4096, 300_001})
  void aPlainPassIsOneMultiplicationAndOneAddition(long size) {
    TestEngines.assumeFused();
    try (Tensor x = Tensor.zeros(size);
        Tensor y = Tensor.zeros(size)) {
      float[] values = TestData.normal(1, (int) size, 0, 1);
      x.copyFrom(values);
      NativeNorm.plainPass(x, y, 2, 0.5f);
      float[] expected = new float[(int) size];
      for (int i = 0; i < size; i++) {
        expected[i] = 2 * values[i] + 0.5f; // exact but for one rounding, fused or not
      }
      assertArrayEquals(expected, y.toArray());
    }
  }

  @Test
  void aPlainPassNeedsTensorsOfOneSize() {
    try (Tensor x = Tensor.zeros(3);
        Tensor y = Tensor.zeros(4)) {
      assertThrows(IllegalArgumentException.class, () -> NativeNorm.plainPass(x, y, 1, 0));
    }
  }

  /** Says what there is, and computes something on FUSED. */
  public static final class Instructions {
    private Instructions() {}

    /** Prints both, or what is wrong. */
    public static void main(String[] arguments) {
      try (LayerNorm layer = LayerNorm.builder(4).backend(Backend.FUSED).build();
          Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, 4)) {
        System.out.println(layer.explain(x));
        System.out.println(NativeNorm.describe());
      } catch (IllegalArgumentException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void thePropertyCapsTheInstructionSet() throws Exception {
    TestEngines.assumeFused();
    String output =
        JavaProcess.run(Instructions.class, Map.of(), "-Dnativenorm.instructions=sse4").output();
    // On arm64, where that is no name of its own, all are allowed: NEON.
    boolean x86 = System.getProperty("os.arch").matches("amd64|x86_64");
    String kernel = x86 ? "kernel fused sse4 layer_rows_f32" : "kernel fused neon layer_rows_f32";
    assertTrue(output.contains(kernel), output);
    String used = x86 ? "SSE4 (the best that nativenorm.instructions allows), " : "NEON, ";
    assertTrue(output.contains("kernels for " + used), output);
    String unknown =
        JavaProcess.run(Instructions.class, Map.of(), "-Dnativenorm.instructions=mmx").output();
    // Newer JDKs print warnings of their own beside it.
    assertTrue(
        unknown
            .lines()
            .anyMatch(
                "nativenorm.instructions expects sse4, avx2, avx512 or neon, but got mmx"::equals),
        unknown);
  }
}
