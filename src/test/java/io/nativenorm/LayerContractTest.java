package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every layer on every engine, in every direction, layout and kind of memory, at sizes around the
 * vector widths, against the oracle. The bounds are those of the numerical contract: 1e-5 + 1e-5
 * |y| forward, 1e-5 relative in the L2 norm backward.
 */
class LayerContractTest {
  private static final double FORWARD = 1e-5;
  private static final double BACKWARD = 1e-5;

  private static final Recent<String, Truth> TRUTHS = new Recent<>();

  /** Where a tensor's memory is, and from which element on. */
  enum Memory {
    OWNED,
    DIRECT_BUFFER,
    POINTER,
    POINTER_OFF_BY_ONE
  }

  /** 4, 8 and 16 floats are the vectors in use; primes leave every kind of rest. */
  private static final long[][] SHAPES = {
    {2, 1},
    {5, 3},
    {3, 16},
    {7, 61},
    {33, 8},
    {4, 17},
    {2, 64},
    {1, 4, 2},
    {3, 1, 5},
    {2, 3, 1},
    {2, 15, 7},
    {3, 16, 16},
    {2, 33, 31},
    {1, 64, 17},
    {2, 8, 4, 4},
    {3, 30, 7, 5},
    {8, 61, 17, 13},
    {1, 12, 1, 9},
    {2, 16, 3, 5, 2},
    {2, 7, 2, 2, 3}
  };

  private static List<LayerCase> cases(LayerCase.Kind kind) {
    List<LayerCase> cases = new ArrayList<>();
    // What is to be the same comes after each other: it is computed once.
    for (long[] shape : SHAPES) {
      for (Backend backend : TestEngines.all()) {
        for (Layout layout : Layout.values()) {
          LayerCase c = new LayerCase(kind, layout, backend, shape);
          boolean oneValue = kind == LayerCase.Kind.BATCH ? c.n() * c.s() == 1 : c.s() == 1;
          if (kind.needsTwoValues() && oneValue) {
            continue; // an error: see ErrorsTest
          }
          cases.add(c);
        }
      }
    }
    return cases;
  }

  private static Stream<LayerCase> optionCases(LayerCase.Kind kind) {
    Stream<UnaryOperator<LayerCase>> options =
        Stream.of(
            c -> c.with(LayerCase.Affine.WEIGHT),
            c -> c.with(LayerCase.Affine.BIAS),
            c -> c.with(LayerCase.Affine.NONE),
            c -> c.with(Activation.RELU),
            c -> c.with(Activation.RELU).with(LayerCase.Affine.BIAS),
            c -> c.with(Activation.RELU).with(LayerCase.Affine.NONE));
    return options.flatMap(
        option ->
            cases(kind).stream()
                .filter(c -> c.shape().length == 4 || c.shape()[1] == 61)
                .map(option));
  }

  /**
   * Checks every case of a kind, whichever of them fail. As 12,352 tests to JUnit they took 42
   * seconds of processor, half of them for its reports.
   */
  private static void forAll(LayerCase.Kind kind, Consumer<LayerCase> check) {
    assertAll(
        Stream.concat(cases(kind).stream(), optionCases(kind)).map(c -> () -> check.accept(c)));
  }

  @ParameterizedTest
  @SameOnAnyJvm
  @EnumSource(LayerCase.Kind.class)
  void inferenceInEveryKindOfMemory(LayerCase.Kind kind) {
    forAll(kind, LayerContractTest::checkEveryKindOfMemory);
  }

  @SuppressWarnings("try") // the scope closes the pointers that are made in it
  private static void checkEveryKindOfMemory(LayerCase c) {
    double[] expected = c.expected();
    try (NormLayer layer = c.layer()) {
      for (Memory memory : Memory.values()) {
        try (PointerScope pointers = new PointerScope();
            Tensor x = tensorIn(memory, c, c.x());
            Tensor y = tensorIn(memory, c, new float[c.size()])) {
          layer.forward(x, y);
          assertForward(expected, c.logical(y), c + " in " + memory);
          assertTrue(Arrays.equals(c.x(), c.logical(x)), "the input was written to");
        }
      }
    }
  }

