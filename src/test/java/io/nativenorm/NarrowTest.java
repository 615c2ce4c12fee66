package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import io.nativenorm.engine.Storage;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Ranges of a dimension, as views. */
@LeavesMemoryToTheCollector
class NarrowTest {
  private static final long SEED = Long.getLong("nativenorm.seed", 20261128);

  private static final long[][] SHAPES = {
    {6}, {3, 4}, {1, 4}, {3, 2, 4}, {1, 3, 4}, {1, 1, 5}, {2, 3, 1, 4}, {1, 4, 1, 1}, {1, 3, 2, 2}
  };

  /** A tensor whose elements are their logical positions. */
  private static Tensor counting(DataType type, Layout layout, long... shape) {
    Tensor tensor = Tensor.allocate(type, layout, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.set(i, index(i, shape));
    }
    return tensor;
  }

  private static long[] index(long position, long... shape) {
    long[] index = new long[shape.length];
    for (int d = shape.length - 1; d >= 0; d--) {
      index[d] = position % shape[d];
      position /= shape[d];
    }
    return index;
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void everyRangeIsAView(DataType type) {
    int views = 0;
    for (Layout layout : Layout.values()) {
      for (long[] shape : SHAPES) {
        try (Tensor whole = counting(type, layout, shape)) {
          for (int d = 0; d < shape.length; d++) {
            for (long from = 0; from <= shape[d]; from++) {
              for (long count = 0; count <= shape[d] - from; count++) {
                views += requireView(whole, d, from, count);
              }
            }
          }
        }
      }
    }
    assertEquals(387, views);
  }

  /** 1 if it lies in one piece, which those do that have no gaps. */
  private static int requireView(Tensor whole, int d, long from, long count) {
    long[] shape = whole.shape();
    shape[d] = count;
    boolean isLast = whole.layout() == Layout.CHANNELS_LAST && shape.length > 2;
    long pieces = 1;
    for (int i = 0; i < shape.length; i++) {
      boolean isBefore = isLast ? (d == 1 ? i != 1 : i < d && i != 1) : i < d;
      pieces *= isBefore ? shape[i] : 1;
    }
    boolean hasGaps = pieces > 1 && count > 0 && count < whole.shape()[d];
    try (Tensor view = whole.narrow(d, from, count)) {
      assertArrayEquals(shape, view.shape());
      assertEquals(whole.layout(), view.layout());
      for (int i = 0; i < view.size(); i++) {
        long[] at = index(i, shape);
        long[] inWhole = at.clone();
        inWhole[d] += from;
        assertEquals(whole.get(inWhole), view.get(at));
        view.set(view.get(at) + 1, at);
        assertEquals(whole.get(inWhole), view.get(at));
      }
      assertEquals(hasGaps, view.pieces() != null, view.toString());
    }
    return hasGaps ? 0 : 1;
  }

  /** A range of a range, and what of it has another shape, on the same memory where it can be. */
  @Test
  void rangesOfRangesAndTheirShapes() {
    try (Tensor all = counting(DataType.F32, Layout.CHANNELS_FIRST, 4, 3, 10);
        Tensor columns = all.narrow(2, 2, 6);
        Tensor fewer = columns.narrow(2, 1, 4);
        Tensor rows = fewer.narrow(0, 1, 2);
        Tensor one = fewer.narrow(1, 2, 1);
        Tensor single = one.narrow(0, 3, 1);
        Tensor empty = rows.narrow(1, 1, 0);
        Tensor flat = rows.reshape(6, 2, 2);
        Tensor line = rows.reshape(24);
        Tensor across = rows.reshape(2, 4, 3);
        Tensor twoOf3 = across.narrow(0, 0, 2)) {
      assertEquals("F32 CHANNELS_FIRST [4, 3, 6] in pieces of 6 every 10", columns.toString());
      assertEquals("F32 CHANNELS_FIRST [2, 3, 4] in pieces of 4 every 10", rows.toString());
      assertEquals("F32 CHANNELS_FIRST [4, 1, 4] in pieces of 4 every 30", one.toString());
      assertEquals("F32 CHANNELS_FIRST [1, 1, 4]", single.toString());
      assertEquals("F32 CHANNELS_FIRST [2, 0, 4]", empty.toString());
      assertEquals("F32 CHANNELS_FIRST [6, 2, 2] in pieces of 4 every 10", flat.toString());
      assertEquals("F32 CHANNELS_FIRST [24] in pieces of 4 every 10", line.toString());
      assertEquals("F32 CHANNELS_FIRST [2, 4, 3] in pieces of 4 every 10", across.toString());
      assertEquals(across.toString(), twoOf3.toString());
      assertArrayEquals(new float[] {113, 114, 115, 116}, single.toArray());
      float[] expected = new float[24];
      for (int i = 0; i < 24; i++) {
        expected[i] = 33 + i / 4 * 10 + i % 4;
        assertEquals(expected[i], flat.get(i / 4, i / 2 % 2, i % 2));
      }
      assertArrayEquals(expected, rows.toArray());
      assertArrayEquals(expected, line.toArray());
      assertArrayEquals(expected, across.toArray());
      flat.set(-1, 5, 1, 1);
      assertEquals(-1, all.get(2, 2, 6));
      assertEquals(-1, line.get(23));
      assertEquals(-1, across.get(1, 3, 2));
      requireUneven(columns, 1, 0, 2);
      requireUneven(line, 0, 0, 4);
      for (int d = 0; d < 3; d++) {
        requireUneven(across, d, 0, 1);
      }
    }
  }

  /** Ranges of shapes of ranges, element by element against their places in the whole. */
  @Test
  void randomRangesAndShapes() {
    SplittableRandom random = new SplittableRandom(SEED);
    int[] counts = new int[2];
    for (int i = 0; i < 400; i++) {
      long[] shape = random.longs(random.nextInt(1, 5), 1, 7).toArray();
      Layout layout = Layout.values()[random.nextInt(2)];
      try (Tensor whole = counting(DataType.F32, layout, shape)) {
        narrowAgain(random, whole, 0, counts);
      }
    }
    assertTrue(counts[0] > 800 && counts[1] > 20, Arrays.toString(counts));
  }

  private static void narrowAgain(SplittableRandom random, Tensor from, int depth, int[] counts) {
    if (depth == 4) {
      return;
    }
    float[] values = logical(from);
    if (random.nextInt(3) == 0 && (from.layout() == Layout.CHANNELS_FIRST || from.rank() < 3)) {
      long size = from.size();
      long part = random.nextBoolean() && size % 2 == 0 ? 2 : size % 3 == 0 ? 3 : 1;
      long[] shape = random.nextBoolean() ? new long[] {part, size / part} : new long[] {size};
      try (Tensor other = from.reshape(shape)) {
        assertArrayEquals(values, logical(other));
        assertEquals(from.span().address(), other.span().address());
        narrowAgain(random, other, depth + 1, counts);
      }
      return;
    }
    int d = random.nextInt(from.rank());
    long[] shape = from.shape();
    long start = random.nextLong(shape[d]);
    shape[d] = 1 + random.nextLong(shape[d] - start);
    try (Tensor range = from.narrow(d, start, shape[d])) {
      counts[0]++;
      for (int i = 0; i < range.size(); i++) {
        long[] at = index(i, shape);
        float found = range.get(at);
        at[d] += start;
        assertEquals(from.get(at), found, () -> range + " of " + from + ", seed " + SEED);
      }
      narrowAgain(random, range, depth + 1, counts);
    } catch (IllegalArgumentException e) {
      assertTrue(from.pieces() != null, e.getMessage()); // of one piece there is every range
      counts[1]++;
    }
  }

  private static float[] logical(Tensor tensor) {
    float[] values = new float[(int) tensor.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.get(index(i, tensor.shape()));
    }
    return values;
  }

  private static void requireUneven(Tensor whole, int dimension, long from, long count) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> whole.narrow(dimension, from, count));
    assertEquals(
        "narrow expects a range whose pieces are equally far apart, but those of dimension "
            + dimension
            + " of "
            + whole
            + " are not",
        e.getMessage());
  }

  @ParameterizedTest
  @EnumSource(DataType.class)
  void copiesOfWhatLiesInPieces(DataType type) {
    for (Layout layout : Layout.values()) {
      try (Tensor whole = counting(type, layout, 3, 4, 5);
          Tensor range = whole.narrow(1, 1, 2);
          Tensor inner = whole.narrow(2, 1, 3)) {
        for (Tensor view : new Tensor[] {range, inner}) {
          requireCopies(view);
          float[] before = whole.toArray();
          float[] values = new float[(int) view.size()];
          for (int i = 0; i < values.length; i++) {
            values[i] = i + 64;
          }
          float[] old = view.toArray();
          view.copyFrom(values);
          assertArrayEquals(values, view.toArray());
          view.copyFrom(FloatBuffer.wrap(old));
          assertArrayEquals(before, whole.toArray()); // nothing beside it was touched
        }
      }
    }
  }

  private static void requireCopies(Tensor view) {
    float[] expected = new float[(int) view.size()];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = view.get(index(i, view.shape()));
    }
    try (Tensor ordered = view.to(Layout.CHANNELS_FIRST);
        Tensor last = view.to(Layout.CHANNELS_LAST);
        Tensor floats = view.to(DataType.F32);
        Tensor firstFloats = floats.to(Layout.CHANNELS_FIRST);
        Tensor again = last.to(view.layout());
        Tensor row = view.reshape(view.size())) {
      assertArrayEquals(expected, ordered.toArray());
      assertArrayEquals(expected, firstFloats.toArray());
      assertArrayEquals(expected, row.toArray());
      assertArrayEquals(view.toArray(), again.toArray());
      assertEquals(view.dataType(), last.dataType());
    }
  }

  @Test
  void sumsOfWhatLiesInPieces() {
    for (DataType type : Storage.COMPUTED) {
      try (Tensor whole = counting(type, Layout.CHANNELS_FIRST, 3, 7);
          Tensor left = whole.narrow(1, 0, 3);
          Tensor right = whole.narrow(1, 3, 3);
          Tensor shifted = whole.narrow(1, 1, 3);
          Tensor close = left.to(Layout.CHANNELS_FIRST)) {
        float[] expected = whole.toArray();
        for (int i = 0; i < 9; i++) {
          expected[i / 3 * 7 + i % 3] += 2 * expected[i / 3 * 7 + 3 + i % 3];
        }
        left.addScaled(2, right);
        assertArrayEquals(expected, whole.toArray());
        close.addScaled(2, right);
        assertArrayEquals(left.toArray(), close.toArray());
        left.addScaled(-1, close);
        assertArrayEquals(new float[9], left.toArray());
        assertThrows(IllegalArgumentException.class, () -> left.addScaled(1, shifted));
        requireOthersInTheSameSpan();
      }
    }
  }

  /** 4 of every 8 and 8 of every 20 elements, twice 8 from the first to the 28th. */
  private static void requireOthersInTheSameSpan() {
    try (Tensor line = counting(DataType.F32, Layout.CHANNELS_FIRST, 40);
        Tensor eights = line.narrow(0, 0, 32);
        Tensor byEight = eights.reshape(4, 8);
        Tensor fours = byEight.narrow(1, 0, 4);
        Tensor one = fours.reshape(2, 8);
        Tensor byTwenty = line.reshape(2, 20);
        Tensor other = byTwenty.narrow(1, 0, 8)) {
      assertEquals(one.span().bytes(), other.span().bytes());
      assertThrows(IllegalArgumentException.class, () -> one.addScaled(1, other));
    }
  }

  @Test
  void countsAreWrittenAllOrNone() {
    try (Tensor whole = counting(DataType.I64, Layout.CHANNELS_FIRST, 2, 3);
        Tensor part = whole.narrow(1, 0, 2)) {
      float[] before = whole.toArray();
      float[] wrong = {7, 8, 9, 0.5f};
      assertThrows(IllegalArgumentException.class, () -> part.copyFrom(wrong));
      assertThrows(IllegalArgumentException.class, () -> part.copyFrom(FloatBuffer.wrap(wrong)));
      assertArrayEquals(before, whole.toArray());
      assertEquals(4, part.getLong(1, 1));
      part.set(1L << 40, 1, 1);
      assertEquals(1L << 40, whole.getLong(1, 1));
    }
  }

  @Test
  void buffersAndPointersAreOfOnePiece() {
    try (Tensor whole = counting(DataType.F32, Layout.CHANNELS_FIRST, 2, 3);
        Tensor part = whole.narrow(1, 0, 2)) {
      IllegalArgumentException e = assertThrows(IllegalArgumentException.class, part::buffer);
      assertEquals("a FloatBuffer cannot hold the tensor " + part, e.getMessage());
      e = assertThrows(IllegalArgumentException.class, part::pointer);
      assertEquals(
          "expected a tensor that lies in one piece, but got "
              + part
              + "; to(layout) copies it into one",
          e.getMessage());
      assertThrows(IllegalArgumentException.class, () -> NativeNorm.plainPass(part, part, 1, 0));
    }
  }

  @Test
  void weightsAreReadFromThemAndWritten() throws Exception {
    Path file = Files.createTempFile("narrow", ".safetensors");
    try (Tensor whole = counting(DataType.F32, Layout.CHANNELS_FIRST, 4, 3);
        Tensor column = whole.narrow(1, 1, 1);
        LayerNorm layer = LayerNorm.of(4)) {
      layer.load(Map.of("weight", column, "bias", column));
      assertArrayEquals(new float[] {1, 4, 7, 10}, layer.weight().toArray());
      Weights.write(file, Map.of("w", column));
      try (Tensor read = Weights.read(file, "").get("w")) {
        assertArrayEquals(new long[] {4, 1}, read.shape());
        assertArrayEquals(new float[] {1, 4, 7, 10}, read.toArray());
      }
    } finally {
      Files.delete(file);
    }
  }

  @Test
  void keepsTheMemory() {
    Tensor view;
    try (Tensor whole = counting(DataType.F32, Layout.CHANNELS_FIRST, 4, 3)) {
      view = whole.narrow(0, 1, 2);
    }
    try (view;
        Tensor other = Tensor.zeros(4, 3);
        Tensor inner = view.narrow(0, 1, 1)) {
      assertEquals(0, other.get(0, 0)); // is not on that memory
      assertArrayEquals(new float[] {3, 4, 5, 6, 7, 8}, view.toArray());
      assertArrayEquals(new float[] {6, 7, 8}, inner.toArray());
      FloatBuffer buffer = inner.buffer();
      assertEquals(3, buffer.capacity());
      assertEquals(7, buffer.get(1));
      assertEquals(view.pointer().address() + 12, inner.pointer().address());
      try (Tensor copy = view.to(DataType.BF16);
          Tensor flat = view.reshape(6)) {
        assertEquals(8, copy.get(1, 2));
        assertEquals(8, flat.get(5));
      }
    }
  }

  @Test
  void layersComputeOnThem() {
    float[] values = TestData.normal(1, 8 * 3 * 5, 0, 1);
    for (Backend backend : TestEngines.all()) {
      try (InstanceNorm layer = InstanceNorm.builder(3).backend(backend).build();
          Tensor x = Tensor.of(values, 8, 3, 5);
          Tensor expected = layer.forward(x);
          Tensor first = x.narrow(0, 0, 4);
          Tensor last = x.narrow(0, 4, 4)) {
        float[] before = last.toArray();
        layer.forward(first, first);
        assertArrayEquals(before, last.toArray());
        try (Pass pass = layer.forwardTraining(last);
            Gradients gradients = pass.backward(last)) {
          layer.forward(last, first); // into the other half
          layer.forward(last, last);
          assertArrayEquals(first.toArray(), last.toArray());
          assertArrayEquals(last.toArray(), pass.output().toArray());
          assertEquals(60, gradients.input().size());
        }
        assertArrayEquals(
            Arrays.copyOfRange(expected.toArray(), 60, 120),
            last.toArray(),
            TestEngines.all().size() * 1e-6f);
        try (Tensor shifted = x.narrow(0, 1, 4)) {
          assertThrows(IllegalArgumentException.class, () -> layer.forward(first, shifted));
        }
      }
    }
  }

  @Test
  void whatIsNotThereIsRefused() {
    Tensor tensor = Tensor.zeros(2, 3);
    for (long[] range :
        new long[][] {
          {2, 0, 1},
          {-1, 0, 1},
          {0, -1, 1},
          {0, 0, 3},
          {0, 2, 1},
          {0, 1, -1},
          {0, 3, 0},
          {0, 1, Long.MAX_VALUE},
          {0, Long.MAX_VALUE, 1}
        }) {
      assertThrows(
          IndexOutOfBoundsException.class, () -> tensor.narrow((int) range[0], range[1], range[2]));
    }
    tensor.close();
    assertThrows(IllegalStateException.class, () -> tensor.narrow(0, 0, 1));
    try (Tensor scalar = Tensor.zeros();
        Tensor empty = Tensor.zeros(1L << 40, 0, 4)) {
      assertThrows(IndexOutOfBoundsException.class, () -> scalar.narrow(0, 0, 1));
      empty.narrow(0, 1L << 39, 1L << 20).close();
      empty.narrow(2, 1, 2).close();
    }
  }

  /** On a caller's memory, also where there is no native access. */
  private static void requireOnBuffers() {
    ByteBuffer bytes = ByteBuffer.allocateDirect(64).order(ByteOrder.nativeOrder());
    Layout order = Layout.CHANNELS_FIRST;
    try (Tensor floats = Tensor.wrap(bytes.asFloatBuffer().position(1), 5, 3);
        Tensor columns = floats.narrow(1, 1, 2);
        RmsNorm layer = RmsNorm.builder(2).backend(Backend.JAVA).build();
        Tensor copy = columns.to(Layout.CHANNELS_FIRST);
        Tensor wide = columns.to(DataType.F16);
        Tensor halves = Tensor.wrap(bytes, DataType.F16, order, 8, 4);
        Tensor readOnly = Tensor.wrap(bytes.asFloatBuffer().asReadOnlyBuffer(), 16);
        Tensor some = floats.narrow(0, 3, 2);
        Tensor half = halves.narrow(0, 7, 1);
        Tensor fixed = readOnly.narrow(0, 10, 6)) {
      some.copyFrom(new float[] {1, 2, 3, 4, 5, 6});
      assertEquals(6, bytes.getFloat(60));
      assertEquals(6, some.buffer().get(5));
      assertArrayEquals(some.toArray(), fixed.toArray());
      half.copyFrom(new float[] {1, 1, 1, 1});
      assertEquals(0x3C00, bytes.getShort(62));
      columns.copyFrom(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
      assertEquals(4, bytes.getFloat(4 + 5 * 4));
      copy.addScaled(1, columns);
      assertArrayEquals(columns.toArray(), copy.toArray());
      wide.copyFrom(columns.toArray());
      layer.forward(columns, columns);
      layer.forward(copy, copy);
      assertArrayEquals(copy.toArray(), columns.toArray());
      assertThrows(IllegalArgumentException.class, () -> fixed.set(1, 0));
    }
  }

  @Test
  void onBuffers() {
    requireOnBuffers();
  }

  /** The same where there is no native access. */
  static final class Main {
    public static void main(String[] args) {
      requireOnBuffers();
      System.out.println("all is well");
    }
  }

  @Test
  void withoutNativeAccessToo() throws Exception {
    JavaProcess.runWithoutNativeAccess(Main.class);
  }
}
