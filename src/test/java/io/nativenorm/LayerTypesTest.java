package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Layers on tensors in 16 bits: all ways to call them give F32's results, rounded once. What
 * engines make of every size is in {@link StoredTypesTest}.
 */
class LayerTypesTest {
  private static final long[][] SHAPES = {{5, 12}, {2, 12, 7, 5}};

  /** The types with what PyTorch's tests allow: relative to a value, and to 1. */
  private static final Map<DataType, Double> TOLERANCES =
      Map.of(DataType.BF16, 1.6e-2, DataType.F16, 1e-3);

  private static final double ABSOLUTE = 1e-5;

  /**
   * AUTO runs what FUSED does not have on JAVA, and so is left out where these two have F32 bits of
   * their own.
   */
  private static Stream<Backend> engines() {
    boolean oneAnswer =
        Engines.all().stream()
            .filter(e -> e.backend() != Backend.ONEDNN && e.unavailable().isEmpty())
            .allMatch(Engine::isReproducible);
    return oneAnswer ? Stream.of(Backend.AUTO, Backend.JAVA) : Stream.of(Backend.JAVA);
  }

  private static List<LayerCase> cases(LayerCase.Kind kind) {
    List<LayerCase> cases = new ArrayList<>();
    for (long[] shape : SHAPES) {
      for (Layout layout : Layout.values()) {
        boolean single = kind == LayerCase.Kind.INSTANCE && shape.length == 2;
        engines()
            .filter(backend -> !single)
            .map(backend -> new LayerCase(kind, layout, backend, shape).withMean(3))
            .flatMap(c -> Stream.of(c, c.with(Activation.RELU)))
            .forEach(cases::add);
      }
    }
    return cases;
  }

  /** Whether this layer has statistics of its own to train with. */
  private static boolean isTrainable(LayerCase c) {
    return c.s() > 1 || c.kind() != LayerCase.Kind.INSTANCE_RUNNING;
  }

  private static void assertRounded(Tensor expected, Tensor found, String what) {
    try (Tensor rounded = expected.to(found.dataType())) {
      assertEquals(rounded.toString(), found.toString(), what);
      assertArrayEquals(rounded.toArray(), found.toArray(), what);
    }
  }

  @ParameterizedTest
  @EnumSource(LayerCase.Kind.class)
  void inferenceIsThatOfF32RoundedOnce(LayerCase.Kind kind) {
    for (LayerCase c : cases(kind)) {
      for (DataType type : TOLERANCES.keySet()) {
        checkInference(c, type);
      }
    }
  }

  private static void checkInference(LayerCase c, DataType type) {
    String what = c + " in " + type;
    try (NormLayer layer = c.layer();
        Tensor whole = c.tensor(c.x());
        Tensor x = whole.to(type);
        Tensor wide = x.to(DataType.F32);
        Tensor y32 = layer.forward(wide);
        Tensor ofWhole = layer.forward(whole);
        Tensor y = layer.forward(x);
        Tensor given = Tensor.allocate(type, c.layout(), c.shape());
        Tensor wider = Tensor.allocate(DataType.F32, c.layout(), c.shape())) {
      assertEquals(x.toString(), y.toString());
      assertRounded(y32, y, what);
      layer.forward(x, wider);
      assertRounded(y32, wider, what + " to F32");
      layer.forward(whole, given);
      assertRounded(ofWhole, given, what + " from F32");
      layer.forward(x, given);
      assertRounded(y32, given, what + " into a tensor");
      layer.forward(x, x);
      assertRounded(y32, x, what + " in place");
      double[] expected = c.inferenceOracle().forward(TestData.widen(c.logical(wide)));
      assertNear(expected, c.logical(y), type, what);
    }
  }

  private static void assertNear(double[] expected, float[] found, DataType type, String what) {
    for (int i = 0; i < found.length; i++) {
      double error = Math.abs(expected[i] - found[i]);
      double most = ABSOLUTE + TOLERANCES.get(type) * Math.abs(expected[i]);
      float y = found[i];
      double exact = expected[i];
      assertTrue(error <= most, () -> what + ": " + y + " for " + exact);
    }
  }