  @ParameterizedTest
  @SameOnAnyJvm
  @EnumSource(LayerCase.Kind.class)
  void inferenceIntoANewTensorAndInPlace(LayerCase.Kind kind) {
    forAll(kind, LayerContractTest::checkNewTensorAndInPlace);
  }

  private static void checkNewTensorAndInPlace(LayerCase c) {
    double[] expected = c.expected();
    try (NormLayer layer = c.layer();
        Tensor x = c.tensor(c.x());
        Tensor y = layer.forward(x)) {
      assertEquals(x.toString(), y.toString());
      assertForward(expected, c.logical(y), c.toString());
      layer.forward(x, x);
      assertForward(expected, c.logical(x), c + " in place");
    }
  }

  @ParameterizedTest
  @SameOnAnyJvm
  @EnumSource(LayerCase.Kind.class)
  void inferenceOnHeapArrays(LayerCase.Kind kind) {
    forAll(kind, LayerContractTest::checkHeapArrays);
  }

  private static void checkHeapArrays(LayerCase c) {
    if (c.layout() == Layout.CHANNELS_LAST) {
      return; // heap arrays are channels first
    }
    double[] expected = c.expected();
    try (NormLayer layer = c.layer()) {
      assertForward(expected, layer.forward(c.x(), c.shape()), c.toString());
      float[] inPlace = c.x();
      layer.forward(inPlace, inPlace, c.shape());
      assertForward(expected, inPlace, c + " in place");
    }
  }

  @ParameterizedTest
  @MethodSource("io.nativenorm.TestEngines#all")
  void inferenceOnHeapArraysOfEveryLength(Backend backend) {
    // Below and above what is held without a copy on every JDK, on one thread and on more.
    for (long height : new long[] {16, 64, 160}) {
      for (LayerCase.Kind kind : LayerCase.Kind.values()) {
        LayerCase c = new LayerCase(kind, Layout.CHANNELS_FIRST, backend, 2, 12, height, 64);
        double[] expected = c.expected();
        float[] x = c.x();
        float[] y = new float[x.length];
        try (NormLayer layer = c.layer()) {
          layer.forward(x, y, c.shape());
          assertForward(expected, y, c.toString());
          assertTrue(Arrays.equals(c.x(), x), "the input was written to");
          layer.forward(x, x, c.shape());
          assertForward(expected, x, c + " in place");
        }
      }
    }
  }

  @ParameterizedTest
  @SameOnAnyJvm
  @EnumSource(LayerCase.Kind.class)
  void trainingAndBackward(LayerCase.Kind kind) {
    forAll(kind, LayerContractTest::checkTrainingAndBackward);
  }

  private static void checkTrainingAndBackward(LayerCase c) {
    if (c.kind().needsTwoValues() || !c.kind().isRunning()) {
      checkPass(c, false);
    } else if (c.n() * c.s() > 1 && (c.kind() == LayerCase.Kind.BATCH_RUNNING || c.s() > 1)) {
      checkPass(c, false);
      checkPass(c, true);
    } else {
      checkPass(c, true);
    }
  }

  /** What a pass must give: the output, and the gradients for a gradient of it. */
  private record Truth(Oracle oracle, double[] output, float[] gradient, double[][] gradients) {

    static Truth of(LayerCase c, boolean frozen) {
      Oracle oracle = frozen ? c.inferenceOracle() : c.trainingOracle();
      double[] x = TestData.widen(c.x());
      double[] output = oracle.forward(x);
      float[] gradient = c.dy();
      boolean[] undecided = oracle.undecided(x);
      for (int i = 0; i < gradient.length; i++) {
        gradient[i] = undecided[i] ? 0 : gradient[i];
      }
      return new Truth(oracle, output, gradient, oracle.backward(x, TestData.widen(gradient)));
    }
  }

