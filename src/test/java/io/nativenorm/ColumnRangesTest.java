package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Storage;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Layers on column ranges of matrices: against the oracle at edge sizes, and by bits against the
 * same numbers in one piece. What is beside the range stays.
 */
class ColumnRangesTest {
  private static final long SEED = Long.getLong("nativenorm.seed", 20261128);
  private static final double EPS = 1e-5;
  private static final Layout FIRST = Layout.CHANNELS_FIRST;

  /** Around vectors of every instruction set, and around the 4096 that JAVA takes at once. */
  private static final int[] LENGTHS = {1, 3, 8, 17, 64, 127, 128, 255, 1031, 4097};

  static Stream<Backend> engines() {
    return TestEngines.all().stream();
  }

  /** ONEDNN has no rows that lie apart. */
  static Stream<Backend> enginesOfRanges() {
    return engines().filter(engine -> engine != Backend.ONEDNN);
  }

  private static RowNorm layer(boolean rms, Activation activation, Backend backend, long... row) {
    RowNorm layer =
        rms
            ? RmsNorm.builder(row).eps(EPS).activation(activation).backend(backend).build()
            : LayerNorm.builder(row).eps(EPS).activation(activation).backend(backend).build();
    int length = (int) Shapes.size(row);
    layer.weight().copyFrom(TestData.normal(1, length, 1, 0.5));
    if (layer.bias() != null) {
      layer.bias().copyFrom(TestData.normal(2, length, 0, 0.5));
    }
    return layer;
  }

  private static Tensor matrix(long seed, DataType type, long... shape) {
    try (Tensor wide = Tensor.of(TestData.normal(seed, (int) Shapes.size(shape), 0, 1), shape)) {
      return wide.to(type);
    }
  }

  /** What is in a matrix but for a range of its columns. */
  private static float[] beside(Tensor matrix, Tensor range) {
    try (Tensor copy = matrix.to(FIRST);
        Tensor same = copy.narrow(1, offset(matrix, range) % matrix.shape()[1], range.shape()[1])) {
      same.copyFrom(new float[(int) same.size()]);
      return copy.toArray();
    }
  }

  private static long offset(Tensor matrix, Tensor range) {
    long bytes = range.span().address() - matrix.span().address();
    return bytes / matrix.dataType().bytes();
  }

  @ParameterizedTest
  @MethodSource("enginesOfRanges")
  void againstTheOracle(Backend backend) {
    for (boolean rms : new boolean[] {false, true}) {
      for (int length : LENGTHS) {
        for (int rows : new int[] {1, 2, 5}) {
          requireOracle(backend, rms, rows, length);
        }
      }
    }
  }

  private static void requireOracle(Backend backend, boolean rms, int rows, int length) {
    try (RowNorm layer = layer(rms, Activation.NONE, backend, length);
        Tensor in = matrix(length, DataType.F32, rows, length + 5);
        Tensor out = matrix(length + 1, DataType.F32, rows, length + 2);
        Tensor x = in.narrow(1, 3, length);
        Tensor y = out.narrow(1, 1, length)) {
      float[] before = beside(out, y);
      float[] inBefore = in.toArray();
      Oracle oracle =
          new Oracle(
              rms ? Oracle.Kind.RMS : Oracle.Kind.LAYER,
              rows,
              length,
              1,
              1,
              EPS,
              layer.weight().toArray(),
              rms ? null : layer.bias().toArray(),
              false);
      double[] expected = oracle.forward(TestData.widen(x.toArray()));
      layer.forward(x, y);
      double error = TestData.largestMixedError(expected, y.toArray());
      assertTrue(error <= 1e-5, () -> layer + " " + backend + ": " + error);
      assertArrayEquals(before, beside(out, y));
      assertArrayEquals(inBefore, in.toArray());
      layer.forward(x, x);
      assertArrayEquals(y.toArray(), x.toArray(), layer + " " + backend + " in place");
      if (!rms || length > 1) {
        requireGradients(layer, oracle, in, x);
      }
    }
  }