  @ParameterizedTest
  @EnumSource(LayerCase.Kind.class)
  void trainingIsThatOfF32RoundedOnce(LayerCase.Kind kind) {
    for (LayerCase c : cases(kind)) {
      for (DataType type : TOLERANCES.keySet()) {
        if (isTrainable(c)) {
          checkTraining(c, type, false);
        }
        if (kind.isRunning()) {
          checkTraining(c, type, true);
        }
      }
    }
  }

  private static Pass pass(NormLayer layer, Tensor x, boolean frozen) {
    return frozen ? ((RunningNorm) layer).forwardFrozen(x) : layer.forwardTraining(x);
  }

  private static void checkTraining(LayerCase c, DataType type, boolean frozen) {
    String what = c + " in " + type + (frozen ? " frozen" : "");
    float[] random = c.dy();
    try (NormLayer layer = c.layer();
        NormLayer layer32 = c.layer();
        Tensor whole = c.tensor(c.x());
        Tensor x = whole.to(type);
        Tensor wide = x.to(DataType.F32);
        Pass pass = pass(layer, x, frozen);
        Pass pass32 = pass(layer32, wide, frozen)) {
      assertRounded(pass32.output(), pass.output(), what);
      assertEquals(type, pass.output().dataType());
      assertRounded(pass32.variance(), pass.variance(), what + " variance");
      assertEquals(DataType.F32, pass.variance().dataType());
      if (pass.mean() == null) {
        assertNull(pass32.mean());
      } else {
        assertRounded(pass32.mean(), pass.mean(), what + " mean");
      }
      layer32.state().forEach((name, t) -> assertRounded(t, layer.state().get(name), what + name));
      // Where rounding made a positive y 0, the two masks differ: those elements are left out.
      float[] stored = c.logical(pass.output());
      float[] exact = c.logical(pass32.output());
      Oracle oracle = frozen ? c.inferenceOracle() : c.trainingOracle();
      double[] x64 = TestData.widen(c.logical(wide));
      oracle.forward(x64);
      boolean[] undecided = oracle.undecided(x64);
      for (int i = 0; i < random.length; i++) {
        random[i] = undecided[i] || (stored[i] == 0 && exact[i] != 0) ? 0 : random[i];
      }
      try (Tensor dyWhole = c.tensor(random);
          Tensor dy = dyWhole.to(type);
          Tensor dy32 = dy.to(DataType.F32);
          Gradients found = pass.backward(dy);
          Gradients expected = pass32.backward(dy32)) {
        assertEquals(x.toString(), found.input().toString());
        assertRounded(expected.input(), found.input(), what + " dx");
        double[][] gradients = oracle.backward(x64, TestData.widen(c.logical(dy32)));
        double error = TestData.relativeL2(gradients[0], c.logical(found.input()));
        assertTrue(error <= TOLERANCES.get(type), () -> what + " dx: error is " + error);
        assertParameter(expected.weight(), found.weight(), what + " dweight");
        assertParameter(expected.bias(), found.bias(), what + " dbias");
      }
    }
  }

  private static void assertParameter(Tensor expected, Tensor found, String what) {
    assertEquals(expected == null, found == null, what);
    if (found != null) {
      assertEquals(DataType.F32, found.dataType(), what);
      assertRounded(expected, found, what);
    }
  }

  /** Rows of images in channels last are taken through a copy. */
  @Test
  void memoryBesideAWordIsTakenToo() {
    for (Layout layout : Layout.values()) {
      for (Backend backend : engines().toList()) {
        try (ShortPointer memory = new ShortPointer(1 + 2 * 24);
            Tensor x = Tensor.wrap(memory.position(1), DataType.BF16, layout, 2, 4, 3, 2);
            NormLayer layer = LayerNorm.builder(4, 3, 2).backend(backend).build()) {
          x.copyFrom(TestData.normal(3, 48, 0, 1));
          try (Tensor wide = x.to(DataType.F32);
              Tensor y32 = layer.forward(wide);
              Tensor y = layer.forward(x)) {
            assertRounded(y32, y, layout + " on " + backend);
          }
        }
      }
    }
  }

