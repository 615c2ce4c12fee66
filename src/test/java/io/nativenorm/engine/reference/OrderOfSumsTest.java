package io.nativenorm.engine.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.Backend;
import io.nativenorm.Gradients;
import io.nativenorm.LayerNorm;
import io.nativenorm.Pass;
import io.nativenorm.SameOnAnyJvm;
import io.nativenorm.Tensor;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * The sums of the loops, to the last bit, against {@link OrderOfSums}, around all that they cut.
 */
@SameOnAnyJvm
class OrderOfSumsTest {
  private static final int MOST = 700_000;
  private static final float[] A = normal(1);
  private static final float[] B = normal(2);

  /** Not of one size: sums in another order then differ in many digits. */
  private static float[] normal(long seed) {
    Random random = new Random(seed);
    float[] values = new float[MOST];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * Math.exp(random.nextGaussian()));
    }
    return values;
  }

  private static int[] lengths() {
    IntStream few = IntStream.of(1, 2, 7, 31, 32, 33, 63, 64, 65, 96, 97, 128, 129, 221, 255, 257);
    IntStream blocks = IntStream.rangeClosed(480, 513);
    IntStream many = IntStream.of(992, 1023, 1024, 1025, 3136, 8191, 8192, 8193);
    IntStream pieces = IntStream.of(16383, 16384, 16385, 16384 + 480, 2 * 16384, 40000);
    return IntStream.of(0)
        .flatMap(
            i -> IntStream.concat(IntStream.concat(few, blocks), IntStream.concat(many, pieces)))
        .toArray();
  }

  private static final class ArrayAccumulators extends FloatAccumulators {
    ArrayAccumulators() {
      super(false, true);
    }

    @Override
    void fill(long at, int count, int to) {
      System.arraycopy(A, (int) at, first, to, count);
      System.arraycopy(B, (int) at, second, to, count);
    }
  }

  private static final class ArraySquares extends FloatAccumulators {
    ArraySquares() {
      super(true, false);
    }

    @Override
    void fill(long at, int count, int to) {
      System.arraycopy(A, (int) at, first, to, count);
    }
  }

  private static final class ArrayDoubles extends DoubleAccumulators {
    @Override
    void fill(long at, int count, int to) {
      System.arraycopy(A, (int) at, first, to, count);
      System.arraycopy(B, (int) at, second, to, count);
    }
  }

  private interface Body {
    void accept(int start, int runs, int length, int stride);
  }

  private static void forRuns(Body body) {
    for (int length : lengths()) {
      for (int runs : new int[] {1, 2, 3, 4, 17, 40}) {
        for (int stride : new int[] {length, 2 * length + 3}) {
          if (3 + (long) runs * stride <= MOST) {
            body.accept(3, runs, length, stride);
          }
        }
      }
    }
    body.accept(0, 16384 * 2 + 5, 1, 3);
    body.accept(0, 2100, 31, 31);
  }

  @Test
  void alongMemory() {
    ArrayAccumulators accumulators = new ArrayAccumulators();
    ArraySquares squares = new ArraySquares();
    forRuns(
        (start, runs, length, stride) -> {
          String which = runs + " runs of " + length + ", " + stride + " apart";
          accumulators.clear();
          accumulators.add(start, runs, length, stride);
          assertSame(
              OrderOfSums.along(A, null, start, runs, length, stride), accumulators.sum, which);
          assertSame(
              OrderOfSums.along(A, B, start, runs, length, stride), accumulators.product, which);
          double residual = OrderOfSums.along(B, null, start, runs, length, stride);
          assertSame(residual, accumulators.residual, which);
          squares.clear();
          squares.add(start, runs, length, stride);
          assertSame(accumulators.sum, squares.sum, which);
          assertSame(OrderOfSums.along(A, A, start, runs, length, stride), squares.product, which);
        });
  }

  @Test
  void alongMemoryInDoubles() {
    ArrayDoubles accumulators = new ArrayDoubles();
    forRuns(
        (start, runs, length, stride) -> {
          accumulators.clear();
          accumulators.add(start, runs, length, stride);
          double expected = OrderOfSums.alongInDoubles(A, B, start, runs, length, stride);
          assertSame(
              expected, accumulators.sum, runs + " runs of " + length + ", " + stride + " apart");
        });
  }

  private static final class ArrayColumns extends ColumnSums {
    private final boolean squares;

    ArrayColumns(int rows, int columns, boolean squares) {
      super(rows, columns, squares);
      this.squares = squares;
    }

    @Override
    void fill(int row, long at, int column, int count) {
      System.arraycopy(A, (int) at, first[row], 0, count);
      if (!squares) {
        System.arraycopy(B, (int) at, second[row], 0, count);
      }
    }
  }

  @Test
  void ofColumns() {
    IntStream.concat(IntStream.rangeClosed(1, 70), IntStream.rangeClosed(1000, 1030))
        .forEach(OrderOfSumsTest::ofColumns);
    ofColumns(2500);
  }

  private static void ofColumns(int columns) {
    int folds = OrderOfSums.folds(Integer.MAX_VALUE, columns);
    int[] rows = {
      1,
      2,
      3,
      47,
      48,
      49,
      64,
      65,
      100,
      129,
      257,
      16 * folds - 1,
      16 * folds,
      16 * folds + 1,
      48 * folds - 1,
      48 * folds,
      48 * folds + 1,
      49 * folds + 1,
      255 * folds,
      256 * folds,
      256 * folds + folds / 2,
      600 * folds + 1,
      2 * 32768 / columns + folds,
      MOST / columns
    };
    int most = MOST / columns;
    Arrays.stream(rows).filter(r -> r <= most).distinct().forEach(r -> ofColumns(r, columns));
  }

  private static void ofColumns(int rows, int columns) {
    String which = rows + "x" + columns;
    int start = Math.min(5, MOST - rows * columns);
    ArrayColumns sums = new ArrayColumns(rows, columns, false);
    sums.sum(start);
    assertSame(OrderOfSums.ofColumns(A, null, start, rows, columns), sums.sums, which);
    assertSame(OrderOfSums.ofColumns(A, B, start, rows, columns), sums.products, which);
    assertSame(OrderOfSums.ofColumns(B, null, start, rows, columns), sums.residuals, which);
    ArrayColumns squares = new ArrayColumns(rows, columns, true);
    squares.sum(start);
    assertSame(sums.sums, squares.sums, which);
    assertSame(OrderOfSums.ofColumns(A, A, start, rows, columns), squares.products, which);
  }

  /** Blocks of 8 to 64 rows, pieces of one and of some blocks. */
  @Test
  void ofRows() {
    for (int rows : new int[] {1, 7, 8, 9, 31, 64, 65, 127, 500, 2048, 2049, 4300}) {
      for (int length : new int[] {2, 33, 160}) {
        ofRows(rows, length);
      }
    }
    ofRows(70, 4097);
    ofRows(9, 40000);
  }

  private static void ofRows(int rows, int length) {
    float[] dy = Arrays.copyOf(A, rows * length);
    double[] expected = OrderOfSums.ofRows(dy, rows, length);
    try (LayerNorm layer = LayerNorm.builder(length).backend(Backend.JAVA).build();
        Tensor x = Tensor.of(Arrays.copyOf(B, rows * length), rows, length);
        Tensor gradient = Tensor.of(dy, rows, length);
        Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(gradient)) {
      float[] bias = gradients.bias().toArray();
      for (int j = 0; j < length; j++) {
        assertEquals((float) expected[j], bias[j], rows + "x" + length + ", column " + j);
      }
    }
  }

  private static void assertSame(double expected, double actual, String which) {
    assertEquals(Double.doubleToLongBits(expected), Double.doubleToLongBits(actual), which);
  }

  private static void assertSame(double[] expected, double[] actual, String which) {
    for (int j = 0; j < expected.length; j++) {
      assertSame(expected[j], actual[j], which);
    }
  }
}