  private static void checkPass(LayerCase c, boolean frozen) {
    Truth truth = TRUTHS.get(c.problem() + frozen, name -> Truth.of(c, frozen));
    Oracle oracle = truth.oracle;
    try (NormLayer layer = c.layer();
        Tensor input = c.tensor(c.x());
        Tensor dy = c.tensor(truth.gradient);
        Pass pass = frozen ? frozen(layer, input) : layer.forwardTraining(input);
        Gradients actual = pass.backward(dy)) {
      assertForward(truth.output, c.logical(pass.output()), c + " output");
      if (c.kind() == LayerCase.Kind.RMS) {
        assertNull(pass.mean());
      } else {
        assertForward(oracle.mean, pass.mean().toArray(), c + " mean");
      }
      assertForward(oracle.variance, pass.variance().toArray(), c + " variance");
      if (oracle.valuesPerUnit() > 2 || frozen) {
        assertBackward(truth.gradients[0], c.logical(actual.input()), c + " dx");
      } else {
        // One or two values are normalized to 0 or to +-1 whatever they are: the gradient is what
        // is left of terms as large as dy / std that cancel.
        double scale = 1 / Math.sqrt(Arrays.stream(oracle.variance).min().orElse(0) + 1e-5);
        double error = TestData.largestError(truth.gradients[0], c.logical(actual.input()));
        assertTrue(error <= 1e-5 * scale, () -> c + " dx: error is " + error + " of " + scale);
      }
      assertEquals(layer.weight() == null, actual.weight() == null);
      assertEquals(layer.bias() == null, actual.bias() == null);
      if (actual.weight() != null) {
        assertBackward(truth.gradients[1], actual.weight().toArray(), c + " dweight");
      }
      if (actual.bias() != null) {
        assertBackward(truth.gradients[2], actual.bias().toArray(), c + " dbias");
      }
    }
  }

  private static Pass frozen(NormLayer layer, Tensor x) {
    return layer instanceof BatchNorm batch
        ? batch.forwardFrozen(x)
        : ((InstanceNorm) layer).forwardFrozen(x);
  }

  @ParameterizedTest
  @EnumSource(LayerCase.Kind.class)
  void oneLayerTakesInputsThatChange(LayerCase.Kind kind) {
    // What the layer remembers of one input must not serve another.
    List<LayerCase> inputs = new ArrayList<>();
    for (long n : new long[] {2, 3}) {
      inputs.add(new LayerCase(kind, Layout.CHANNELS_FIRST, Backend.AUTO, n, 12, 3, 5));
      inputs.add(new LayerCase(kind, Layout.CHANNELS_LAST, Backend.AUTO, n, 12, 3, 5));
    }
    try (NormLayer layer = inputs.get(0).layer()) {
      for (LayerCase c : inputs) {
        double[] expected = c.expected();
        try (Tensor x = c.tensor(c.x());
            Tensor y = layer.forward(x)) {
          assertForward(expected, c.logical(y), c.toString());
        }
      }
    }
  }

  private static void assertForward(double[] expected, float[] actual, String what) {
    double error = TestData.largestMixedError(expected, actual);
    assertTrue(error <= FORWARD, () -> what + ": |error| / (1 + |y|) is " + error);
  }

  private static void assertBackward(double[] expected, float[] actual, String what) {
    double error = TestData.relativeL2(expected, actual);
    assertTrue(error <= BACKWARD, () -> what + ": relative error is " + error);
  }

  private static Tensor tensorIn(Memory memory, LayerCase c, float[] logical) {
    float[] values = c.physical(logical);
    if (memory == Memory.OWNED
        || (memory == Memory.DIRECT_BUFFER && c.layout() != Layout.CHANNELS_FIRST)) {
      return c.tensor(logical);
    }
    if (memory == Memory.DIRECT_BUFFER) {
      FloatBuffer buffer =
          ByteBuffer.allocateDirect((values.length + 3) * Float.BYTES)
              .order(ByteOrder.nativeOrder())
              .asFloatBuffer()
              .position(3);
      buffer.put(values).position(3);
      return Tensor.wrap(buffer, c.shape());
    }
    int offset = memory == Memory.POINTER ? 0 : 1;
    FloatPointer pointer = new FloatPointer(values.length + offset);
    pointer.position(offset).put(values);
    return Tensor.wrap(pointer, DataType.F32, c.layout(), c.shape());
  }
}