  @Test
  void whatDoesNotGoTogetherIsRefusedByName() {
    Layout first = Layout.CHANNELS_FIRST;
    try (Tensor x = Tensor.allocate(DataType.BF16, first, 2, 64);
        Tensor wide = Tensor.allocate(DataType.F32, first, 2, 64);
        Tensor counts = Tensor.allocate(DataType.I64, first, 2, 64);
        Tensor half = Tensor.allocate(DataType.F16, first, 2, 64);
        Tensor other = Tensor.allocate(DataType.BF16, first, 64, 2);
        NormLayer layer = RmsNorm.of(64)) {
      String types = layer + ": expected an input of a type in [F32, BF16, F16], but got " + counts;
      assertRefused(types, () -> layer.forward(counts));
      assertRefused(types, () -> layer.forward(counts, counts));
      assertRefused(types, () -> layer.forwardTraining(counts));
      assertRefused(types, () -> layer.explain(counts));
      assertRefused(
          layer
              + ": expected an output of a type in [F32, BF16] for the input "
              + x
              + ", but got "
              + counts,
          () -> layer.forward(x, counts));
      assertRefused(
          layer
              + ": expected an output of a type in [F32, BF16] for the input "
              + x
              + ", but got "
              + half,
          () -> layer.forward(x, half));
      assertRefused(
          layer + ": expected an output like the input, " + x + ", but got " + other,
          () -> layer.forward(x, other));
      try (Pass pass = layer.forwardTraining(x)) {
        assertRefused(
            layer + ": expected a gradient like the output, " + x + ", but got " + wide,
            () -> pass.backward(wide));
      }
    }
  }

  @Test
  void anOutputOfAnotherTypeIsApartFromItsInput() {
    Layout first = Layout.CHANNELS_FIRST;
    try (ShortPointer memory = new ShortPointer(4 * 64);
        NormLayer layer = RmsNorm.of(64)) {
      for (int from : new int[] {0, 64, 126}) {
        try (Tensor wide = Tensor.wrap(memory.position(0), DataType.F32, first, 64);
            Tensor narrow = Tensor.wrap(memory.position(from), DataType.BF16, first, 64)) {
          String overlaps =
              layer + ": the output must be apart from an input of another type, but overlaps it";
          assertRefused(overlaps, () -> layer.forward(wide, narrow));
          assertRefused(overlaps, () -> layer.forward(narrow, wide));
        }
      }
      try (Tensor wide = Tensor.wrap(memory.position(0), DataType.F32, first, 64);
          Tensor narrow = Tensor.wrap(memory.position(128), DataType.BF16, first, 64)) {
        wide.copyFrom(TestData.normal(1, 64, 0, 1));
        try (Tensor expected = layer.forward(wide)) {
          layer.forward(wide, narrow);
          assertRounded(expected, narrow, "beside each other");
        }
      }
    }
  }

  @Test
  void everyLayerExplainsEveryType() {
    for (LayerCase.Kind kind : LayerCase.Kind.values()) {
      LayerCase c = new LayerCase(kind, Layout.CHANNELS_FIRST, Backend.AUTO, 2, 12, 7, 5);
      try (NormLayer layer = c.layer()) {
        for (DataType type : TOLERANCES.keySet()) {
          String said = layer.explain(type, c.layout(), c.shape());
          assertTrue(
              said.startsWith(layer + " on " + type + " CHANNELS_FIRST [2, 12, 7, 5]"), said);
          for (String direction : new String[] {"inference", "training", "backward"}) {
            assertTrue(said.matches("(?s).*" + direction + ": (FUSED|JAVA), kernel.*"), said);
          }
        }
      }
    }
  }

  @Test
  void oneDnnSaysThatItHasNoSuchType() {
    try (NormLayer layer = LayerNorm.builder(64).backend(Backend.ONEDNN).build()) {
      for (DataType type : TOLERANCES.keySet()) {
        try (Tensor x = Tensor.allocate(type, Layout.CHANNELS_FIRST, 2, 64)) {
          String said =
              assertThrows(NativeNormException.class, () -> layer.forward(x)).getMessage();
          assertTrue(
              said.contains("ONEDNN: ")
                  && (said.contains("computes F32 only, not " + type) || said.contains("missing")),
              said);
        }
      }
    }
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