  private static void requireGradients(RowNorm layer, Oracle oracle, Tensor in, Tensor x) {
    long[] shape = in.shape();
    in.copyFrom(TestData.normal(7, (int) in.size(), 0, 1));
    try (Tensor gradients = matrix(8, DataType.F32, shape);
        Tensor dy = gradients.narrow(1, 2, x.shape()[1]);
        Pass pass = layer.forwardTraining(x);
        Gradients found = pass.backward(dy)) {
      double[] values = TestData.widen(x.toArray());
      double[] error = TestData.widen(dy.toArray());
      double[][] expected = oracle.backward(values, error);
      if (x.shape()[1] > 3) { // of fewer values gradients are differences of rounded numbers
        assertTrue(TestData.relativeL2(expected[0], found.input().toArray()) <= 1e-5);
      }
      assertTrue(TestData.largestMixedError(expected[1], found.weight().toArray()) <= 1e-4);
    }
  }

  /** Random ranges in every type, with rows of a head or of several, here and there. */
  @ParameterizedTest
  @MethodSource("enginesOfRanges")
  void byBitsAsInOnePiece(Backend backend) {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 150; i++) {
      String what = "problem " + i + " on " + backend + ", -Dnativenorm.seed=" + SEED;
      boolean isMixed = random.nextInt(4) == 0;
      DataType type = Storage.COMPUTED.get(random.nextInt(3));
      DataType result = isMixed && type != DataType.F32 ? DataType.F32 : type;
      boolean hasType = type == result || backend != Backend.FUSED;
      if (hasType) {
        new Case(random, backend, type, result).check(what);
      }
    }
  }

  private static final class Case {
    private final Backend backend;
    private final DataType type;
    private final DataType result;
    private final boolean rms;
    private final Activation activation;
    private final int tokens;
    private final int heads;
    private final int length;
    private final SplittableRandom random;

    Case(SplittableRandom random, Backend backend, DataType type, DataType result) {
      this.random = random;
      this.backend = backend;
      this.type = type;
      this.result = result;
      rms = random.nextBoolean();
      activation = random.nextBoolean() ? Activation.RELU : Activation.NONE;
      tokens = random.nextInt(1, 8);
      heads = random.nextInt(3) == 0 ? random.nextInt(2, 5) : 1;
      length = random.nextInt(30) == 0 ? 4099 : random.nextInt(1, 150);
    }

    /** Columns of a larger matrix, or a tensor of its own, as tokens x heads x length. */
    private Tensor range(DataType of, List<AutoCloseable> made) {
      int row = heads * length;
      boolean isClose = random.nextInt(4) == 0;
      int before = isClose ? 0 : random.nextInt(20);
      int after = isClose ? 0 : random.nextInt(1, 20);
      Tensor whole = matrix(random.nextInt(), of, tokens, before + row + after);
      made.add(whole);
      Tensor columns = whole.narrow(1, before, row);
      made.add(columns);
      Tensor range = columns.reshape(tokens, heads, length);
      made.add(range);
      return range;
    }

    void check(String what) {
      List<AutoCloseable> made = new ArrayList<>();
      try (RowNorm layer = layer(rms, activation, backend, length)) {
        infer(layer, made, what);
        if (type == result) {
          train(layer, made, what);
        }
      } finally {
        for (AutoCloseable tensor : made) {
          ((Tensor) tensor).close();
        }
      }
    }

    private void infer(RowNorm layer, List<AutoCloseable> made, String what) {
      Tensor x = range(type, made);
      Tensor y = range(result, made);
      try (Tensor closeX = x.to(FIRST);
          Tensor closeY = y.to(FIRST);
          Tensor ownY = layer.forward(x)) {
        layer.forward(closeX, closeY);
        layer.forward(x, y);
        same(closeY, y, what);
        layer.forward(closeX, closeX);
        same(closeX, ownY, what + " into its own");
        layer.forward(x, x);
        same(closeX, x, what + " in place");
      }
    }

    private void train(RowNorm layer, List<AutoCloseable> made, String what) {
      Tensor x = range(type, made);
      Tensor y = range(type, made);
      Tensor dy = range(type, made);
      Tensor dx = range(type, made);
      try (Tensor closeX = x.to(FIRST);
          Tensor closeY = y.to(FIRST);
          Tensor closeDy = dy.to(FIRST);
          Tensor closeDx = dx.to(FIRST);
          Tensor dWeight = Tensor.zeros(length);
          Pass expected = layer.forwardTraining(closeX, closeY);
          Pass found = layer.forwardTraining(x, y);
          Gradients all = expected.backward(closeDy);
          Gradients own = found.backward(dy)) {
        for (int step = 0; step < 2; step++) {
          same(closeY, y, what + " training");
          same(closeY, found.output(), what + " output");
          same(expected.variance(), found.variance(), what + " variance");
          expected.backward(closeDy, closeDx, null, null);
          found.backward(dy, dx, null, null);
          same(closeDx, dx, what + " dx");
          found.backward(closeDy, closeDx, dWeight, null);
          found.forward(x, y); // the next step
        }
        same(all.input(), own.input(), what + " own dx");
        same(all.weight(), own.weight(), what + " weight");
        same(all.weight(), dWeight, what + " given weight");
        expected.backward(closeDy, closeDy, null, null);
        found.backward(dy, dy, null, null);
        same(closeDy, dy, what + " dx in dy");
      }
    }

    private static void same(Tensor expected, Tensor found, String what) {
      assertArrayEquals(expected.toArray(), found.toArray(), what);
    }
  }

  @Test
  void aHeadBesideTheOthers() {
    int tokens = 5;
    int heads = 3;
    for (Backend backend : enginesOfRanges().toList()) {
      try (RowNorm layer = layer(true, Activation.NONE, backend, 8);
          Tensor qkv = matrix(3, DataType.F32, tokens, 3 * heads * 8);
          Tensor q = qkv.narrow(1, 0, heads * 8);
          Tensor k = qkv.narrow(1, heads * 8, heads * 8);
          Tensor queries = q.reshape(tokens, heads, 8);
          Tensor keys = k.reshape(tokens, heads, 8);
          Tensor expected = layer.forward(queries)) {
        float[] rest = beside(qkv, k);
        layer.forward(queries, keys); // y beside x in one matrix
        assertArrayEquals(expected.toArray(), k.toArray());
        assertArrayEquals(rest, beside(qkv, k));
        try (Pass pass = layer.forwardTraining(queries, keys)) {
          pass.backward(keys, keys, null, null);
          assertArrayEquals(rest, beside(qkv, k));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("enginesOfRanges")
  void writtenWhereItIsReadOrApart(Backend backend) {
    try (RowNorm layer = layer(false, Activation.NONE, backend, 8);
        Tensor all = matrix(4, DataType.F32, 6, 20);
        Tensor x = all.narrow(1, 0, 8);
        Tensor touching = all.narrow(1, 8, 8);
        Tensor one = all.narrow(1, 7, 8);
        Tensor rows = x.narrow(0, 0, 3);
        Tensor later = x.narrow(0, 3, 3);
        Tensor shifted = x.narrow(0, 1, 3);
        Tensor line = all.reshape(120);
        Tensor tail = line.narrow(0, 12, 40);
        Tensor dense = tail.reshape(5, 8);
        Tensor five = x.narrow(0, 0, 5)) {
      layer.forward(x, touching);
      layer.forward(rows, later);
      float[] before = all.toArray();
      String partly =
          layer + ": the output must be the input or apart from it, but overlaps it in part";
      assertRefused(partly, () -> layer.forward(x, one));
      assertRefused(partly, () -> layer.forward(one, touching));
      assertRefused(partly, () -> layer.forward(rows, shifted));
      assertRefused(partly, () -> layer.forward(five, dense));
      assertRefused(partly, () -> layer.forward(dense, five));
      String read =
          layer + ": the output of training must be apart from the input, which backward reads";
      assertRefused(read, () -> layer.forwardTraining(x, one));
      assertRefused(read, () -> layer.forwardTraining(x, x));
      try (Pass pass = layer.forwardTraining(x)) {
        assertRefused(
            layer + ": dx must be apart from the pass's input, but overlaps it",
            () -> pass.backward(touching, x, null, null));
        assertRefused(
            layer + ": dx must be dy or apart from it, but overlaps it in part",
            () -> pass.backward(one, touching, null, null));
      }
      assertArrayEquals(before, all.toArray());
      try (Tensor between = line.narrow(0, 8, 8)) {
        // In one piece, between the first and the second row of x.
        try (Tensor row = between.reshape(1, 8);
            Tensor first = x.narrow(0, 0, 1);
            Pass pass = layer.forwardTraining(x)) {
          layer.forward(first, row);
          pass.backward(x, null, between, null);
        }
      }
    }
  }

  @Test
  void onAnArena() throws Exception {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no segments before JDK 22");
    try (TestArena arena = TestArena.of("Shared")) {
      Object segment = arena.segment(6 * 20 * Float.BYTES);
      for (Backend backend : enginesOfRanges().toList()) {
        try (RowNorm layer = layer(false, Activation.NONE, backend, 8);
            Tensor all =
                Tensor.wrap(TestArena.address(segment), segment, DataType.F32, FIRST, 6, 20);
            Tensor x = all.narrow(1, 0, 8);
            Tensor y = all.narrow(1, 9, 8)) {
          all.copyFrom(TestData.normal(3, 120, 0, 1));
          try (Tensor close = x.to(FIRST);
              Tensor expected = layer.forward(close);
              Tensor dx = y.to(FIRST);
              Pass pass = layer.forwardTraining(x)) {
            layer.forward(x, y);
            assertArrayEquals(expected.toArray(), y.toArray());
            pass.backward(y, dx, null, null);
            y.addScaled(-1, expected);
            assertArrayEquals(new float[48], y.toArray());
            assertArrayEquals(close.toArray(), x.toArray());
          }
        }
      }
    }
  }

  @Test
  void onednnHasAReason() {
    for (Backend backend : engines().filter(engine -> engine == Backend.ONEDNN).toList()) {
      try (RowNorm layer = layer(false, Activation.NONE, backend, 8);
          Tensor all = matrix(4, DataType.F32, 6, 20);
          Tensor x = all.narrow(1, 0, 8)) {
        float[] before = all.toArray();
        NativeNormException e = assertThrows(NativeNormException.class, () -> layer.forward(x, x));
        assertTrue(e.getMessage().contains("has no rows that lie apart"), e.getMessage());
        assertThrows(NativeNormException.class, () -> layer.forwardTraining(x));
        assertArrayEquals(before, all.toArray());
        String text = layer.explain(x);
        assertTrue(text.contains("not ONEDNN: has no rows that lie apart"), text);
      }
    }
  }

  @Test
  void explainSaysWhereTheRowsLie() {
    try (RowNorm layer = layer(false, Activation.NONE, Backend.AUTO, 8);
        Tensor all = matrix(4, DataType.F32, 6, 20);
        Tensor x = all.narrow(1, 0, 8)) {
      assertEquals("F32 CHANNELS_FIRST [6, 8] in pieces of 8 every 20", x.toString());
      String text = layer.explain(x);
      assertTrue(text.startsWith(layer + " on " + x + ", backend AUTO"), text);
      Explanation found = layer.explanation(x);
      Backend expected = TestEngines.hasFused() ? Backend.FUSED : Backend.JAVA;
      for (Explanation.Choice choice :
          List.of(found.inference(), found.training(), found.backward())) {
        assertEquals(expected, choice.engine().orElseThrow());
        if (engines().anyMatch(Backend.ONEDNN::equals)) {
          assertEquals("has no rows that lie apart", choice.reasons().get(Backend.ONEDNN));
        }
      }
    }
  }

  @Test
  void whatIsNoWholeRowIsRefused() {
    try (RowNorm layer = layer(false, Activation.NONE, Backend.AUTO, 2, 8);
        RowNorm of4 = layer(true, Activation.NONE, Backend.AUTO, 4);
        Tensor all = matrix(4, DataType.F32, 6, 20);
        Tensor columns = all.narrow(1, 0, 8);
        Tensor x = columns.reshape(3, 2, 8);
        Tensor heads = columns.reshape(12, 4);
        Tensor others = matrix(5, DataType.F32, 12, 5);
        Tensor single = others.narrow(1, 0, 4);
        Tensor image = all.reshape(2, 3, 20);
        Tensor last = image.to(Layout.CHANNELS_LAST)) {
      String pieces = "expected pieces that have whole rows of 16, but got a tensor in pieces of 8";
      assertRefused(layer + ": " + pieces + " every 20", () -> layer.forward(x));
      assertRefused(layer + ": " + pieces + " every 20", () -> layer.forwardTraining(x));
      assertRefused(layer + ": " + pieces + " every 20", () -> layer.explain(x));
      String rows = of4 + ": expected tensors with as many rows in each piece, but got 2 and 1";
      assertRefused(rows, () -> of4.forward(heads, single));
      assertRefused(rows, () -> of4.forwardTraining(heads, single));
      try (Pass pass = of4.forwardTraining(heads)) {
        assertRefused(rows, () -> pass.backward(single));
        assertRefused(rows, () -> pass.backward(heads, single, null, null));
      }
      try (Tensor apart = last.narrow(1, 0, 2);
          RowNorm of20 = layer(true, Activation.NONE, Backend.AUTO, 20)) {
        String first =
            of20
                + ": the rows of what does not lie in one piece must be channels first, but got "
                + apart
                + "; to(layout) copies it";
        assertRefused(first, () -> of20.forward(apart));
        assertRefused(first, () -> of20.forwardTraining(apart));
        assertRefused(first, () -> of20.explain(apart));
      }
    }
  }

  @Test
  void aPassIsOfTensorsThatLieAsTheFirst() {
    try (RowNorm layer = layer(false, Activation.NONE, Backend.AUTO, 8);
        Tensor all = matrix(4, DataType.F32, 6, 20);
        Tensor x = all.narrow(1, 0, 8);
        Tensor y = all.narrow(1, 8, 8);
        Tensor dense = Tensor.zeros(6, 8);
        Tensor two = Tensor.zeros(8, 2);
        Tensor weight = two.narrow(1, 0, 1);
        Pass pass = layer.forwardTraining(x, y)) {
      assertRefused(
          layer + ": expected an input like the pass's, " + x + ", but got " + dense,
          () -> pass.forward(dense, y));
      assertRefused(
          layer + ": expected an output like the pass's, " + y + ", but got " + dense,
          () -> pass.forward(x, dense));
      assertRefused(
          layer + ": expected tensors like the pass's, " + dense + ", but got arrays",
          () -> pass.forward(new float[48], new float[48]));
      assertRefused(
          layer + ": expected tensors like the pass's, " + dense + ", but got arrays",
          () -> pass.backward(new float[48], null, null, null));
      try (Tensor flat = weight.reshape(8)) {
        assertTrue(flat.toString().endsWith("in pieces of 1 every 2"), flat.toString());
        assertRefused(
            layer + ": expected dWeight like the weight, F32 CHANNELS_FIRST [8], but got " + flat,
            () -> pass.backward(dense, null, flat, null));
        assertRefused(
            "LayerNorm([8]): expected a shared weight of shape [8], but for extents of 1, in order"
                + " and in one piece, but got "
                + flat,
            () -> LayerNorm.builder(8).weight(flat).build());
      }
    }
  }

  static List<NormLayer> otherLayers() {
    return List.of(
        BatchNorm.of(4),
        InstanceNorm.of(4),
        GroupNorm.builder(2, 4).build(),
        BatchNorm.builder(4).trackRunningStats(false).build());
  }

  @Test
  void otherLayersRefuseThem() {
    for (Layout layout : Layout.values()) {
      for (NormLayer layer : otherLayers()) {
        try (layer;
            Tensor all = Tensor.allocate(DataType.F32, layout, 3, 5, 4);
            Tensor x = all.narrow(1, 1, 4);
            Tensor close = x.to(layout)) {
          String only =
              layer
                  + ": only LayerNorm and RmsNorm take what does not lie in one piece, but got "
                  + x
                  + "; to(layout) copies it into one";
          List<Executable> calls =
              new ArrayList<>(
                  List.of(
                      () -> layer.forward(x),
                      () -> layer.forward(x, close),
                      () -> layer.forward(close, x),
                      () -> layer.forwardTraining(x),
                      () -> layer.forwardTraining(close, x),
                      () -> layer.explain(x)));
          if (layer instanceof BatchNorm batch && batch.running() != null) {
            calls.add(() -> batch.forwardFrozen(x));
          }
          calls.forEach(call -> assertRefused(only, call));
          try (Pass pass = layer.forwardTraining(close)) {
            assertRefused(only, () -> pass.backward(x));
            assertRefused(only, () -> pass.backward(close, x, null, null));
          }
        }
      }
    }
  }

  @Test
  void ofAMixedPairFusedSaysWhyNot() {
    TestEngines.assumeFused();
    try (RowNorm layer = layer(false, Activation.NONE, Backend.FUSED, 8);
        Tensor all = matrix(4, DataType.BF16, 6, 20);
        Tensor x = all.narrow(1, 0, 8);
        Tensor y = Tensor.zeros(6, 8)) {
      NativeNormException e = assertThrows(NativeNormException.class, () -> layer.forward(x, y));
      assertTrue(e.getMessage().contains("rows lie apart in one type only"), e.getMessage());
    }
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
