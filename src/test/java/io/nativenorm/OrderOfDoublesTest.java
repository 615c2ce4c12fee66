package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.reference.OrderOfSums;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * FUSED and JAVA add the same doubles in the same order. A result in floats hardly ever shows it:
 * one order for another changes the sixteenth digit. Here blocks are exact in floats and 2^90
 * apart, and each has its negative, so that what is left of dbias is what doubles lost on the way.
 */
@SameOnAnyJvm
class OrderOfDoublesTest {
  @BeforeAll
  static void bothPromiseIt() {
    OneAnswerTest.assumeBoth();
  }

  /**
   * Rows of small whole numbers, times a power of two for each block of them and so many columns
   * together; half of the blocks are the others' negatives, in any order.
   */
  private static float[] blocks(long seed, int rows, int columns, int blockRows, int together) {
    Random random = new Random(seed);
    float[] dy = new float[rows * columns];
    int size = blockRows * columns;
    List<Integer> places = new ArrayList<>();
    for (int block = 0; block < rows / blockRows; block++) {
      places.add(block * size);
    }
    Collections.shuffle(places, random);
    for (int pair = 0; pair + 1 < places.size(); pair += 2) {
      float[] scales = new float[columns / together];
      for (int k = 0; k < scales.length; k++) {
        scales[k] = Math.scalb(1f, random.nextInt(81));
      }
      for (int i = 0; i < size; i++) {
        float value = (random.nextInt(17) - 8) * scales[i % columns / together];
        dy[places.get(pair) + i] = value;
        dy[places.get(pair + 1) + i] = -value;
      }
    }
    return dy;
  }

  private static float[] bias(LayerBuilder<?> builder, Tensor x, Tensor dy) {
    try (NormLayer layer = builder.build();
        Pass pass = layer.forwardTraining(x);
        Gradients gradients = pass.backward(dy)) {
      return gradients.bias().toArray();
    }
  }

  private static void check(LayerBuilder<?> builder, Layout layout, float[] dy, long... shape) {
    try (Tensor x = Tensor.allocate(DataType.F32, layout, shape);
        Tensor slopes = Tensor.allocate(DataType.F32, layout, shape)) {
      x.copyFrom(TestData.normal(1, dy.length, 0.3, 1));
      slopes.copyFrom(dy);
      float[] java = bias(builder.backend(Backend.JAVA), x, slopes);
      long shows = IntStream.range(0, java.length).filter(i -> java[i] != 0).count();
      assertTrue(shows > 0, "doubles have lost nothing: the order does not show");
      for (int threads : new int[] {1, 2, 3, 5}) {
        assertArrayEquals(
            java,
            bias(builder.backend(Backend.FUSED).threads(threads), x, slopes),
            threads + " threads");
      }
    }
  }

  /**
   * Of one, two and four chains; from one piece to 16, of whole blocks, so that floats lose
   * nothing, but for the last two.
   */
  @ParameterizedTest
  @CsvSource({
    "2016,32",
    "192,1024",
    "768,1024",
    "384,1024",
    "576,128",
    "3072,64",
    "3072,256",
    "9216,16",
    "9216,32",
    "22272,3",
    "9216,61",
    "19969,24",
    "1152,1030",
    "340,1024",
    "3136,256"
  })
  void ofColumns(int rows, int columns) {
    float[] dy = blocks(rows, rows, columns, 48 * OrderOfSums.folds(rows, columns), 1);
    check(BatchNorm.builder(columns), Layout.CHANNELS_LAST, dy, 1, columns, rows, 1);
  }

  /** Of blocks of 64 rows, and of 8. */
  @ParameterizedTest
  @CsvSource({"1024,300,64", "5120,64,64", "70000,3,64", "64,9000,8", "128,9000,8"})
  void ofRows(int rows, int length, int blockRows) {
    float[] dy = blocks(rows, rows, length, blockRows, 1);
    check(LayerNorm.builder(length), Layout.CHANNELS_FIRST, dy, rows, length);
  }

  /** A channel's positions are pieces of 16384. */
  @ParameterizedTest
  @CsvSource({"1,12,163840", "4,12,65536", "16,12,16384"})
  void ofSpans(int samples, int channels, int positions) {
    int rows = samples * positions / 16384;
    float[] dy = new float[samples * channels * positions];
    for (int c = 0; c < channels; c++) {
      float[] channel = blocks(c, rows, 16384, 1, 16384);
      for (int n = 0; n < samples; n++) {
        int from = n * positions;
        System.arraycopy(channel, from, dy, (n * channels + c) * positions, positions);
      }
    }
    check(BatchNorm.builder(channels), Layout.CHANNELS_FIRST, dy, samples, channels, positions, 1);
  }
}
